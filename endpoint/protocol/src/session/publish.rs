//! Publishes of the client: sequence, in-flight window, topic aliases, ordered acknowledgements.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::num::NonZeroU16;

use super::{Close, Event, Sequence, Session, Time, release};
use crate::codec::{self, AckKind, encode_ack};
use crate::limits::Limits;
use crate::packet::{Ack, Packet, PacketId, Publish, QoS, ReasonProperties, Version};
use crate::{PeerError, ProtocolError, ReasonCode};

/// What the session keeps of the client's publishes.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// Number of the last publish.
    sequence: Sequence,
    /// QoS 1 and 2 publishes without their first acknowledgement, oldest first.
    waiting: VecDeque<Waiting>,
    /// Without memory for the many that use neither.
    seldom: Option<Box<Seldom>>,
}

#[derive(Debug, Default)]
struct Seldom {
    /// QoS 2 exchanges that are not complete, sorted by packet id.
    exactly_once: Vec<ExactlyOnce>,
    /// Topics by alias, from 1.
    aliases: Vec<Option<Box<str>>>,
}

#[derive(Debug)]
struct Waiting {
    sequence: Sequence,
    packet_id: PacketId,
    exactly_once: bool,
    /// Seldom, so not part of every one.
    refused: Option<Box<Refused>>,
}

#[derive(Debug)]
struct Refused {
    reason: ReasonCode,
    text: Option<Cow<'static, str>>,
}

#[derive(Clone, Copy, Debug)]
struct ExactlyOnce {
    packet_id: PacketId,
    /// PUBREC has been written, PUBREL is due.
    received: bool,
}

impl Inbound {
    /// 3.x: no further packet is taken while this many publishes wait.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        self.waiting.len() >= usize::from(limits.receive_maximum.get())
    }

    /// Whether a publish waits for the caller's word.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether one more QoS 1 or 2 publish breaks the receive maximum `[MQTT-3.3.4-9]`.
    ///
    /// A QoS 2 publish counts until its PUBCOMP; those that wait for PUBREC are in both lists.
    fn exceeds_receive_maximum(&self, limits: &Limits) -> bool {
        let exchanges = self.exactly_once();
        let released = exchanges.iter().filter(|e| e.received).count();
        self.waiting.len() + released >= usize::from(limits.receive_maximum.get())
    }

    fn exactly_once(&self) -> &[ExactlyOnce] {
        self.seldom
            .as_ref()
            .map_or(&[], |seldom| &seldom.exactly_once)
    }

    fn find(&self, packet_id: PacketId) -> Result<usize, usize> {
        self.exactly_once()
            .binary_search_by_key(&packet_id, |e| e.packet_id)
    }

    fn begin(&mut self, at: usize, packet_id: PacketId) {
        let exchange = ExactlyOnce {
            packet_id,
            received: false,
        };
        let seldom = self.seldom.get_or_insert_default();
        seldom.exactly_once.insert(at, exchange);
    }

    fn forget(&mut self, packet_id: PacketId) {
        let found = self.find(packet_id);
        let Some(seldom) = &mut self.seldom else {
            return;
        };
        if let Ok(at) = found {
            seldom.exactly_once.remove(at);
        }
        if seldom.exactly_once.is_empty() {
            match seldom.aliases.is_empty() {
                true => self.seldom = None,
                false => seldom.exactly_once = Vec::new(),
            }
        }
    }

    fn alias(&self, index: usize) -> Option<&str> {
        self.seldom.as_ref()?.aliases.get(index)?.as_deref()
    }

    /// Sets or uses a topic alias. `Ok(Some(index))`: the topic is in that entry.
    fn resolve_alias(
        &mut self,
        limits: &Limits,
        alias: NonZeroU16,
        topic: &str,
    ) -> Result<Option<usize>, ProtocolError> {
        // [MQTT-3.2.2-17]: not above the maximum that CONNACK gave.
        if alias.get() > limits.topic_alias_maximum {
            return Err(ProtocolError::TopicAlias);
        }
        let index = usize::from(alias.get()) - 1;
        if topic.is_empty() {
            // 3.3.4: no topic, and an alias that was never set, is 0x82 and not 0x94.
            let known = self.alias(index).is_some();
            return known.then_some(Some(index)).ok_or(ProtocolError::NoTopic);
        }
        let aliases = &mut self.seldom.get_or_insert_default().aliases;
        if aliases.len() <= index {
            aliases.resize_with(index + 1, || None);
        }
        if let Some(entry) = aliases.get_mut(index)
            && entry.as_deref() != Some(topic)
        {
            *entry = Some(topic.into());
        }
        Ok(None)
    }
}

