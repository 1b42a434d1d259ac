//! Commands whose answers are waited for, and the publishes that answer them.

use landfall_protocol::Version;
use landfall_protocol::packet::Publish;

use super::Uplink;
use crate::command::{Command, Correlation, Handed, Replier, ResponseTopic};
use crate::dialect::{Dialect, payload};

/// Most requests that one connection may owe an answer.
const MOST: usize = 64;

/// What a connection owes answers to, oldest first.
#[derive(Default)]
pub(super) struct Requests(Vec<Request>);

struct Request {
    device: Box<str>,
    command: Box<str>,
    correlation: Correlation,
    replier: Replier,
}

/// What a publish is, as far as answers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection) enum Answered {
    /// No answer: an event.
    No,
    /// An answer that somebody waited for.
    Taken,
    /// An answer that is not in the device's payload encoding; it is still waited for.
    Malformed,
    /// An answer that nobody waits for, here, any more or again.
    Unwanted,
}

/// Whether a connection can answer at all.
pub(super) fn can_answer(version: Version, dialect: &dyn Dialect) -> bool {
    version == Version::V5 || dialect.reserves_answers()
}

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits for the answer to a command. False: too many are waited for.
    pub(super) fn add(&mut self, handed: &Handed, correlation: Correlation) -> bool {
        self.0.retain(|request| !request.replier.is_abandoned());
        if self.0.len() >= MOST {
            return false;
        }
        let command: &Command = &handed.command;
        self.0.push(Request {
            device: command.device.clone(),
            command: command.name.as_str().into(),
            correlation,
            replier: handed.replier(),
        });
        true
    }

    /// Waits no longer for the answer to a command that failed.
    pub(super) fn forget(&mut self, correlation: Correlation) {
        self.0.retain(|request| request.correlation != correlation);
    }

    /// Hands a publish to whoever waits for it.
    ///
    /// MQTT 5 answers carry the correlation data of their request. Where the dialect reserves the
    /// topic, an answer without any belongs to the oldest request of its topic: 3.x clients have
    /// nothing else to say, and some libraries of MQTT 5 let their users forget.
    pub(super) fn answer(
        &mut self,
        publish: &Publish<'_>,
        topic: ResponseTopic<'_>,
        uplink: &Uplink,
    ) -> Answered {
        let correlation = publish.properties.correlation_data;
        let reserved = uplink.dialect().reserves_answers();
        let own = uplink.device().name();
        let is_meant = |request: &Request| {
            topic.is_for(&request.device, &request.command, own)
                && match correlation {
                    Some(data) => request.correlation.as_bytes() == data,
                    None => reserved,
                }
        };
        // In a dialect without topics for answers everything else is an event.
        let other = match reserved {
            true => Answered::Unwanted,
            false => Answered::No,
        };
        let Some(at) = self.0.iter().position(is_meant) else {
            return other;
        };
        let Ok(payload) = payload::decode(uplink.payload_encoding(), publish.payload) else {
            return Answered::Malformed;
        };
        let payload = payload.into_owned().into();
        let content_type = publish.properties.content_type.map(Into::into);
        match self.0.remove(at).replier.answer(payload, content_type) {
            true => Answered::Taken,
            false => other,
        }
    }
}
