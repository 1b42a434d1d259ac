//! What the server says to a client in the words of its dialect: answers to requests, and
//! notifications of refusals.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use bytes::Bytes;
use landfall_events::event::Timestamp;
use landfall_events::sink::Sequence;
use landfall_protocol::codec::SubscriptionIdentifiersBuf;
use landfall_protocol::packet::{Publish, PublishProperties};
use landfall_protocol::session::{DeliverError, Delivery, Session};

use super::live::Live;
use super::{Link, Stream};
use crate::dialect::{Cause, Dialect, InboxDelivery, Message, Refused, Request};

/// The downward half's tokens start at 1.
const TOKEN: u64 = 0;
/// Messages that wait for the client, or for their publish; more are not made.
const MOST: usize = 64;

/// Without memory while there is nothing to say.
#[derive(Default)]
pub(super) struct Dialogue(Option<Box<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// Answers to publishes that no sink has accepted yet.
    answers: VecDeque<(Sequence, Message)>,
    /// What does not fit the client's receive maximum.
    backlog: VecDeque<(InboxDelivery, Bytes)>,
}

impl Dialogue {
    /// Keeps the answer to a publish, if there is one, until the publish is accepted.
    pub(super) fn expect(
        &mut self,
        sequence: Sequence,
        publish: &Publish<'_>,
        dialect: &dyn Dialect,
    ) {
        let Some(answer) = dialect.answer(publish.topic, publish.payload) else {
            return;
        };
        let waiting = self.0.get_or_insert_default();
        if waiting.answers.len() < MOST {
            waiting.answers.push_back((sequence, answer));
        }
    }

    /// The publish was refused: nothing to answer.
    pub(super) fn forget(&mut self, sequence: Sequence) {
        if let Some(waiting) = &mut self.0 {
            waiting.answers.retain(|(of, _)| *of != sequence);
        }
    }

    /// Gives the answers to all publishes up to this one.
    fn accepted(&mut self, up_to: Sequence, link: &Link) {
        while let Some(waiting) = &mut self.0
            && waiting.answers.front().is_some_and(|(of, _)| *of <= up_to)
            && let Some((_, answer)) = waiting.answers.pop_front()
        {
            self.say(answer, link);
        }
    }

    /// Queues a message if the client subscribes to one of its topics. False: it does not.
    fn say(&mut self, message: Message, link: &Link) -> bool {
        let told = link.with_inbox(|inbox| {
            let mut topics = message.topics.into_iter();
            topics.find_map(|topic| inbox.told(topic))
        });
        let Some(delivery) = told else { return false };
        let waiting = self.0.get_or_insert_default();
        if waiting.backlog.len() < MOST {
            waiting.backlog.push_back((delivery, message.payload));
        }
        true
    }

    /// Writes what the client takes now.
    fn deliver(&mut self, session: &mut Session) {
        let Some(waiting) = &mut self.0 else { return };
        while let Some((delivery, payload)) = waiting.backlog.front() {
            let identifiers = encoded(&delivery.identifiers);
            let message = Delivery {
                topic: &delivery.topic,
                qos: delivery.qos,
                payload,
                properties: PublishProperties {
                    content_type: Some("application/json"),
                    subscription_identifiers: identifiers.as_list(),
                    ..PublishProperties::default()
                },
            };
            if session.deliver(message, TOKEN) == Err(DeliverError::WindowFull) {
                return;
            }
            waiting.backlog.pop_front();
        }
        if waiting.answers.is_empty() {
            self.0 = None;
        }
    }
}

fn encoded(identifiers: &[NonZeroU32]) -> SubscriptionIdentifiersBuf {
    let mut list = SubscriptionIdentifiersBuf::new();
    for identifier in identifiers {
        // They came in a SUBSCRIBE, so they are within the range of a variable byte integer.
        if list.push(*identifier).is_err() {
            break;
        }
    }
    list
}

impl<S: Stream> Live<S> {
    /// Says what is due.
    pub(super) fn say_what_is_due(&mut self) {
        if self.dialogue.0.is_none() {
            return;
        }
        let accepted = self.uplink.accepted(&self.link);
        self.dialogue.accepted(accepted, &self.link);
        self.dialogue.deliver(&mut self.session);
    }

    /// Tells the client of a refusal, if its dialect has a way and the client listens to it.
    pub(super) fn notify(&mut self, request: Request, topic: &str, cause: Cause) -> bool {
        let time = Timestamp::now().rfc3339();
        let refused = Refused {
            request,
            topic,
            time: std::str::from_utf8(&time).unwrap_or_default(),
            client_id: &self.link.identity.client_id,
            own: self.uplink.own(),
            cause,
        };
        match self.uplink.dialect().notice(&refused) {
            Some(message) => self.dialogue.say(message, &self.link),
            None => false,
        }
    }
}