impl Session {
    pub(super) fn handle_publish<'a>(
        &'a mut self,
        limits: &Limits,
        now: Time,
        publish: Publish<'a>,
    ) -> Event<'a> {
        // [MQTT-3.2.2-14]: CONNACK said that retain is not available.
        if publish.retain && self.version == Version::V5 {
            return self.fail(ProtocolError::RetainNotSupported.into());
        }
        // First: a repetition sets its alias, too, and what is refused for it waits for nothing.
        let alias = publish.properties.topic_alias;
        let resolve = |alias| self.inbound.resolve_alias(limits, alias, publish.topic);
        let entry = match alias.map(resolve).transpose() {
            Ok(entry) => entry.flatten(),
            Err(error) => return self.fail(error.into()),
        };
        if let Some(packet_id) = publish.packet_id {
            match self.note_acknowledged_publish(limits, now, publish.qos, packet_id) {
                Ok(true) => {}
                Ok(false) => return Event::Handled,
                Err(error) => return self.fail(error),
            }
        }
        self.inbound.sequence += 1;
        let sequence = self.inbound.sequence;
        let Some(entry) = entry else {
            return Event::Publish(sequence, publish);
        };
        // The entry was just found; its text lives as long as the event.
        match self.inbound.alias(entry) {
            Some(topic) => Event::Publish(sequence, Publish { topic, ..publish }),
            None => Event::Handled,
        }
    }

    /// Queues a QoS 1 or 2 publish for its acknowledgement. False: a repetition, already dealt with.
    fn note_acknowledged_publish(
        &mut self,
        limits: &Limits,
        now: Time,
        qos: QoS,
        packet_id: PacketId,
    ) -> Result<bool, PeerError> {
        let exactly_once = qos == QoS::ExactlyOnce;
        if exactly_once {
            match self.inbound.find(packet_id) {
                // [MQTT-4.3.3-10] (3.1.1: 4.3.3): no second delivery, but PUBREC again.
                Ok(at) => {
                    let exchange = self.inbound.exactly_once().get(at);
                    if exchange.is_some_and(|e| e.received) {
                        self.write_ack(AckKind::PubRec, packet_id, ReasonCode::SUCCESS);
                    }
                    return Ok(false);
                }
                Err(at) => {
                    self.check_window(limits)?;
                    self.inbound.begin(at, packet_id);
                }
            }
        } else {
            self.check_window(limits)?;
        }
        if self.inbound.waiting.is_empty() {
            self.clock.progress(now);
        }
        self.inbound.waiting.push_back(Waiting {
            sequence: self.inbound.sequence + 1,
            packet_id,
            exactly_once,
            refused: None,
        });
        Ok(true)
    }

    fn check_window(&self, limits: &Limits) -> Result<(), PeerError> {
        // [MQTT-3.3.4-9]: the client must not exceed the receive maximum.
        if self.version == Version::V5 && self.inbound.exceeds_receive_maximum(limits) {
            return Err(ProtocolError::ReceiveMaximumExceeded.into());
        }
        Ok(())
    }

    /// The caller has taken every publish up to and including `up_to` that it has not refused.
    ///
    /// Writes the acknowledgements that are due, in the order of the publishes
    /// (`[MQTT-4.6.0-2]`, `[MQTT-4.6.0-3]`).
    pub fn accepted(&mut self, now: Time, limits: &Limits, up_to: Sequence) {
        if !self.is_connected() {
            return;
        }
        let was_full = self.inbound.is_full(limits);
        let before = self.inbound.waiting.len();
        while let Some(first) = self.inbound.waiting.front() {
            if first.sequence > up_to && first.refused.is_none() {
                break;
            }
            let Some(done) = self.inbound.waiting.pop_front() else {
                break;
            };
            if !self.acknowledge(limits, &done) {
                return;
            }
        }
        if self.inbound.waiting.len() < before {
            self.clock.progress(now);
        }
        if was_full && self.version != Version::V5 {
            // The keep-alive clock stood while nothing was read.
            self.clock.packet_arrived(now);
        }
    }

    /// The publish will not be taken. Its negative acknowledgement leaves when its turn comes; with a
    /// reason that is no failure, because it was dealt with otherwise, a positive one.
    ///
    /// 3.x has none: by [`Limits::acknowledge_refused`] it is acknowledged all the same, or the
    /// session ends.
    ///
    /// `text` reaches the client as reason string, if it wants to know (MQTT 5 only): nothing
    /// internal in it.
    pub fn refuse_publish(
        &mut self,
        sequence: Sequence,
        reason: ReasonCode,
        text: Option<Cow<'static, str>>,
    ) {
        if let Ok(at) = self
            .inbound
            .waiting
            .binary_search_by_key(&sequence, |w| w.sequence)
            && let Some(waiting) = self.inbound.waiting.get_mut(at)
        {
            waiting.refused = Some(Box::new(Refused { reason, text }));
        }
    }

    /// Writes the first acknowledgement of a publish. False: that ended the session.
    fn acknowledge(&mut self, limits: &Limits, done: &Waiting) -> bool {
        let refused = done.refused.as_deref();
        let mut reason = refused.map_or(ReasonCode::SUCCESS, |refused| refused.reason);
        if self.version != Version::V5 && reason.is_failure() {
            if !limits.acknowledge_refused {
                self.end(Close::PublishRefused(reason));
                return false;
            }
            reason = ReasonCode::SUCCESS;
        }
        let text = refused.and_then(|refused| refused.text.as_deref());
        if !done.exactly_once {
            self.write_reasoned_ack(AckKind::PubAck, done.packet_id, reason, text);
            return true;
        }
        self.write_reasoned_ack(AckKind::PubRec, done.packet_id, reason, text);
        if reason.is_failure() {
            // [MQTT-4.3.3-9]: the exchange is over.
            self.inbound.forget(done.packet_id);
        } else if let Ok(at) = self.inbound.find(done.packet_id)
            && let Some(seldom) = &mut self.inbound.seldom
            && let Some(exchange) = seldom.exactly_once.get_mut(at)
        {
            exchange.received = true;
        }
        true
    }

    pub(super) fn handle_pubrel(&mut self, packet_id: PacketId) -> Event<'static> {
        let state = self
            .inbound
            .find(packet_id)
            .ok()
            .and_then(|at| self.inbound.exactly_once().get(at));
        match state.copied() {
            // PUBREC has not been sent, so there is nothing to release.
            Some(exchange) if !exchange.received => {
                self.fail(ProtocolError::UnknownPacketId.into())
            }
            Some(_) => {
                // [MQTT-4.3.3-11]: PUBCOMP with the same packet id; then the id is free.
                self.inbound.forget(packet_id);
                self.write_ack(AckKind::PubComp, packet_id, ReasonCode::SUCCESS);
                Event::Handled
            }
            None => {
                // [MQTT-3.6.2.1]: not known, but answered all the same.
                let reason = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
                self.write_ack(AckKind::PubComp, packet_id, reason);
                Event::Handled
            }
        }
    }

    /// As [`Self::write_ack`], with a reason string where one may be.
    fn write_reasoned_ack(
        &mut self,
        kind: AckKind,
        packet_id: PacketId,
        reason: ReasonCode,
        text: Option<&str>,
    ) {
        // [MQTT-3.1.2-29]: none for a client that asked for none.
        if text.is_some() && self.version == Version::V5 && self.wants_problem_information {
            let ack = Ack {
                packet_id,
                reason,
                properties: ReasonProperties {
                    reason_string: text,
                    ..ReasonProperties::default()
                },
            };
            let packet = match kind {
                AckKind::PubRec => Packet::PubRec(ack),
                _ => Packet::PubAck(ack),
            };
            // [MQTT-3.4.2-2], [MQTT-3.5.2-2]: none that makes the packet too large for the client.
            if self.fits(&packet) && codec::encode(&packet, self.version, &mut self.out).is_ok() {
                return;
            }
        }
        self.write_ack(kind, packet_id, reason);
    }

    fn write_ack(&mut self, kind: AckKind, packet_id: PacketId, reason: ReasonCode) {
        encode_ack(kind, packet_id, reason, self.version, &mut self.out);
        self.written = self.written.wrapping_add(1);
    }

    /// How many QoS 1 and 2 publishes wait for the caller's word.
    pub fn waiting(&self) -> usize {
        self.inbound.waiting.len()
    }

    /// The first of these.
    pub fn oldest_waiting(&self) -> Option<Sequence> {
        self.inbound.waiting.front().map(|first| first.sequence)
    }

    /// The last of these.
    pub fn newest_waiting(&self) -> Option<Sequence> {
        self.inbound.waiting.back().map(|last| last.sequence)
    }

    /// Number of the last publish that was handed out.
    pub fn last_sequence(&self) -> Sequence {
        self.inbound.sequence
    }

    /// Gives memory back that only a busy session needs.
    pub fn shrink(&mut self) {
        release(&mut self.inbound.waiting);
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }
}
