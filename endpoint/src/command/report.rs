//! What a command is, and what its sender learns.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use landfall_protocol::{QoS, ReasonCode};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::CommandName;

/// A command as its sender asks for it.
#[derive(Clone, Debug)]
pub struct CommandRequest {
    /// Application of the device.
    pub application: String,
    /// The device it is for.
    pub device: String,
    /// Name: one topic level.
    pub command: String,
    /// Payload.
    pub payload: Bytes,
    /// MIME type of the payload; reaches MQTT 5 devices.
    pub content_type: Option<String>,
    /// How long to wait for the outcome; zero: do not wait.
    pub timeout: Duration,
}

/// A command on its way to a device.
#[derive(Debug)]
pub struct Command {
    /// The device it is for; not always the one it is delivered to.
    pub device: Box<str>,
    /// Name.
    pub name: CommandName,
    /// Payload.
    pub payload: Bytes,
    /// MIME type of the payload.
    pub content_type: Option<Box<str>>,
}

/// A command in a session's queue, with the way back to its sender.
pub struct Handed {
    /// The command.
    pub command: Arc<Command>,
    reporter: mpsc::UnboundedSender<SessionReport>,
    via: Arc<str>,
    since: Instant,
    /// Deliver it even if nobody waits for the outcome.
    unattended: bool,
}

impl Handed {
    pub(super) fn new(
        command: &Arc<Command>,
        reporter: &mpsc::UnboundedSender<SessionReport>,
        via: &Arc<str>,
        unattended: bool,
    ) -> Self {
        Self {
            command: Arc::clone(command),
            reporter: reporter.clone(),
            via: Arc::clone(via),
            since: Instant::now(),
            unattended,
        }
    }

    /// Its sender waits no longer: it must not be delivered late.
    pub fn is_abandoned(&self) -> bool {
        !self.unattended && self.reporter.is_closed()
    }

    /// Tells the sender what became of it in this session.
    pub fn report(self, qos: QoS, result: Result<(), SessionFailure>) {
        let report = SessionReport {
            via: self.via,
            qos,
            latency: self.since.elapsed(),
            result,
        };
        // A sender that has given up is no longer interested.
        let _ = self.reporter.send(report);
    }
}

/// What one session reports of a command.
#[derive(Debug)]
pub struct SessionReport {
    /// The connected device.
    pub via: Arc<str>,
    /// QoS it was delivered with.
    pub qos: QoS,
    /// From hand-over to acknowledgement (QoS 0: to the socket).
    pub latency: Duration,
    /// Delivered, or why not.
    pub result: Result<(), SessionFailure>,
}

/// Why a session could not deliver a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFailure {
    /// Larger than the client's maximum packet size.
    TooLarge,
    /// The client acknowledged it with this failure.
    Refused(ReasonCode),
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one device acknowledged it (QoS 1).
    Acknowledged,
    /// Written to at least one socket (QoS 0).
    Sent,
    /// Queued; nobody waited.
    HandedOver,
}

impl Outcome {
    /// The word of the HTTP API and of the metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Sent => "sent",
            Self::HandedOver => "handed_over",
        }
    }
}

/// A command that reached its device.
#[derive(Clone, Debug)]
pub struct CommandReport {
    /// The best outcome of all deliveries.
    pub outcome: Outcome,
    /// Each session that took it; empty for [`Outcome::HandedOver`].
    pub deliveries: Vec<Delivered>,
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
    /// No acknowledgement in time, or the connection was lost before one.
    #[error("no acknowledgement in time")]
    NoAcknowledgement,
    /// The registry cannot be asked.
    #[error("the registry is not available")]
    Unavailable,
}

impl CommandError {
    /// The error code of the HTTP API and of the metric.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BadName(_) => "bad_command_name",
            Self::UnknownApplication => "unknown_application",
            Self::UnknownDevice => "unknown_device",
            Self::NotConnected => "not_connected",
            Self::NotSubscribed => "not_subscribed",
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Refused(_) => "refused_by_device",
            Self::NoAcknowledgement => "no_acknowledgement",
            Self::Unavailable => "unavailable",
        }
    }
}
