//! What became of a command, on its way back.

use std::time::Duration;

use bytes::Bytes;
use landfall_protocol::{QoS, ReasonCode};
use serde::{Deserialize, Serialize};

use crate::command::{Answer, SessionFailure, SessionReport};

/// What became of a command; an answer's payload is the message's.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct ReportMeta {
    pub(in crate::cluster) number: u64,
    pub(in crate::cluster) report: Report,
    /// No more will come.
    #[serde(default)]
    pub(in crate::cluster) is_last: bool,
    /// One more session has lost it: [`SessionReport::Lost`].
    #[serde(default)]
    pub(in crate::cluster) is_lost: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) enum Report {
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
pub(in crate::cluster) enum Failure {
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
    /// As it is sent, with the payload beside it; `None`: said by [`ReportMeta::is_lost`].
    pub(in crate::cluster) fn of(report: SessionReport, own: &str) -> Option<(Self, Bytes)> {
        Some(match report {
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
            SessionReport::Lost => return None,
        })
    }

    /// As the sender's side takes it; `None`: no more will come.
    pub(in crate::cluster) fn into_report(self, payload: Bytes) -> Option<SessionReport> {
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
        let (report, payload) = Report::of(report, "two").unwrap();
        let meta = ReportMeta {
            number: 7,
            report,
            is_last: false,
            is_lost: false,
        };
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
}
