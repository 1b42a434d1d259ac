//! What becomes of a publish.

use landfall_protocol::ReasonCode;

use super::ruling::Consultation;

/// What becomes of a publish.
#[derive(Debug)]
pub(super) enum Verdict {
    /// In the open batches.
    Taken,
    /// A rule accepts it and forgets it.
    Dropped,
    /// Dropped for lack of room (QoS 0 only).
    NoRoom,
    /// Not allowed, for this reason.
    Refused(ReasonCode, RefusedBecause),
    /// The registry must be asked about this device first.
    Ask(Box<str>),
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
}

impl RefusedBecause {
    /// For log and metric label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "bad_topic",
            Self::Gateway => "gateway_not_selected",
            Self::Payload => "bad_payload",
            Self::Rule => "rule_rejected",
            Self::TooLarge => "payload_too_large",
        }
    }
}
