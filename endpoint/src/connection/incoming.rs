//! Packets of the client: what each event of the session leads to.

use std::pin::Pin;
use std::task::{Context, Poll};

use landfall_events::event::Timestamp;
use landfall_events::sink::{OpenBatch, Refusal, Sequence};
use landfall_protocol::packet::{Subscribe, Unsubscribe};
use landfall_protocol::session::{Event, Time};
use landfall_protocol::{QoS, ReasonCode};
use landfall_registry::{Found, Unavailable};

use super::live::Live;
use super::owned::OwnedPublish;
use super::uplink::{Arrival, RefusedBecause, Verdict};
use super::{Link, Scratch, Stream};
use crate::dialect::InboxFilter;
use crate::telemetry::{PublishRefused, SubscriptionRefused};

/// A publish on behalf of a device that the registry's cache does not hold.
pub(super) struct Asking {
    lookup: Pin<Box<dyn Future<Output = Result<Option<Found>, Unavailable>> + Send>>,
    publish: OwnedPublish,
    sequence: Sequence,
    time: Timestamp,
}

impl<S: Stream> Live<S> {
    /// Works through the packets at hand: how many bytes they were. The events are in the sinks'
    /// hands when it returns.
    pub(super) fn process(&mut self, input: &[u8], now: Time, scratch: &mut Scratch) -> usize {
        let time = Timestamp::now();
        let mut used = 0;
        let mut taken = 0;
        let mut room = self.uplink.has_room();
        while let Some(rest) = input.get(used..)
            && let Some(first) = rest.first()
        {
            let blocked = !room && is_acknowledged_publish(*first);
            if blocked || self.asking.is_some() || !self.session.wants_input(&self.door.limits) {
                self.held = true;
                break;
            }
            let Some((size, event)) = self.session.handle_input(&self.door.limits, now, rest)
            else {
                break;
            };
            used += size;
            match event {
                Event::Publish(sequence, publish) => {
                    let arrival = Arrival {
                        sequence,
                        time,
                        registry: &self.shared.registry,
                        asked: None,
                    };
                    let qos = publish.qos;
                    match self.uplink.publish(&publish, &arrival, scratch) {
                        Verdict::Taken => taken += 1,
                        Verdict::Ask(device) => {
                            let publish = OwnedPublish::of(&publish);
                            self.ask(&device, publish, sequence, time);
                        }
                        verdict => self.turn_down(&verdict, sequence, qos),
                    }
                    if scratch.batches.iter().any(OpenBatch::is_full) {
                        self.uplink.hand_over(scratch);
                        room = self.uplink.has_room();
                    }
                }
                Event::Acknowledged(token, reason) => self.downlink.acknowledged(token, reason),
                Event::Subscribe(subscribe) => {
                    let packet_id = subscribe.packet_id;
                    let mut reasons =
                        subscribe_all(&self.link, &subscribe, self.door.subscriptions);
                    if let Some(reason) = reasons.iter().find(|r| r.is_failure()) {
                        let refused = SubscriptionRefused {
                            link: &self.link,
                            reason: *reason,
                        };
                        refused.emit(&self.shared.telemetry);
                    }
                    self.session.suback(packet_id, &mut reasons);
                }
                Event::Unsubscribe(unsubscribe) => {
                    let packet_id = unsubscribe.packet_id;
                    let reasons = unsubscribe_all(&self.link, &unsubscribe);
                    self.session.unsuback(packet_id, &reasons);
                }
                Event::Handled | Event::Connect(_) | Event::Closed => {}
            }
        }
        self.uplink.hand_over(scratch);
        self.shared.telemetry.publishes_taken.inc_by(taken);
        if used > 0 {
            self.listening(now);
        }
        self.settle(now);
        used
    }

    /// A publish that is not taken.
    fn turn_down(&mut self, verdict: &Verdict, sequence: Sequence, qos: QoS) {
        match verdict {
            Verdict::Refused(reason, because) => {
                self.note_refusal(*because);
                if qos != QoS::AtMostOnce {
                    self.session.refuse_publish(sequence, *reason);
                }
            }
            Verdict::NoRoom => self.shared.telemetry.publishes_dropped.inc(),
            Verdict::Taken | Verdict::Ask(_) => {}
        }
    }

