//! Packets of the client: what each event of the session leads to.

use std::pin::Pin;
use std::task::{Context, Poll};

use landfall_events::event::Timestamp;
use landfall_events::sink::{OpenBatch, Refusal, Sequence};
use landfall_protocol::session::{Event, Time};
use landfall_protocol::{QoS, ReasonCode};
use landfall_registry::{Found, Unavailable};

use super::downlink::Answered;
use super::live::Live;
use super::owned::OwnedPublish;
use super::ruling::{Consultation, Ruled, Tries};
use super::subscribing::{Lookups, Subscribing, unsubscribe_all};
use super::uplink::Arrival;
use super::verdict::{RefusedBecause, Verdict};
use super::{Scratch, Stream};
use crate::telemetry::PublishRefused;

/// A packet that waits for the registry's answer; reading stops until it has come.
pub(super) enum Asking {
    /// A publish on behalf of a device that the registry's cache does not hold.
    Publish {
        lookup: Pin<Box<dyn Future<Output = Result<Option<Found>, Unavailable>> + Send>>,
        publish: OwnedPublish,
        sequence: Sequence,
        time: Timestamp,
    },
    /// Subscriptions to other devices' inboxes.
    Subscribe {
        lookups: Lookups,
        subscribing: Subscribing,
    },
    /// A publish about which a rule asks an endpoint.
    Rules {
        settled: Pin<Box<dyn Future<Output = Option<Ruled>> + Send>>,
        sequence: Sequence,
        qos: QoS,
    },
}

/// What came of asking.
enum Answer {
    Device(Option<Found>),
    Inboxes(Vec<Option<Found>>),
    Ruled(Option<Box<Ruled>>),
}

impl Asking {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Unavailable>> {
        match self {
            Self::Publish { lookup, .. } => lookup.as_mut().poll(cx).map_ok(Answer::Device),
            Self::Subscribe { lookups, .. } => lookups.as_mut().poll(cx).map_ok(Answer::Inboxes),
            Self::Rules { settled, .. } => {
                let ruled = settled.as_mut().poll(cx);
                ruled.map(|ruled| Ok(Answer::Ruled(ruled.map(Box::new))))
            }
        }
    }
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
                    let answered = self.downlink.answer(&publish, &self.uplink);
                    if answered != Answered::No {
                        self.settle_answer(answered, sequence);
                        continue;
                    }
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
                        Verdict::Consult(consultation) => {
                            self.consult(*consultation, sequence, qos, now);
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
                    let subscribing =
                        Subscribing::of(&subscribe, self.uplink.dialect(), self.uplink.own());
                    let limit = self.door.subscriptions;
                    match subscribing.lookups(&self.link, &self.shared.registry, limit) {
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
        self.session.refuse_publish(sequence, reason);
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
            Verdict::Dropped => {
                self.shared.telemetry.publishes_forgotten.inc();
                if qos != QoS::AtMostOnce {
                    self.session.refuse_publish(sequence, ReasonCode::SUCCESS);
                }
            }
            Verdict::NoRoom => self.shared.telemetry.publishes_dropped.inc(),
            Verdict::Taken | Verdict::Ask(_) | Verdict::Consult(_) => {}
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
        self.asking = Some(Box::new(Asking::Publish {
            lookup,
            publish,
            sequence,
            time,
        }));
    }

    /// Asks the endpoints of the application's rules; reading stops until they have answered, and
    /// the client is not held to its keep-alive meanwhile.
    fn consult(&mut self, consultation: Consultation, sequence: Sequence, qos: QoS, now: Time) {
        let tries = if qos == QoS::AtMostOnce {
            Tries::One
        } else {
            Tries::Any
        };
        self.asking = Some(Box::new(Asking::Rules {
            settled: Box::pin(consultation.settle(tries)),
            sequence,
            qos,
        }));
        self.waiting(now);
    }

    fn is_consulting(&self) -> bool {
        matches!(self.asking.as_deref(), Some(Asking::Rules { .. }))
    }

    /// Goes on with the packet that waited for an answer, once it has come.
    pub(super) fn poll_asking(&mut self, cx: &mut Context<'_>, now: Time, scratch: &mut Scratch) {
        let Some(asking) = self.asking.as_deref_mut() else {
            return;
        };
        let Poll::Ready(answered) = asking.poll(cx) else {
            return;
        };
        let asking = self.asking.take();
        let (Ok(answer), Some(asking)) = (answered, asking) else {
            // Neither allowed nor forbidden: the device tries again on a new connection.
            self.session.close(ReasonCode::SERVER_UNAVAILABLE);
            return;
        };
        match (*asking, answer) {
            (
                Asking::Publish {
                    publish,
                    sequence,
                    time,
                    ..
                },
                Answer::Device(found),
            ) => self.publish_asked(&publish, sequence, time, &found, now, scratch),
            (
                Asking::Subscribe {
                    mut subscribing, ..
                },
                Answer::Inboxes(answers),
            ) => {
                subscribing.judge(answers, self.uplink.device());
                self.finish_subscribing(subscribing);
            }
            (Asking::Rules { sequence, qos, .. }, Answer::Ruled(ruled)) => {
                let verdict = match ruled {
                    Some(ruled) => self.uplink.ruled(*ruled, sequence, scratch),
                    None => Verdict::NoRoom,
                };
                self.conclude(verdict, sequence, qos, scratch);
                self.listening(now);
            }
            _ => {}
        }
        self.held = !self.pending.is_empty();
        self.settle(now);
    }

    /// The publish whose device has been looked up.
    fn publish_asked(
        &mut self,
        publish: &OwnedPublish,
        sequence: Sequence,
        time: Timestamp,
        found: &Option<Found>,
        now: Time,
        scratch: &mut Scratch,
    ) {
        let publish = publish.borrow();
        let registry = &self.shared.registry;
        let arrival = Arrival {
            sequence,
            time,
            registry,
            asked: Some(found),
        };
        match self.uplink.publish(&publish, &arrival, scratch) {
            Verdict::Consult(consultation) => {
                self.consult(*consultation, sequence, publish.qos, now);
            }
            verdict => self.conclude(verdict, sequence, publish.qos, scratch),
        }
    }

    /// Hands over a publish that was decided on by itself, or turns it down.
    fn conclude(&mut self, verdict: Verdict, sequence: Sequence, qos: QoS, scratch: &mut Scratch) {
        match verdict {
            Verdict::Taken => self.shared.telemetry.publishes_taken.inc(),
            verdict => self.turn_down(&verdict, sequence, qos),
        }
        self.uplink.hand_over(scratch);
    }
}

/// From the fixed header: PUBLISH (3) with QoS above 0.
const fn is_acknowledged_publish(first: u8) -> bool {
    first >> 4 == 3 && first & 0b0110 != 0
}
