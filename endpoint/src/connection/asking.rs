//! Packets that wait for an answer: of the registry, or of the endpoints of rules. Reading stops
//! until it has come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use landfall_events::event::Timestamp;
use landfall_events::sink::Sequence;
use landfall_protocol::session::Time;
use landfall_protocol::{QoS, ReasonCode};
use landfall_registry::{Registry, Unavailable};

use super::live::Live;
use super::owned::OwnedPublish;
use super::registering::Asked;
use super::ruling::{Consultation, Ruled, Tries};
use super::subscribing::{Lookups, Subscribing};
use super::uplink::{Arrival, Uplink};
use super::verdict::Verdict;
use super::{Link, Scratch, Stream};
use crate::server::Shared;
use crate::telemetry::DeviceRegistered;

/// What the registry will say of a device.
pub(super) type Question = Pin<Box<dyn Future<Output = Result<Asked, Unavailable>> + Send>>;

/// A packet that waits for the registry's answer; reading stops until it has come.
pub(super) enum Asking {
    /// A publish on behalf of a device that the registry's cache does not hold, or that is being
    /// registered.
    Publish {
        device: Box<str>,
        question: Question,
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
    Device(Asked),
    Inboxes(Vec<Asked>),
    Ruled(Option<Box<Ruled>>),
}

impl Asking {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Unavailable>> {
        match self {
            Self::Publish { question, .. } => question.as_mut().poll(cx).map_ok(Answer::Device),
            Self::Subscribe { lookups, .. } => lookups.as_mut().poll(cx).map_ok(Answer::Inboxes),
            Self::Rules { settled, .. } => {
                let ruled = settled.as_mut().poll(cx);
                ruled.map(|ruled| Ok(Answer::Ruled(ruled.map(Box::new))))
            }
        }
    }
}

impl Uplink {
    /// Asks the registry about a device.
    pub(super) fn look_up(&self, device: &str, registry: &Registry) -> Question {
        let registry = registry.clone();
        let application = Arc::clone(self.application_name());
        let device: Box<str> = device.into();
        Box::pin(async move {
            let found = registry.device(&application, &device).await?;
            Ok(Asked::Device(found))
        })
    }

    /// Has a device registered.
    pub(super) fn registration(&self, device: &str, registry: &Registry) -> Question {
        let clerk = self.clerk(registry);
        let device: Box<str> = device.into();
        Box::pin(async move {
            Ok(match clerk {
                Some(clerk) => Asked::Registered(clerk.register(device).await),
                None => Asked::Device(None),
            })
        })
    }
}

/// Counts and logs a registration.
pub(super) fn note_registration(link: &Link, shared: &Shared, device: &str, asked: &Asked) {
    if let Asked::Registered(result) = asked {
        let registered = DeviceRegistered {
            link,
            device,
            error: result.as_ref().err(),
        };
        registered.emit(&shared.telemetry);
    }
}

impl<S: Stream> Live<S> {
    /// Keeps a publish until the registry has answered about its device; reading stops meanwhile.
    pub(super) fn ask(
        &mut self,
        device: Box<str>,
        question: Question,
        publish: OwnedPublish,
        sequence: Sequence,
        time: Timestamp,
    ) {
        self.asking = Some(Box::new(Asking::Publish {
            device,
            question,
            publish,
            sequence,
            time,
        }));
    }

    /// Asks the endpoints of the application's rules; reading stops until they have answered, and
    /// the client is not held to its keep-alive meanwhile.
    pub(super) fn consult(
        &mut self,
        consultation: Consultation,
        sequence: Sequence,
        qos: QoS,
        now: Time,
    ) {
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

    pub(super) fn is_consulting(&self) -> bool {
        matches!(self.asking.as_deref(), Some(Asking::Rules { .. }))
    }

    /// Goes on with the packet that waits for an answer, as often as one has come: it may lead to
    /// the next question.
    pub(super) fn poll_asking(&mut self, cx: &mut Context<'_>, now: Time, scratch: &mut Scratch) {
        while let Some(asking) = self.asking.as_deref_mut()
            && let Poll::Ready(answered) = asking.poll(cx)
        {
            let asking = self.asking.take();
            let (Ok(answer), Some(asking)) = (answered, asking) else {
                // Neither allowed nor forbidden: the device tries again on a new connection.
                self.session.close(ReasonCode::SERVER_UNAVAILABLE);
                return;
            };
            self.go_on(*asking, answer, now, scratch);
            self.held = !self.pending.is_empty();
            self.settle(now);
        }
    }

    fn go_on(&mut self, asking: Asking, answer: Answer, now: Time, scratch: &mut Scratch) {
        match (asking, answer) {
            (
                Asking::Publish {
                    device,
                    publish,
                    sequence,
                    time,
                    ..
                },
                Answer::Device(asked),
            ) => {
                self.note_registration(&device, &asked);
                self.publish_asked(publish, sequence, time, &asked, now, scratch);
            }
            (
                Asking::Subscribe {
                    mut subscribing, ..
                },
                Answer::Inboxes(answers),
            ) => {
                self.judge_subscriptions(&mut subscribing, answers);
                self.finish_subscribing(subscribing);
            }
            (Asking::Rules { sequence, qos, .. }, Answer::Ruled(ruled)) => {
                let verdict = match ruled {
                    Some(ruled) => self.uplink.ruled(*ruled, sequence, scratch),
                    None => Verdict::NoRoom,
                };
                self.conclude(&verdict, sequence, qos, None, scratch);
                self.listening(now);
            }
            _ => {}
        }
    }

    /// The publish whose device has been looked up.
    fn publish_asked(
        &mut self,
        publish: OwnedPublish,
        sequence: Sequence,
        time: Timestamp,
        asked: &Asked,
        now: Time,
        scratch: &mut Scratch,
    ) {
        let arrival = Arrival {
            sequence,
            time,
            shared: &self.shared,
            asked: Some(asked),
            id: None,
        };
        let qos = publish.borrow().qos;
        match self.uplink.publish(&publish.borrow(), &arrival, scratch) {
            Verdict::Consult(consultation) => {
                self.consult(*consultation, sequence, qos, now);
            }
            Verdict::Register(device) => {
                let question = self.uplink.registration(&device, &self.shared.registry);
                self.ask(device, question, publish, sequence, time);
            }
            verdict => self.conclude(&verdict, sequence, qos, Some(publish.topic()), scratch),
        }
    }

    /// Counts and logs a registration.
    pub(super) fn note_registration(&self, device: &str, asked: &Asked) {
        note_registration(&self.link, &self.shared, device, asked);
    }
}