    fn note_refusal(&mut self, because: RefusedBecause) {
        let first = !std::mem::replace(&mut self.refusal_logged, true);
        let refused = PublishRefused {
            link: &self.link,
            cause: because.as_str(),
            first,
        };
        refused.emit(&self.shared.telemetry);
    }

    /// A sink will never take this publish.
    pub(super) fn note_sink_refusal(&mut self, sequence: Sequence, refusal: Refusal) {
        let (reason, cause) = match refusal {
            Refusal::Rejected => (ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR, "sink_rejected"),
            Refusal::TooLarge => (ReasonCode::QUOTA_EXCEEDED, "sink_too_large"),
        };
        let first = !std::mem::replace(&mut self.refusal_logged, true);
        PublishRefused {
            link: &self.link,
            cause,
            first,
        }
        .emit(&self.shared.telemetry);
        self.session.refuse_publish(sequence, reason);
    }

    /// Asks the registry about a device; reading stops until it has answered.
    fn ask(&mut self, device: &str, publish: OwnedPublish, sequence: Sequence, time: Timestamp) {
        let registry = self.shared.registry.clone();
        let application = self.link.identity.application.clone();
        let device = device.to_owned();
        let lookup = Box::pin(async move { registry.device(&application, &device).await });
        self.asking = Some(Box::new(Asking {
            lookup,
            publish,
            sequence,
            time,
        }));
    }

    /// Goes on with the publish that waited for the registry, once it has answered.
    pub(super) fn poll_asking(&mut self, cx: &mut Context<'_>, now: Time, scratch: &mut Scratch) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        let Poll::Ready(answer) = asking.lookup.as_mut().poll(cx) else {
            return;
        };
        let Some(asking) = self.asking.take() else {
            return;
        };
        let Ok(found) = answer else {
            // Neither allowed nor forbidden: the device tries again on a new connection.
            self.session.close(ReasonCode::SERVER_UNAVAILABLE);
            return;
        };
        let publish = asking.publish.borrow();
        let arrival = Arrival {
            sequence: asking.sequence,
            time: asking.time,
            registry: &self.shared.registry,
            asked: Some(&found),
        };
        match self.uplink.publish(&publish, &arrival, scratch) {
            Verdict::Taken => self.shared.telemetry.publishes_taken.inc(),
            verdict => self.turn_down(&verdict, asking.sequence, publish.qos),
        }
        self.uplink.hand_over(scratch);
        self.held = !self.pending.is_empty();
        self.settle(now);
    }
}

/// From the fixed header: PUBLISH (3) with QoS above 0.
const fn is_acknowledged_publish(first: u8) -> bool {
    first >> 4 == 3 && first & 0b0110 != 0
}

/// Enters the subscriptions: one reason for each.
fn subscribe_all(link: &Link, subscribe: &Subscribe<'_>, limit: usize) -> Vec<ReasonCode> {
    link.with_inbox(|inbox| {
        let enter = |subscription: landfall_protocol::packet::Subscription<'_>| {
            let Some(filter) = InboxFilter::parse(subscription.filter) else {
                return ReasonCode::TOPIC_FILTER_INVALID;
            };
            if inbox.len() >= limit && !inbox.contains(&filter) {
                return ReasonCode::QUOTA_EXCEEDED;
            }
            // Commands are delivered at QoS 1 at most.
            let qos = subscription.qos.min(QoS::AtLeastOnce);
            inbox.subscribe(filter, qos, subscribe.subscription_identifier);
            ReasonCode(qos as u8)
        };
        subscribe.filters.iter().map(enter).collect()
    })
}

fn unsubscribe_all(link: &Link, unsubscribe: &Unsubscribe<'_>) -> Vec<ReasonCode> {
    link.with_inbox(|inbox| {
        let mut leave = |filter: &str| match InboxFilter::parse(filter) {
            Some(filter) if inbox.unsubscribe(&filter) => ReasonCode::SUCCESS,
            _ => ReasonCode::NO_SUBSCRIPTION_EXISTED,
        };
        unsubscribe
            .filters
            .iter()
            .map(|subscription| leave(subscription.filter))
            .collect()
    })
}
