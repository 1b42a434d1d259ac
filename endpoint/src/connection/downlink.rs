//! Commands: from the mailbox through the session, and the outcome back to the sender.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use landfall_protocol::codec::SubscriptionIdentifiersBuf;
use landfall_protocol::packet::PublishProperties;
use landfall_protocol::session::{DeliverError, Delivery, Session};
use landfall_protocol::{QoS, ReasonCode};
use landfall_registry::PayloadEncoding;

use super::live::Live;
use super::{Link, Stream};
use crate::command::{Command, Handed, SessionFailure};
use crate::dialect::{InboxDelivery, payload};

/// The downward half of a connection; without memory while there is no command.
#[derive(Default)]
pub(super) struct Downlink(Option<Box<Work>>);

/// Commands that are not settled.
#[derive(Default)]
struct Work {
    last_token: u64,
    /// Commands that were begun and have not been acknowledged in full.
    begun: Vec<Begun>,
    /// Messages of begun commands that did not fit the client's receive maximum.
    backlog: VecDeque<Message>,
}

/// One PUBLISH of a command that is still to be written.
struct Message {
    token: u64,
    command: Arc<Command>,
    /// As it goes on the wire.
    payload: Bytes,
    delivery: InboxDelivery,
}

struct Begun {
    token: u64,
    handed: Handed,
    /// Messages without their acknowledgement.
    open: usize,
    failure: Option<SessionFailure>,
}

impl Downlink {
    /// The client acknowledged one message of a command.
    pub(super) fn acknowledged(&mut self, token: u64, reason: ReasonCode) {
        if let Some(work) = &mut self.0 {
            let failure = reason
                .is_failure()
                .then_some(SessionFailure::Refused(reason));
            work.finish_one(token, failure);
        }
        self.rest();
    }

    /// Delivers what waits in the backlog and then in the mailbox, as far as the client's receive
    /// maximum goes.
    fn deliver(&mut self, session: &mut Session, link: &Link, encoding: PayloadEncoding) {
        if let Some(work) = &mut self.0 {
            work.deliver(session);
        }
        while session.is_connected() && self.0.as_ref().is_none_or(|work| work.backlog.is_empty()) {
            let may = session.can_deliver();
            let Some(handed) = link.next_command(|c| may || c.is_abandoned()) else {
                break;
            };
            // Nobody waits for it any more: a late command is worse than none.
            if !handed.is_abandoned() {
                let work = self.0.get_or_insert_default();
                work.begin(handed, link, encoding);
                work.deliver(session);
            }
        }
        self.rest();
    }

    /// Gives the memory back once all is settled.
    fn rest(&mut self) {
        if self
            .0
            .as_ref()
            .is_some_and(|work| work.begun.is_empty() && work.backlog.is_empty())
        {
            self.0 = None;
        }
    }
}

impl Work {
    /// One message of a command is settled; the last one settles the command.
    fn finish_one(&mut self, token: u64, failure: Option<SessionFailure>) {
        let Some(at) = self.begun.iter().position(|begun| begun.token == token) else {
            return;
        };
        if let Some(begun) = self.begun.get_mut(at) {
            begun.failure = begun.failure.or(failure);
            begun.open = begun.open.saturating_sub(1);
            if begun.open > 0 {
                return;
            }
        }
        let begun = self.begun.swap_remove(at);
        begun
            .handed
            .report(QoS::AtLeastOnce, begun.failure.map_or(Ok(()), Err));
    }

    /// Begins a command: its messages go into the backlog.
    fn begin(&mut self, handed: Handed, link: &Link, encoding: PayloadEncoding) {
        let command = Arc::clone(&handed.command);
        let deliveries = link.with_inbox(|inbox| inbox.deliveries(&link.outgoing(&command)));
        // Unsubscribed meanwhile: dropped, and its sender learns that nobody took it.
        if deliveries.is_empty() {
            return;
        }
        self.last_token += 1;
        let token = self.last_token;
        self.begun.push(Begun {
            token,
            handed,
            open: deliveries.len(),
            failure: None,
        });
        let payload = payload::encode(encoding, &command.payload);
        let messages = deliveries.into_iter().map(|delivery| Message {
            token,
            command: Arc::clone(&command),
            payload: payload.clone(),
            delivery,
        });
        self.backlog.extend(messages);
    }

    /// Writes the messages of the backlog that the client takes now.
    fn deliver(&mut self, session: &mut Session) {
        while let Some(message) = self.backlog.front() {
            let token = message.token;
            match write(session, message) {
                Err(DeliverError::WindowFull) => return,
                Ok(QoS::AtMostOnce) => self.sent(token),
                Ok(_) => {}
                Err(DeliverError::TooLarge) => {
                    self.finish_one(token, Some(SessionFailure::TooLarge));
                }
                Err(DeliverError::NotConnected) => {}
            }
            self.backlog.pop_front();
        }
    }

    /// A QoS 0 message is on its way; alone, it settles its command as sent.
    fn sent(&mut self, token: u64) {
        let alone =
            |begun: &Begun| begun.token == token && begun.open == 1 && begun.failure.is_none();
        match self.begun.iter().position(alone) {
            Some(at) if !self.has_acknowledged_part(token) => {
                let begun = self.begun.swap_remove(at);
                begun.handed.report(QoS::AtMostOnce, Ok(()));
            }
            _ => self.finish_one(token, None),
        }
    }

    /// Whether a message of the command at QoS 1 is still to come.
    fn has_acknowledged_part(&self, token: u64) -> bool {
        self.backlog
            .iter()
            .any(|message| message.token == token && message.delivery.qos != QoS::AtMostOnce)
    }
}

impl<S: Stream> Live<S> {
    /// Delivers the commands that wait.
    pub(super) fn deliver_commands(&mut self) {
        let encoding = self.uplink.payload_encoding();
        self.downlink
            .deliver(&mut self.session, &self.link, encoding);
    }
}

fn write(session: &mut Session, message: &Message) -> Result<QoS, DeliverError> {
    let Message {
        token,
        command,
        payload,
        delivery,
    } = message;
    let identifiers = encoded(&delivery.identifiers);
    let properties = PublishProperties {
        content_type: command.content_type.as_deref(),
        subscription_identifiers: identifiers.as_list(),
        ..PublishProperties::default()
    };
    let message = Delivery {
        topic: &delivery.topic,
        qos: delivery.qos,
        payload,
        properties,
    };
    session.deliver(message, *token).map(|()| delivery.qos)
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
