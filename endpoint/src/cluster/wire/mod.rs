//! What instances say to each other: JSON, as the payload or, beside a payload, as a header.
//!
//! Instances of neighbouring versions meet during a rolling upgrade: fields may be added, with a
//! default, but none changes its meaning.

mod held;
mod report;

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::offer::Offered;
use crate::api::ConnectionEntry;
use crate::command::{CommandError, CommandRequest, Lifetime, UserProperty};
use crate::connection::Identity;
use crate::records::Epoch;
pub(super) use held::{HeldPage, HeldQuestion, Holds, RevokeQuestion};
pub(super) use report::{Report, ReportMeta};

/// The header that carries the object of a message whose payload is a command's or an answer's.
pub(super) const META: &str = "Landfall-Meta";

/// A sign of life.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Presence {
    pub(super) id: String,
    pub(super) instance: String,
    /// The last one.
    #[serde(default)]
    pub(super) leaves: bool,
    /// The highest epoch that it has given or seen.
    #[serde(default)]
    pub(super) epoch: Epoch,
    /// How often others may have missed something that it has told of its sessions.
    #[serde(default)]
    pub(super) doubts: Option<u64>,
    /// Whether anybody is connected to it.
    #[serde(default = "may_be")]
    pub(super) connections: bool,
    /// How many seconds longer it may hold commands; 0: it holds none.
    #[serde(default)]
    pub(super) holds_for: u64,
}

fn may_be() -> bool {
    true
}

/// A device has connected.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Appeared {
    /// Where.
    pub(super) id: String,
    pub(super) application: String,
    pub(super) device: String,
    pub(super) client_id: String,
    /// Its session's epoch.
    pub(super) epoch: Epoch,
}

impl Appeared {
    pub(super) fn of(id: &str, who: &Identity) -> Self {
        Self {
            id: id.to_owned(),
            application: who.application.to_string(),
            device: who.device.to_string(),
            client_id: who.client_id.to_string(),
            epoch: who.epoch,
        }
    }
}

/// A session is over, or never began.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) id: String,
    pub(super) application: String,
    pub(super) device: String,
    pub(super) epoch: Epoch,
}

/// Who asks for an instance's sessions.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asker {
    pub(super) id: String,
    pub(super) instance: String,
}

/// Who is connected, or some of them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Roll {
    pub(super) connected: Vec<Appeared>,
}

/// Who else has this client's device?
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    /// Who asks.
    pub(super) id: String,
    pub(super) application: String,
    pub(super) device: String,
    pub(super) client_id: String,
    /// The epoch of the session that is asked for.
    pub(super) epoch: Epoch,
    /// It is about to begin: older ones of the client are to end first. Else it is over.
    pub(super) claims: bool,
}

/// The answer to a [`Question`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Known {
    /// The device is connected, by another client or by a later session of this one.
    pub(super) connected: bool,
    /// The epoch of a later session of the client.
    #[serde(default)]
    pub(super) later: Option<Epoch>,
}

/// A device has subscribed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Subscribed {
    pub(super) id: String,
    pub(super) application: String,
    pub(super) device: String,
    /// Whose commands it reads; `None`: those of any that it may.
    #[serde(default)]
    pub(super) devices: Option<Vec<String>>,
}

/// Who is connected?
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ConnectionsQuestion {
    pub(super) application: String,
    pub(super) after: Option<String>,
    pub(super) limit: usize,
}

/// Connections of one instance, ordered by device, never cut between those of one device.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConnectionPage {
    /// The connections.
    pub connections: Vec<ConnectionEntry>,
    /// Whether there are more.
    pub more: bool,
}

/// A command; its payload is the message's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CommandMeta {
    /// Who asks, under which number.
    pub(super) origin: String,
    pub(super) number: u64,
    application: String,
    device: String,
    /// Whose connections may take it: the device's, and those of the gateways it names. `None`: any
    /// gateway's, as the device selects by labels.
    #[serde(default)]
    served_by: Option<Vec<String>>,
    command: String,
    content_type: Option<String>,
    user_properties: Vec<UserProperty>,
    /// Seconds of use that are left.
    expiry: Option<u32>,
    wants_answer: bool,
    /// How long its sender waits, in milliseconds; 0: not at all.
    pub(super) patience: u64,
    /// Whether a report may say that it is the last, instead of one more that says nothing else.
    #[serde(default)]
    pub(super) reads_last: bool,
}

impl CommandMeta {
    pub(super) fn of(
        offered: &Offered,
        (origin, number): (&str, u64),
    ) -> Result<Self, CommandError> {
        let command = &offered.command;
        let expiry = command.seconds_left();
        let properties = command.user_properties.as_list();
        let properties = properties.iter();
        Ok(Self {
            origin: origin.to_owned(),
            number,
            application: offered.application.clone(),
            device: command.device.to_string(),
            served_by: offered.served_by.clone(),
            command: command.name.as_str().to_owned(),
            content_type: command.content_type.as_deref().map(str::to_owned),
            user_properties: properties
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            expiry: expiry.map_err(|_| CommandError::Expired)?,
            wants_answer: command.correlation.is_some(),
            patience: u64::try_from(offered.patience.as_millis()).unwrap_or(u64::MAX),
            reads_last: true,
        })
    }

    /// Where it belongs, and who may serve it, if that is known by name.
    pub(super) fn serving(&self) -> Option<(&str, &[String])> {
        let names = self.served_by.as_deref()?;
        Some((&self.application, names))
    }

    pub(super) fn into_request(self, payload: Bytes) -> CommandRequest {
        CommandRequest {
            application: self.application,
            device: self.device,
            command: self.command,
            payload,
            content_type: self.content_type,
            user_properties: self.user_properties,
            expiry: self.expiry.and_then(Lifetime::of_seconds),
            timeout: Duration::from_millis(self.patience),
            wants_answer: self.wants_answer,
        }
    }
}

/// Deliver the command that was asked about.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Go {
    pub(super) origin: String,
    pub(super) number: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    #[test]
    fn a_command_comes_back_as_it_was_asked_for() {
        let request = CommandRequest {
            application: "app".to_owned(),
            device: "d".to_owned(),
            command: "set".to_owned(),
            payload: Bytes::from_static(b"21"),
            content_type: Some("text/plain".to_owned()),
            user_properties: vec![("a".to_owned(), "1".to_owned())],
            expiry: Lifetime::of_seconds(60),
            timeout: Duration::from_millis(2_500),
            wants_answer: true,
        };
        let offered = Offered {
            application: "app".to_owned(),
            served_by: Some(vec!["d".to_owned(), "gw".to_owned()]),
            command: Command::of(request.clone()).unwrap().into(),
            patience: request.timeout,
        };
        let meta = CommandMeta::of(&offered, ("me", 7)).unwrap();
        let json = serde_json::to_string(&meta).unwrap();
        let back: CommandMeta = serde_json::from_str(&json).unwrap();
        assert_eq!((back.origin.as_str(), back.number), ("me", 7));
        let names = ["d".to_owned(), "gw".to_owned()];
        assert_eq!(back.serving(), Some(("app", &names[..])));
        let back = back.into_request(request.payload.clone());
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
    }
}
