//! What can end a measurement, sorted by who is to blame.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a measurement could not be finished. No variant holds a credential.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line asks for something that cannot be measured.
    #[error("{0}")]
    Usage(String),
    /// The measured server did not do what a client may expect of it.
    #[error("the server {0}")]
    Server(#[from] ServerFault),
    /// The same in one of several measurements.
    #[error("{measurement}: the server {fault}")]
    Measured {
        measurement: String,
        fault: ServerFault,
    },
    /// The machine failed: a socket, a file, a process.
    #[error("{what}: {source}")]
    Machine {
        what: String,
        #[source]
        source: io::Error,
    },
}

/// What the measured server did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ServerFault {
    #[error("refused connection {connection} with CONNACK code {code:#04x}")]
    RefusedConnect { connection: usize, code: u8 },
    #[error("refused the subscription to `{filter}` with SUBACK code {code:#04x}")]
    RefusedSubscribe { filter: String, code: u8 },
    #[error("refused publish {id} with reason {reason:#04x}")]
    RefusedPublish { id: u16, reason: u8 },
    #[error("closed a connection that was in use")]
    Closed,
    #[error("said goodbye with reason {reason:#04x}")]
    SaidGoodbye { reason: u8 },
    #[error("acknowledged publish {id}, which was not in flight")]
    UnexpectedAcknowledgement { id: u16 },
    #[error("sent a malformed packet: {0}")]
    Malformed(&'static str),
    #[error("sent a packet that has no place here: {0}")]
    Misplaced(&'static str),
    #[error("broke off TLS: {0}")]
    Tls(String),
    #[error("refused the WebSocket: {0}")]
    RefusedUpgrade(String),
    #[error("did not have a command acknowledged: {0}")]
    NotAcknowledged(String),
    #[error("made no progress for {0:?}")]
    Stalled(Duration),
    #[error("acknowledged {0} messages that it did not deliver to the subscriber")]
    Lost(u64),
    #[error("did not start: {0}")]
    DidNotStart(String),
    #[error("answered {status} to {request}: {body}")]
    RefusedRequest {
        request: String,
        status: u16,
        body: String,
    },
}

impl Error {
    /// Names what was being done when the machine failed, for use in `map_err`.
    pub(crate) fn machine(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Machine {
            what: what.into(),
            source,
        }
    }

    /// Names the measurement that failed, for those that run many.
    pub(crate) fn during(self, measurement: &str) -> Self {
        match self {
            Self::Usage(cause) => Self::Usage(format!("{measurement}: {cause}")),
            Self::Server(fault) => Self::Measured {
                measurement: measurement.to_owned(),
                fault,
            },
            Self::Measured { .. } => self,
            Self::Machine { what, source } => Self::Machine {
                what: format!("{measurement}: {what}"),
                source,
            },
        }
    }

    /// 2 for usage (as clap exits), 1 for the server, 3 for the machine.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Server(_) | Self::Measured { .. } => 1,
            Self::Usage(_) => 2,
            Self::Machine { .. } => 3,
        })
    }
}
