//! What the sender of a command learns.

use std::time::{Duration, SystemTime};

use landfall_protocol::ReasonCode;

use super::{Answer, SessionFailure};

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The device answered.
    Answered,
    /// At least one device acknowledged it (QoS 1).
    Acknowledged,
    /// Written to at least one socket (QoS 0).
    Sent,
    /// Queued; nobody waited.
    HandedOver,
    /// Kept until the device can take it.
    Held,
}

impl Outcome {
    /// The label of the metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Acknowledged => "acknowledged",
            Self::Sent => "sent",
            Self::HandedOver => "handed_over",
            Self::Held => "held",
        }
    }
}

/// A command that reached its device, or is kept for it.
#[derive(Clone, Debug)]
pub struct CommandReport {
    /// The best outcome of all deliveries.
    pub outcome: Outcome,
    /// Each session that took it; empty for [`Outcome::HandedOver`] and [`Outcome::Held`].
    pub deliveries: Vec<Delivered>,
    /// What the device answered: with [`Outcome::Answered`] alone.
    pub answer: Option<Answer>,
    /// How it is kept: with [`Outcome::Held`] alone.
    pub held: Option<HeldReport>,
}

impl CommandReport {
    pub(super) const fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            deliveries: Vec::new(),
            answer: None,
            held: None,
        }
    }
}

/// How a command is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldReport {
    /// Its number, by which it can be revoked.
    pub id: i64,
    /// When it is dropped.
    pub expires: SystemTime,
}

/// One session that took a command.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The device the command is for.
    pub device: String,
    /// The connected device it was delivered to.
    pub via: String,
    /// 0 or 1.
    pub qos: u8,
    /// The instance that holds the connection.
    pub instance: String,
    /// From hand-over to acknowledgement.
    pub latency: Duration,
}

/// Why a command did not reach its device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The name cannot be a topic level.
    #[error("{0}")]
    BadName(String),
    /// What the sender asks for is out of bounds, or contradicts itself.
    #[error("{0}")]
    BadRequest(String),
    /// A property that no packet can carry.
    #[error("{0}: no string that MQTT can carry, or one too many")]
    BadProperty(String),
    /// No such application.
    #[error("no such application")]
    UnknownApplication,
    /// No such device in the application.
    #[error("no such device")]
    UnknownDevice,
    /// Neither the device nor a gateway of it is connected.
    #[error("the device is not connected, nor is a gateway of it")]
    NotConnected,
    /// Connected, but nobody subscribes to the device's commands.
    #[error("connected, but not subscribed to commands")]
    NotSubscribed,
    /// As many commands wait for the device as may.
    #[error("too many commands wait for this device")]
    QueueFull,
    /// Larger than the device takes.
    #[error("larger than the maximum packet size of the device")]
    TooLarge,
    /// The device answered with a failure.
    #[error("the device refused the command: {0}")]
    Refused(ReasonCode),
    /// An answer is wanted, and the device's connection cannot carry one.
    #[error("the device speaks MQTT 3 in a dialect that has no topic for answers")]
    CannotAnswer,
    /// Its life was over before the device could take it.
    #[error("expired before the device took it")]
    Expired,
    /// No acknowledgement in time, or the connection was lost before one.
    #[error("no acknowledgement in time")]
    NoAcknowledgement,
    /// Delivered, and not answered in time.
    #[error("the device got the command and did not answer in time")]
    NoAnswer,
    /// The registry, or the store of held commands, cannot be asked.
    #[error("the registry or the store of held commands is not available")]
    Unavailable,
}

impl CommandError {
    /// The error code of the HTTP API and of the metric.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BadName(_) => "bad_command_name",
            Self::BadRequest(_) => "bad_query",
            Self::BadProperty(_) => "bad_property",
            Self::UnknownApplication => "unknown_application",
            Self::UnknownDevice => "unknown_device",
            Self::NotConnected => "not_connected",
            Self::NotSubscribed => "not_subscribed",
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Refused(_) => "refused_by_device",
            Self::CannotAnswer => "cannot_answer",
            Self::Expired => "expired",
            Self::NoAcknowledgement => "no_acknowledgement",
            Self::NoAnswer => "no_answer",
            Self::Unavailable => "unavailable",
        }
    }

    /// The status of HTTP that says who is to blame.
    pub const fn status(&self) -> u16 {
        match self {
            Self::BadName(_) | Self::BadRequest(_) | Self::BadProperty(_) => 400,
            Self::UnknownApplication
            | Self::UnknownDevice
            | Self::NotConnected
            | Self::NotSubscribed => 404,
            Self::QueueFull | Self::CannotAnswer => 409,
            Self::TooLarge => 413,
            Self::Refused(_) => 502,
            Self::Unavailable => 503,
            Self::Expired | Self::NoAcknowledgement | Self::NoAnswer => 504,
        }
    }

    /// Whether trying again, when the device subscribes anew, leads nowhere. A device that is
    /// unknown now may be created again, as another one.
    pub(super) const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::TooLarge
                | Self::Refused(_)
                | Self::Expired
                | Self::BadName(_)
                | Self::BadProperty(_)
                | Self::BadRequest(_)
                | Self::UnknownApplication
                | Self::UnknownDevice
        )
    }
}

impl From<SessionFailure> for CommandError {
    fn from(failure: SessionFailure) -> Self {
        match failure {
            SessionFailure::TooLarge => Self::TooLarge,
            SessionFailure::Refused(reason) => Self::Refused(reason),
            SessionFailure::Expired => Self::Expired,
            // The connection that there was is no longer one of the device's.
            SessionFailure::NotSelected | SessionFailure::Gone => Self::NotConnected,
            // [MQTT-3.3.2-2]
            SessionFailure::NoTopic => Self::BadName(
                "the device's name has a '+' or '#', which no topic can have".to_owned(),
            ),
            SessionFailure::CannotAnswer => Self::CannotAnswer,
            SessionFailure::TooManyRequests => Self::QueueFull,
            SessionFailure::Unavailable => Self::Unavailable,
        }
    }
}
