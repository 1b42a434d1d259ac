//! Commands: from the mailbox through the session, and the outcome back to the sender.
//!
//! - `right`: may the connected device have it, now?
//! - `write`: one PUBLISH;
//! - `requests`: whose answers are waited for.

mod requests;
mod right;
mod write;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;

use bytes::Bytes;
use landfall_protocol::packet::Publish;
use landfall_protocol::session::Session;
use landfall_protocol::{QoS, ReasonCode};
use landfall_registry::{Device, PayloadEncoding, Registry};

use super::live::Live;
use super::uplink::Uplink;
use super::{Link, Stream};
use crate::command::{Command, Handed, ResponseTopic, SessionFailure};
use crate::dialect::{Dialect, InboxDelivery, payload};
pub(super) use requests::Answered;
use requests::{Requests, can_answer};
use right::{Checking, Right, right};
use write::{WriteError, check, write};

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
    /// The next command, while the registry is asked about it.
    checking: Option<Checking>,
    requests: Requests,
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
    /// One of its messages was written.
    is_written: bool,
    failure: Option<SessionFailure>,
}

/// To whom commands are delivered.
#[derive(Clone, Copy)]
struct Receiver<'a> {
    link: &'a Link,
    device: &'a Device,
    dialect: &'a dyn Dialect,
    encoding: PayloadEncoding,
    registry: &'a Registry,
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

    /// Takes a publish that answers a command.
    pub(super) fn answer(&mut self, publish: &Publish<'_>, uplink: &Uplink) -> Answered {
        let Some(topic) = ResponseTopic::parse(publish.topic) else {
            return Answered::No;
        };
        let answered = match &mut self.0 {
            Some(work) => work.requests.answer(publish, topic, uplink),
            None if uplink.dialect().reserves_answers() => Answered::Unwanted,
            None => Answered::No,
        };
        self.rest();
        answered
    }

    /// Delivers what waits in the backlog and then in the mailbox, as far as the client's receive
    /// maximum goes.
    fn deliver(&mut self, session: &mut Session, to: Receiver<'_>, cx: &mut Context<'_>) {
        if let Some(work) = &mut self.0 {
            work.deliver(session);
        }
        while session.is_connected() && self.0.as_ref().is_none_or(|work| work.backlog.is_empty()) {
            let may = session.can_deliver();
            let checking = self.0.as_mut().and_then(|work| work.checking.take());
            let right = match checking {
                Some(checking) => checking.poll(to.device, cx),
                None => {
                    let Some(handed) = to.link.next_command(|c| may || c.is_abandoned()) else {
                        break;
                    };
                    // Nobody waits for it any more: a late command is worse than none.
                    if handed.is_abandoned() {
                        continue;
                    }
                    let application = &to.link.identity.application;
                    right(handed, to.device, application, to.registry, cx)
                }
            };
            match right {
                Right::Given(handed) => {
                    let work = self.0.get_or_insert_default();
                    work.begin(handed, to, session);
                    work.deliver(session);
                }
                Right::Refused(handed, failure) => handed.report(QoS::AtMostOnce, Err(failure)),
                Right::Unknown(checking) => {
                    self.0.get_or_insert_default().checking = Some(checking);
                    break;
                }
            }
        }
        self.rest();
    }

    /// The connection is over: the senders of what is not settled learn whether it may have come.
    pub(super) fn end(&mut self) {
        if let Some(work) = self.0.take() {
            work.end();
        }
    }

    /// Whether no command is begun that still has to be acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        let settled = |work: &Work| work.begun.is_empty() && work.checking.is_none();
        self.0.as_deref().is_none_or(settled)
    }

    /// Gives the memory back once all is settled.
    fn rest(&mut self) {
        if self.0.as_ref().is_some_and(|work| work.is_done()) {
            self.0 = None;
        }
    }
}

impl Work {
    fn is_done(&self) -> bool {
        self.begun.is_empty()
            && self.backlog.is_empty()
            && self.checking.is_none()
            && self.requests.is_empty()
    }

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
        if begun.failure.is_some()
            && let Some(correlation) = begun.handed.command.correlation
        {
            self.requests.forget(correlation);
        }
        begun
            .handed
            .report(QoS::AtLeastOnce, begun.failure.map_or(Ok(()), Err));
    }

    fn end(self) {
        if let Some(checking) = self.checking {
            checking.give_up();
        }
        // What was written is lost, and says so when it is dropped.
        for begun in self.begun.into_iter().filter(|begun| !begun.is_written) {
            begun
                .handed
                .report(QoS::AtMostOnce, Err(SessionFailure::Gone));
        }
    }

    /// Begins a command: its messages go into the backlog, all of them or none.
    fn begin(&mut self, handed: Handed, to: Receiver<'_>, session: &Session) {
        let (command, link) = (Arc::clone(&handed.command), to.link);
        let deliveries = link.with_inbox(|inbox| inbox.deliveries(&link.outgoing(&command)));
        if deliveries.is_empty() {
            // Unsubscribed meanwhile.
            return handed.report(QoS::AtMostOnce, Err(SessionFailure::Gone));
        }
        let token = self.last_token + 1;
        let payload = payload::encode(to.encoding, &command.payload);
        let message = |delivery| Message {
            token,
            command: Arc::clone(&command),
            payload: payload.clone(),
            delivery,
        };
        let messages: Vec<Message> = deliveries.into_iter().map(message).collect();
        if let Some(failure) = messages.iter().find_map(|it| check(session, it).err()) {
            return handed.report(QoS::AtMostOnce, Err(failure));
        }
        if let Some(correlation) = command.correlation {
            if !can_answer(link.identity.version, to.dialect) {
                return handed.report(QoS::AtMostOnce, Err(SessionFailure::CannotAnswer));
            }
            if !self.requests.add(&handed, correlation) {
                return handed.report(QoS::AtMostOnce, Err(SessionFailure::TooManyRequests));
            }
        }
        self.last_token = token;
        self.begun.push(Begun {
            token,
            handed,
            open: messages.len(),
            is_written: false,
            failure: None,
        });
        self.backlog.extend(messages);
    }

    /// Writes the messages of the backlog that the client takes now.
    fn deliver(&mut self, session: &mut Session) {
        while let Some(message) = self.backlog.front() {
            let token = message.token;
            match write(session, message) {
                Err(WriteError::WindowFull) => return,
                Ok(qos) => self.written(token, qos),
                Err(WriteError::Failed(failure)) => self.finish_one(token, Some(failure)),
                Err(WriteError::Over) => {}
            }
            self.backlog.pop_front();
        }
    }

    fn written(&mut self, token: u64, qos: QoS) {
        if let Some(begun) = self.begun.iter_mut().find(|begun| begun.token == token) {
            begun.is_written = true;
        }
        if qos == QoS::AtMostOnce {
            self.sent(token);
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
    pub(super) fn deliver_commands(&mut self, cx: &mut Context<'_>) {
        let to = Receiver {
            link: &self.link,
            device: self.uplink.device(),
            dialect: self.uplink.dialect(),
            encoding: self.uplink.payload_encoding(),
            registry: &self.shared.registry,
        };
        self.downlink.deliver(&mut self.session, to, cx);
    }
}
