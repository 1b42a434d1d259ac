//! What instances say to each other: JSON, as the payload or, beside a payload, as a header.
//!
//! Instances of neighbouring versions meet during a rolling upgrade: fields may be added, with a
//! default, but none changes its meaning.

use std::time::Duration;

use bytes::Bytes;
use landfall_protocol::{QoS, ReasonCode};
use serde::{Deserialize, Serialize};

use crate::api::ConnectionEntry;
use crate::command::{
    Answer, Command, CommandError, CommandRequest, Lifetime, SessionFailure, SessionReport,
    UserProperty,
};
use crate::connection::Identity;
use crate::records::Epoch;

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
    /// Whether anybody is connected to it.
    #[serde(default = "may_be")]
    pub(super) connections: bool,
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
    command: String,
    content_type: Option<String>,
    user_properties: Vec<UserProperty>,
    /// Seconds of use that are left.
    expiry: Option<u32>,
    wants_answer: bool,
    /// How long its sender waits, in milliseconds; 0: not at all.
    pub(super) patience: u64,
}

impl CommandMeta {
    pub(super) fn of(
        command: &Command,
        application: &str,
        (origin, number): (&str, u64),
        patience: Duration,
    ) -> Result<Self, CommandError> {
        let expiry = command.seconds_left();
        let properties = command.user_properties.as_list();
        let properties = properties.iter();
        Ok(Self {
            origin: origin.to_owned(),
            number,
            application: application.to_owned(),
            device: command.device.to_string(),
            command: command.name.as_str().to_owned(),
            content_type: command.content_type.as_deref().map(str::to_owned),
            user_properties: properties
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            expiry: expiry.map_err(|_| CommandError::Expired)?,
            wants_answer: command.correlation.is_some(),
            patience: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        })
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

/// What became of a command; an answer's payload is the message's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReportMeta {
    pub(super) number: u64,
    pub(super) report: Report,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Settled {
        via: String,
        instance: String,
        qos: u8,
        microseconds: u64,
        failure: Option<Failure>,
    },
    Answered {
        via: String,
        content_type: Option<String>,
    },
    /// No more will come.
    Done,
}

/// [`SessionFailure`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    TooLarge,
    Refused(u8),
    Expired,
    NotSelected,
    CannotAnswer,
    TooManyRequests,
    Unavailable,
    NoTopic,
}

impl Report {
    /// As it is sent, with the payload beside it.
    pub(super) fn of(report: SessionReport, own: &str) -> (Self, Bytes) {
        match report {
            SessionReport::Settled {
                via,
                instance,
                qos,
                latency,
                result,
            } => {
                let settled = Self::Settled {
                    via: via.to_string(),
                    instance: instance.as_deref().unwrap_or(own).to_owned(),
                    qos: qos as u8,
                    microseconds: u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
                    failure: result.err().map(Failure::from),
                };
                (settled, Bytes::new())
            }
            SessionReport::Answered(answer) => {
                let answered = Self::Answered {
                    via: answer.via.to_string(),
                    content_type: answer.content_type.map(String::from),
                };
                (answered, answer.payload)
            }
        }
    }

    /// As the sender's side takes it; `None`: no more will come.
    pub(super) fn into_report(self, payload: Bytes) -> Option<SessionReport> {
        Some(match self {
            Self::Settled {
                via,
                instance,
                qos,
                microseconds,
                failure,
            } => SessionReport::Settled {
                via: via.into(),
                instance: Some(instance.into()),
                qos: match qos {
                    0 => QoS::AtMostOnce,
                    _ => QoS::AtLeastOnce,
                },
                latency: Duration::from_micros(microseconds),
                result: failure.map_or(Ok(()), |failure| Err(failure.into())),
            },
            Self::Answered { via, content_type } => SessionReport::Answered(Answer {
                via: via.into(),
                payload,
                content_type: content_type.map(Into::into),
            }),
            Self::Done => return None,
        })
    }
}

impl From<SessionFailure> for Failure {
    fn from(failure: SessionFailure) -> Self {
        match failure {
            SessionFailure::TooLarge => Self::TooLarge,
            SessionFailure::Refused(reason) => Self::Refused(reason.0),
            SessionFailure::Expired => Self::Expired,
            // The same to its sender.
            SessionFailure::NotSelected | SessionFailure::Gone => Self::NotSelected,
            SessionFailure::NoTopic => Self::NoTopic,
            SessionFailure::CannotAnswer => Self::CannotAnswer,
            SessionFailure::TooManyRequests => Self::TooManyRequests,
            SessionFailure::Unavailable => Self::Unavailable,
        }
    }
}

impl From<Failure> for SessionFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TooLarge => Self::TooLarge,
            Failure::Refused(reason) => Self::Refused(ReasonCode(reason)),
            Failure::Expired => Self::Expired,
            Failure::NotSelected => Self::NotSelected,
            Failure::NoTopic => Self::NoTopic,
            Failure::CannotAnswer => Self::CannotAnswer,
            Failure::TooManyRequests => Self::TooManyRequests,
            Failure::Unavailable => Self::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(report: SessionReport) -> (SessionReport, String) {
        let (report, payload) = Report::of(report, "two");
        let meta = ReportMeta { number: 7, report };
        let json = serde_json::to_string(&meta).unwrap();
        let meta: ReportMeta = serde_json::from_str(&json).unwrap();
        (meta.report.into_report(payload).unwrap(), json)
    }

    #[test]
    fn every_failure_comes_back_as_what_it_was() {
        for failure in [
            SessionFailure::TooLarge,
            SessionFailure::Refused(ReasonCode(0x83)),
            SessionFailure::Expired,
            SessionFailure::NotSelected,
            SessionFailure::CannotAnswer,
            SessionFailure::TooManyRequests,
            SessionFailure::Unavailable,
            SessionFailure::NoTopic,
        ] {
            let settled = SessionReport::Settled {
                via: "gw".into(),
                instance: None,
                qos: QoS::AtLeastOnce,
                latency: Duration::from_micros(1_234),
                result: Err(failure),
            };
            let SessionReport::Settled {
                result,
                instance,
                latency,
                ..
            } = round_trip(settled).0
            else {
                panic!("another report")
            };
            assert_eq!(result, Err(failure));
            assert_eq!(instance.as_deref(), Some("two"));
            assert_eq!(latency, Duration::from_micros(1_234));
        }
    }

    #[test]
    fn an_answer_travels_beside_its_payload_and_no_header_breaks() {
        let answer = Answer {
            via: "gäte\nway".into(),
            payload: Bytes::from_static(b"\x00\xff"),
            content_type: Some("text/plain".into()),
        };
        let (report, json) = round_trip(SessionReport::Answered(answer.clone()));
        assert!(!json.contains('\n'), "{json}");
        let SessionReport::Answered(back) = report else {
            panic!("another report")
        };
        assert_eq!(back, answer);
    }

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
        let command = Command::of(request.clone()).unwrap();
        let meta = CommandMeta::of(&command, "app", ("me", 7), request.timeout).unwrap();
        let json = serde_json::to_string(&meta).unwrap();
        let back: CommandMeta = serde_json::from_str(&json).unwrap();
        assert_eq!((back.origin.as_str(), back.number), ("me", 7));
        let back = back.into_request(request.payload.clone());
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
    }
}
