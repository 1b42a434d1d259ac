//! Packets of the client: what each event of the session leads to.

use std::borrow::Cow;
use std::num::NonZeroU64;

use landfall_events::event::Timestamp;
use landfall_events::sink::{OpenBatch, Refusal, Sequence};
use landfall_protocol::session::{Event, Time};
use landfall_protocol::{QoS, ReasonCode, Version};

use super::asking::Asking;
use super::downlink::Answered;
use super::link::Refused;
use super::live::Live;
use super::owned::OwnedPublish;
use super::subscribing::{Subscribing, unsubscribe_all};
use super::uplink::Arrival;
use super::verdict::{RefusedBecause, Verdict};
use super::{Scratch, Stream};
use crate::dialect::Request;
use crate::telemetry::{PacketCounts, PublishRefused, RefusalCause};

/// Packets that are worked through in one turn. What is read at once may hold 32,000 of the smallest:
/// others of the thread would wait for all of them.
const PACKETS_AT_ONCE: usize = 1_024;

impl<S: Stream> Live<S> {
    /// Works through the packets at hand, up to [`PACKETS_AT_ONCE`]: how many bytes they were. The
    /// events are in the sinks' hands when it returns.
    pub(super) fn process(&mut self, input: &[u8], now: Time, scratch: &mut Scratch) -> usize {
        let time = Timestamp::now();
        let mut used = 0;
        let mut taken = 0;
        let mut by_type = PacketCounts::default();
        let mut room = self.uplink.has_room();
        let mut packets = 0;
        while let Some(rest) = input.get(used..)
            && let Some(first) = rest.first()
        {
            let blocked = match publish_qos(*first) {
                Some(_) if self.is_too_fast(now) => true,
                Some(QoS::AtMostOnce) => self.holds_back(room, now),
                Some(_) => !room,
                None => false,
            };
            let enough = packets == PACKETS_AT_ONCE;
            if blocked
                || enough
                || self.asking.is_some()
                || !self.session.wants_input(&self.door.limits)
            {
                self.held = true;
                break;
            }
            let Some((size, event)) = self.session.handle_input(&self.door.limits, now, rest)
            else {
                break;
            };
            used += size;
            packets += 1;
            by_type.count(*first);
            match event {
                Event::Publish(sequence, publish) => {
                    self.pace.spend(&self.door.rates, size, now);
                    let answered = self.downlink.answer(&publish, &self.uplink);
                    if answered != Answered::No {
                        self.settle_answer(answered, sequence);
                        continue;
                    }
                    let arrival = Arrival {
                        sequence,
                        time,
                        shared: &self.shared,
                        asked: None,
                        id: None,
                    };
                    let qos = publish.qos;
                    let dialect = self.uplink.dialect();
                    self.dialogue.expect(sequence, &publish, dialect);
                    match self.uplink.publish(&publish, &arrival, scratch) {
                        Verdict::Taken => {
                            taken += 1;
                            if qos == QoS::AtMostOnce {
                                self.pace.count(size);
                            }
                        }
                        Verdict::Ask(device) => {
                            let publish = OwnedPublish::of(&publish);
                            let question = self.uplink.look_up(&device, &self.shared.registry);
                            self.ask(device, question, publish, sequence, time);
                        }
                        Verdict::Register(device) => {
                            let publish = OwnedPublish::of(&publish);
                            let question = self.uplink.registration(&device, &self.shared.registry);
                            self.ask(device, question, publish, sequence, time);
                        }
                        Verdict::Consult(consultation) => {
                            self.consult(*consultation, sequence, qos, now);
                        }
                        verdict => {
                            let topic: Box<str> = publish.topic.into();
                            self.turn_down(&verdict, sequence, qos, Some(&topic));
                        }
                    }
                    if scratch.batches.iter().any(OpenBatch::is_full) {
                        self.uplink.hand_over(scratch);
                        room = self.uplink.has_room();
                    }
                }
                Event::Acknowledged(token, reason) => self.downlink.acknowledged(token, reason),
                Event::Subscribe(subscribe) => {
                    let subscribing =
                        Subscribing::of(&subscribe, self.uplink.dialect(), self.uplink.own());
                    let limit = self.door.subscriptions;
                    match subscribing.lookups(&mut self.uplink, &self.shared.registry, limit) {
                        None => self.finish_subscribing(subscribing),
                        Some(lookups) => {
                            let asking = Asking::Subscribe {
                                lookups,
                                subscribing,
                            };
                            self.asking = Some(Box::new(asking));
                        }
                    }
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
        if used > 0 && taken == 0 && self.session.is_connected() {
            self.uplink.rest();
        }
        self.shared.telemetry.traffic.received(&by_type);
        if self.timed.is_none() {
            // The last of them: the whole turn counts.
            let last = self.session.newest_waiting().and_then(NonZeroU64::new);
            self.timed = last.map(|last| (last, time));
        }
        if used > 0 && !self.is_consulting() {
            self.listening(now);
        }
        self.settle(now);
        used
    }

    /// A publish that is no event but the answer to a command.
    fn settle_answer(&mut self, answered: Answered, sequence: Sequence) {
        // Nobody waits: told where that can be told. It is no fault that would end a connection.
        let (outcome, reason) = match answered {
            Answered::Unwanted => ("unwanted", ReasonCode::NO_MATCHING_SUBSCRIBERS),
            Answered::Malformed => ("malformed", ReasonCode::PAYLOAD_FORMAT_INVALID),
            Answered::Taken | Answered::No => ("taken", ReasonCode::SUCCESS),
        };
        let answers = &self.shared.telemetry.command_answers;
        answers.with_label_values(&[outcome]).inc();
        self.session.refuse_publish(sequence, reason, None);
    }

    /// A publish that is not taken; its topic, as long as it is known.
    fn turn_down(&mut self, verdict: &Verdict, sequence: Sequence, qos: QoS, topic: Option<&str>) {
        self.dialogue.forget(sequence);
        match verdict {
            Verdict::Refused(reason, because, words) => {
                self.note_refusal(*because);
                let told = match (because.cause(), topic) {
                    (Some(cause), Some(topic)) => self.notify(Request::Publish, topic, cause),
                    _ => false,
                };
                // 3.x has no negative acknowledgement but the end of the connection. A client that
                // has been told in another way needs none.
                let drops = told && self.session.version() != Version::V5;
                let reason = if drops { ReasonCode::SUCCESS } else { *reason };
                if qos != QoS::AtMostOnce {
                    let words = words.as_deref().map(|words| Cow::Owned(words.to_owned()));
                    let text = words.unwrap_or(Cow::Borrowed(because.told()));
                    self.session.refuse_publish(sequence, reason, Some(text));
                }
            }
            Verdict::Dropped => {
                self.shared.telemetry.publishes_forgotten.inc();
                if qos != QoS::AtMostOnce {
                    self.session
                        .refuse_publish(sequence, ReasonCode::SUCCESS, None);
                }
            }
            Verdict::NoRoom => self.shared.telemetry.publishes_dropped.inc(),
            Verdict::Taken | Verdict::Ask(_) | Verdict::Register(_) | Verdict::Consult(_) => {}
        }
    }

    fn note_refusal(&mut self, because: RefusedBecause) {
        let first = !std::mem::replace(&mut self.refusal_logged, true);
        let refused = PublishRefused {
            link: &self.link,
            cause: because.into(),
            first,
        };
        refused.emit(&self.shared.telemetry);
    }

    /// A sink will never take this publish. One that is not required has no say in the answer.
    pub(super) fn note_sink_refusal(&mut self, refused: Refused) {
        self.uplink.note_refusal(&refused);
        let Refused {
            slot,
            sequence,
            refusal,
        } = refused;
        if !self.uplink.requires(slot) {
            return;
        }
        let (reason, cause, text) = match refusal {
            Refusal::Rejected => (
                ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR,
                RefusalCause::SinkRejected,
                "the event is not taken where it goes",
            ),
            Refusal::TooLarge => (
                ReasonCode::QUOTA_EXCEEDED,
                RefusalCause::SinkTooLarge,
                "the event is larger than is taken where it goes",
            ),
        };
        let first = !std::mem::replace(&mut self.refusal_logged, true);
        PublishRefused {
            link: &self.link,
            cause,
            first,
        }
        .emit(&self.shared.telemetry);
        self.dialogue.forget(sequence);
        self.session
            .refuse_publish(sequence, reason, Some(Cow::Borrowed(text)));
    }

    /// Hands over a publish that was decided on by itself, or turns it down.
    pub(super) fn conclude(
        &mut self,
        verdict: &Verdict,
        sequence: Sequence,
        qos: QoS,
        topic: Option<&str>,
        scratch: &mut Scratch,
    ) {
        match verdict {
            Verdict::Taken => self.shared.telemetry.publishes_taken.inc(),
            verdict => self.turn_down(verdict, sequence, qos, topic),
        }
        self.uplink.hand_over(scratch);
    }
}

/// The QoS of a PUBLISH (3), from its fixed header; one above 2 counts as 2 here, and is refused later.
const fn publish_qos(first: u8) -> Option<QoS> {
    match (first >> 4, first & 0b0110) {
        (3, 0) => Some(QoS::AtMostOnce),
        (3, 0b0010) => Some(QoS::AtLeastOnce),
        (3, _) => Some(QoS::ExactlyOnce),
        _ => None,
    }
}
