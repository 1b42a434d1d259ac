//! From a publish to the sinks: dialect, gateway rule, content type, event, hand-over.

use std::sync::Arc;

use landfall_events::content::judge;
use landfall_events::event::{Draft, EventType, Origin, Timestamp};
use landfall_events::rule::{self, Parts};
use landfall_events::sink::{Completion, Handover, Sequence};
use landfall_protocol::packet::Publish;
use landfall_protocol::{QoS, ReasonCode};
use landfall_registry::{
    Application, Device, Found, PayloadEncoding, effective_dialect, effective_payload_encoding,
};
use uuid::Uuid;

use super::origins::{Origins, Sender};
use super::registering::{Asked, Registrar};
use super::ruling::{Consultation, Ruled};
use super::verdict::{RefusedBecause, Verdict};
use super::{Identity, Link, Scratch};
use crate::dialect::{self, Dialect, Own, payload};
use crate::rules::{RuleBook, Ruleset};
use crate::server::Shared;
use crate::sinks::Route;
use crate::telemetry::traces::{About, Begun, Spans};

/// The upward half of a connection: who it is, and where its events go.
pub(super) struct Uplink {
    pub(super) application: Arc<Application>,
    pub(super) device: Arc<Device>,
    dialect: &'static dyn Dialect,
    rules: Option<Arc<Ruleset>>,
    payload_encoding: PayloadEncoding,
    pub(super) route: Route,
    /// The sinks report to it.
    link: Arc<Link>,
    pub(super) origins: Origins,
    /// `None`: it registers no devices.
    pub(super) registrar: Option<Box<Registrar>>,
    /// The last publish that was put into a batch.
    handed: Sequence,
    /// `None`: no traces are wanted.
    pub(super) spans: Option<Box<Spans>>,
}

/// What a publish needs besides itself and the connection.
pub(super) struct Arrival<'a> {
    /// Its number.
    pub(super) sequence: Sequence,
    /// When its bytes were read.
    pub(super) time: Timestamp,
    /// For the gateway rule, and the instance's name.
    pub(super) shared: &'a Shared,
    /// Looked up for this publish, when the cache did not have it.
    pub(super) asked: Option<&'a Asked>,
    /// Its event's id, if that is settled; else it gets the next one.
    pub(super) id: Option<Uuid>,
}

impl Uplink {
    /// The upward half for a device that has just logged in.
    pub(super) fn new(shared: &Shared, found: Found, route: Route, link: &Arc<Link>) -> Self {
        let spec = effective_dialect(&found.application, &found.device);
        let own = Own {
            application: found.application.name(),
            device: found.device.name(),
        };
        let registrar = Registrar::of(&spec, &link.identity.client_id, own);
        Self {
            dialect: dialect::of(&spec),
            rules: shared.rules.of(&found.application),
            payload_encoding: effective_payload_encoding(&found.application, &found.device),
            application: found.application,
            device: found.device,
            route,
            link: Arc::clone(link),
            origins: Origins::default(),
            registrar,
            handed: 0,
            spans: shared
                .telemetry
                .tracer
                .as_ref()
                .map(|tracer| Box::new(Spans::new(tracer))),
        }
    }

    /// The application's name, shared by all its connections.
    pub(super) fn application_name(&self) -> &Arc<str> {
        &self.link.identity.application
    }

    /// Who is connected.
    pub(super) fn session(&self) -> &Identity {
        &self.link.identity
    }

