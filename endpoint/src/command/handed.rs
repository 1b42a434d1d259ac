//! A command in a session's queue, and what the session reports of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use landfall_protocol::{QoS, ReasonCode};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Answer, Command};

/// A command in a session's queue, with the way back to its sender.
///
/// Its sender hears of each once: dropped without a report, it is told to be lost.
pub struct Handed {
    /// The command.
    pub command: Arc<Command>,
    reporter: mpsc::UnboundedSender<SessionReport>,
    via: Arc<str>,
    since: Instant,
    /// Deliver it even if nobody waits for the outcome.
    unattended: bool,
    is_reported: bool,
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
            is_reported: false,
        }
    }

    /// Its sender waits no longer: it must not be delivered late.
    pub fn is_abandoned(&self) -> bool {
        !self.unattended && self.reporter.is_closed()
    }

    /// The way back for the device's answer.
    pub fn replier(&self) -> Replier {
        Replier {
            reporter: self.reporter.clone(),
            via: Arc::clone(&self.via),
        }
    }

    /// Tells the sender what became of it in this session.
    pub fn report(mut self, qos: QoS, result: Result<(), SessionFailure>) {
        self.is_reported = true;
        let report = SessionReport::Settled {
            via: Arc::clone(&self.via),
            instance: None,
            qos,
            latency: self.since.elapsed(),
            result,
        };
        // A sender that has given up is no longer interested.
        let _ = self.reporter.send(report);
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if !self.is_reported {
            let _ = self.reporter.send(SessionReport::Lost);
        }
    }
}

/// The way back for a device's answer.
pub struct Replier {
    reporter: mpsc::UnboundedSender<SessionReport>,
    via: Arc<str>,
}

impl Replier {
    /// Nobody waits for an answer any more.
    pub fn is_abandoned(&self) -> bool {
        self.reporter.is_closed()
    }

    /// Hands the answer to whoever asked. False: nobody waits for it any more.
    pub fn answer(self, payload: Bytes, content_type: Option<Box<str>>) -> bool {
        let answer = Answer {
            via: self.via,
            payload,
            content_type,
        };
        self.reporter.send(SessionReport::Answered(answer)).is_ok()
    }
}

/// What one session reports of a command.
#[derive(Debug)]
pub enum SessionReport {
    /// It is settled in this session.
    Settled {
        /// The connected device.
        via: Arc<str>,
        /// The instance that holds the connection; `None`: this one.
        instance: Option<Arc<str>>,
        /// QoS it was delivered with.
        qos: QoS,
        /// From hand-over to acknowledgement (QoS 0: to the socket).
        latency: Duration,
        /// Delivered, or why not.
        result: Result<(), SessionFailure>,
    },
    /// The device answered.
    Answered(Answer),
    /// The connection ended before the device acknowledged it: nobody knows whether it has it.
    Lost,
}

/// Why a session could not deliver a command. Of several sessions' failures the last in this order is
/// told: the device's own word before that of a session that might have it later, and both before that of
/// one that will not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionFailure {
    /// The connection ended, lost its subscription, or its server stops, before it was written.
    Gone,
    /// The device no longer selects the connected one as its gateway.
    NotSelected,
    /// Its life was over before it could be written.
    Expired,
    /// The topic would have the device's name, which no topic can hold.
    NoTopic,
    /// Larger than the client's maximum packet size.
    TooLarge,
    /// The connection cannot carry an answer, and one is wanted.
    CannotAnswer,
    /// As many requests wait for this connection's answers as may, or as many commands.
    TooManyRequests,
    /// Whether the gateway may have it cannot be found out: the registry is not available.
    Unavailable,
    /// The client acknowledged it with this failure.
    Refused(ReasonCode),
}
