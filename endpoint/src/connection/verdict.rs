//! What becomes of a publish, and why it may not be made.

use landfall_protocol::ReasonCode;

use super::ruling::Consultation;
use crate::dialect::Cause;
use crate::telemetry::RefusalCause;

/// What becomes of a publish.
#[derive(Debug)]
pub(super) enum Verdict {
    /// In the open batches.
    Taken,
    /// A rule accepts it and forgets it.
    Dropped,
    /// Dropped for lack of room (QoS 0 only).
    NoRoom,
    /// Not allowed, for this reason; with the words of the rule that refuses it.
    Refused(ReasonCode, RefusedBecause, Option<Box<str>>),
    /// The registry must be asked about this device first.
    Ask(Box<str>),
    /// This device must be registered first.
    Register(Box<str>),
    /// An endpoint of the application's rules must be asked first.
    Consult(Box<Consultation>),
}

/// Why a publish is not allowed, for log and counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusedBecause {
    /// The dialect has no place for the topic.
    Topic,
    /// The device spoken for is unknown, disabled, or does not select this gateway.
    Gateway,
    /// Said to be JSON, UTF-8 or Base64, and is not.
    Payload,
    /// A rule of the application refuses it.
    Rule,
    /// Larger than the dialect allows.
    TooLarge,
    /// The gateway speaks for as many devices as it may.
    TooManyActive,
    /// The application has as many devices as may be registered.
    TooManyDevices,
    /// The device could not be registered, now or a moment ago.
    NotRegistered,
}

impl RefusedBecause {
    /// For what a dialect tells the client; `None`: it has no word for it.
    pub(super) fn cause(self) -> Option<Cause> {
        match self {
            Self::Topic => Some(Cause::Topic),
            Self::Gateway => Some(Cause::NotAuthorized),
            Self::Payload => Some(Cause::Format),
            Self::Rule => None,
            Self::TooLarge => Some(Cause::TooLarge),
            Self::TooManyActive => Some(Cause::TooManyActive),
            Self::TooManyDevices => Some(Cause::TooManyDevices),
            Self::NotRegistered => Some(Cause::NotCreated),
        }
    }

    /// What an MQTT 5 client is told in words.
    pub(super) const fn told(self) -> &'static str {
        match self {
            Self::Topic => "the topic has no place in this dialect",
            Self::Gateway => "the device is not known, or does not select this gateway",
            Self::Payload => "the payload is not what its format says",
            Self::Rule => "the application does not take this event",
            Self::TooLarge => "the payload is larger than this dialect allows",
            Self::TooManyActive => "this gateway speaks for as many devices as it may",
            Self::TooManyDevices => "the application has as many devices as it may",
            Self::NotRegistered => "the device could not be registered; try again later",
        }
    }

    /// What an MQTT 5 client is told.
    pub(super) const fn reason(self) -> ReasonCode {
        match self {
            Self::Topic => ReasonCode::TOPIC_NAME_INVALID,
            Self::Gateway => ReasonCode::NOT_AUTHORIZED,
            Self::Payload => ReasonCode::PAYLOAD_FORMAT_INVALID,
            Self::Rule | Self::NotRegistered => ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR,
            Self::TooLarge | Self::TooManyActive | Self::TooManyDevices => {
                ReasonCode::QUOTA_EXCEEDED
            }
        }
    }
}

/// For log and metric.
impl From<RefusedBecause> for RefusalCause {
    fn from(because: RefusedBecause) -> Self {
        match because {
            RefusedBecause::Topic => Self::BadTopic,
            RefusedBecause::Gateway => Self::GatewayNotSelected,
            RefusedBecause::Payload => Self::BadPayload,
            RefusedBecause::Rule => Self::RuleRejected,
            RefusedBecause::TooLarge => Self::PayloadTooLarge,
            RefusedBecause::TooManyActive => Self::TooManyActiveDevices,
            RefusedBecause::TooManyDevices => Self::TooManyDevices,
            RefusedBecause::NotRegistered => Self::NotRegistered,
        }
    }
}

impl From<RefusedBecause> for Verdict {
    fn from(because: RefusedBecause) -> Self {
        Self::Refused(because.reason(), because, None)
    }
}