    /// The connected device.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// The topic API that it speaks.
    pub(super) fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    /// Who is connected, for the dialect.
    pub(super) fn own(&self) -> Own<'_> {
        Own {
            application: self.application.name(),
            device: self.device.name(),
        }
    }

    /// How its payloads are written on the wire.
    pub(super) fn payload_encoding(&self) -> PayloadEncoding {
        self.payload_encoding
    }

    /// Uses changed documents from the next publish on.
    pub(super) fn update(&mut self, found: Found, rules: &RuleBook) {
        self.rules = rules.of(&found.application);
        let spec = effective_dialect(&found.application, &found.device);
        self.dialect = dialect::of(&spec);
        self.payload_encoding = effective_payload_encoding(&found.application, &found.device);
        self.application = found.application;
        self.device = found.device;
        self.origins = Origins::default();
        let own = Own {
            application: self.application.name(),
            device: self.device.name(),
        };
        let client_id = &self.link.identity.client_id;
        self.registrar = Registrar::update(self.registrar.take(), &spec, client_id, own);
    }

    /// The client sends, but no publishes: it pings, for instance, which clients do that have nothing
    /// to say. What its events have in common is made again for the next of them: some 600 bytes
    /// that no idle connection has to keep.
    pub(super) fn rest(&mut self) {
        self.origins = Origins::default();
    }

    /// Decides on a publish and, if it is taken, encodes it for each sink.
    pub(super) fn publish(
        &mut self,
        publish: &Publish<'_>,
        arrival: &Arrival<'_>,
        scratch: &mut Scratch,
    ) -> Verdict {
        let dialect = self.dialect();
        let Ok(destination) = dialect.destination(publish.topic, self.own()) else {
            return RefusedBecause::Topic.into();
        };
        if publish.payload.len() > dialect.largest_payload() {
            return RefusedBecause::TooLarge.into();
        }
        let bad_payload = RefusedBecause::Payload.into();
        let properties = &publish.properties;
        // [MQTT-3.3.2-4]: said to be UTF-8.
        if properties.payload_is_utf8 == Some(true) && std::str::from_utf8(publish.payload).is_err()
        {
            return bad_payload;
        }
        let Ok(payload) = payload::decode(self.payload_encoding, publish.payload) else {
            return bad_payload;
        };
        let origin = match self.origin(destination.device.as_deref(), arrival) {
            Ok(origin) => origin,
            Err(verdict) => return verdict,
        };
        let declared = properties.content_type.filter(|given| !given.is_empty());
        let declared = declared.or(destination.content_type.as_deref());
        let Ok((data_content_type, data)) = judge(declared, &payload) else {
            return bad_payload;
        };
        if publish.qos == QoS::AtMostOnce && !self.has_room() {
            return Verdict::NoRoom;
        }
        let user = &properties.user_properties;
        let given = user.get("traceparent");
        let begun = self.spans.as_ref().and_then(|spans| spans.begin(given));
        // Whoever takes the event continues this server's part of the trace.
        let continued = begun.as_ref().map(Begun::trace_parent);
        let draft = Draft {
            origin: &origin,
            event_type: EventType::Event,
            id: (arrival.id).unwrap_or_else(|| scratch.ids.next(arrival.time)),
            time: arrival.time,
            subject: &destination.channel,
            data_content_type,
            data_schema: user.get("dataschema"),
            trace_parent: continued.as_deref().or(given),
            trace_state: user.get("tracestate"),
            retain: publish.retain,
            extensions: &destination.extensions,
            data,
        };
        let verdict = match self.rules.clone() {
            None => {
                self.encode(&draft, arrival.sequence, scratch);
                Verdict::Taken
            }
            Some(rules) => self.rule(&rules, &draft, &origin, arrival.sequence, scratch),
        };
        if let (Some(begun), Some(spans)) = (&begun, &mut self.spans)
            && matches!(verdict, Verdict::Taken | Verdict::Consult(_))
        {
            let about = About {
                sequence: arrival.sequence,
                awaited: publish.qos != QoS::AtMostOnce,
                start: arrival.time,
                application: &self.link.identity.application,
                device: origin.device(),
                channel: &destination.channel,
                trace_state: user.get("tracestate"),
            };
            spans.taken(begun, &about);
        }
        verdict
    }

    /// Has the application's rules decide on an event.
    fn rule(
        &mut self,
        rules: &Arc<Ruleset>,
        draft: &Draft<'_>,
        origin: &Arc<Origin>,
        sequence: Sequence,
        scratch: &mut Scratch,
    ) -> Verdict {
        let mut parts = Parts::of(draft);
        match rules.rules.apply(&mut parts) {
            None => Verdict::Consult(Box::new(Consultation {
                rules: Arc::clone(rules),
                parts: Parts::of(draft).into_owned(),
                origin: Arc::clone(origin),
                id: draft.id,
                time: draft.time,
            })),
            Some(verdict) => {
                let judged = parts.judge().is_ok();
                let ruled = parts.draft(origin, draft.id, draft.time);
                self.obey(&verdict, judged, &ruled, sequence, scratch)
            }
        }
    }

    /// Does with an event what the rules and their endpoints have decided.
    pub(super) fn ruled(
        &mut self,
        mut ruled: Ruled,
        sequence: Sequence,
        scratch: &mut Scratch,
    ) -> Verdict {
        let judged = ruled.parts.judge().is_ok();
        self.obey(&ruled.verdict, judged, &ruled.draft(), sequence, scratch)
    }

    fn obey(
        &mut self,
        verdict: &rule::Verdict,
        judged: bool,
        ruled: &Draft<'_>,
        sequence: Sequence,
        scratch: &mut Scratch,
    ) -> Verdict {
        let refused = |reason, words| Verdict::Refused(reason, RefusedBecause::Rule, words);
        match verdict {
            rule::Verdict::Drop => Verdict::Dropped,
            // The rules say JSON of a payload that is not.
            rule::Verdict::Pass if !judged => refused(ReasonCode::PAYLOAD_FORMAT_INVALID, None),
            rule::Verdict::Pass => {
                self.encode(ruled, sequence, scratch);
                Verdict::Taken
            }
            rule::Verdict::Reject(reason) => {
                let (application, device) = (self.application.name(), ruled.origin.device());
                tracing::debug!(application, device, %reason, "a rule rejects an event");
                let words = Some(reason.clone()).filter(|words| !words.is_empty());
                refused(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR, words)
            }
        }
    }

    /// Puts an event into the open batches.
    pub(super) fn encode(&mut self, draft: &Draft<'_>, sequence: Sequence, scratch: &mut Scratch) {
        for target in self.route.iter() {
            if let Some(batch) = scratch.batches.get_mut(target.index)
                && (target.required || target.sink.has_room(self.application_name()))
            {
                target.sink.encode(draft, sequence, batch);
            }
        }
        self.handed = sequence;
    }

    pub(super) fn own_origin(&mut self, instance: &str) -> Arc<Origin> {
        self.origins.own(Sender {
            instance,
            application: &self.application,
            device: &self.device,
        })
    }

    /// Hands the open batches over.
    pub(super) fn hand_over(&mut self, scratch: &mut Scratch) {
        let mut spans = self.spans.as_mut().filter(|spans| spans.any());
        for (slot, target) in self.route.iter().enumerate() {
            if let Some(batch) = scratch.batches.get_mut(target.index)
                && !batch.is_empty()
            {
                if let Some(spans) = &mut spans {
                    spans.handing_over(slot, target, batch);
                }
                target.sink.hand_over(Handover {
                    application: &self.link.identity.application,
                    batch,
                    completion: &completion(&self.link),
                    slot,
                });
            }
        }
    }

    /// Whether every required sink has room.
    pub(super) fn has_room(&self) -> bool {
        self.route
            .iter()
            .all(|target| !target.required || target.sink.has_room(self.application_name()))
    }

    /// Asks to be woken by the first required sink without room.
    pub(super) fn wait_for_room(&self) {
        let full = |(_, target): &(usize, &crate::sinks::Target)| {
            target.required && !target.sink.has_room(self.application_name())
        };
        if let Some((slot, target)) = self.route.iter().enumerate().find(full) {
            target
                .sink
                .notify_room(self.application_name(), slot, &completion(&self.link));
        }
    }

    /// The last publish that was put into a batch.
    pub(super) fn handed(&self) -> Sequence {
        self.handed
    }

    /// Up to which publish every required sink has accepted.
    pub(super) fn accepted(&self, link: &Link) -> Sequence {
        let required = self
            .route
            .iter()
            .enumerate()
            .filter(|(_, target)| target.required);
        required
            .map(|(slot, _)| link.accepted_by(slot))
            .min()
            .unwrap_or(self.handed)
    }

    /// The slots of the required sinks.
    pub(super) fn required(&self) -> Box<[usize]> {
        let slots = self.route.iter().enumerate();
        slots
            .filter(|(_, target)| target.required)
            .map(|(slot, _)| slot)
            .collect()
    }

    /// Whether an acknowledgement waits for the sink in this slot.
    pub(super) fn requires(&self, slot: usize) -> bool {
        self.route.get(slot).is_some_and(|target| target.required)
    }
}

/// As the sinks know it.
fn completion(link: &Arc<Link>) -> Arc<dyn Completion> {
    Arc::clone(link) as Arc<dyn Completion>
}
