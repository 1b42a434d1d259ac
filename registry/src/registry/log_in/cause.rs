//! Why there is no log-in.

use crate::certificate::CertificateFault;
use crate::error::Unavailable;

/// Why there is no log-in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogInError {
    /// The peer is to blame, or the device's document. Why is for the log only: the peer gets the
    /// same answer for each, after about the same time.
    #[error("refused: {0}")]
    Refused(Cause),
    /// More log-ins wait than may; a later attempt may succeed.
    #[error("too many log-ins wait")]
    Busy,
    /// The store cannot be read.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a log-in was refused. For the log; a peer must not learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Cause {
    /// There is no application of that name.
    #[error("unknown application")]
    UnknownApplication,
    /// The application has no device of that name, alias or unique user name.
    #[error("unknown device")]
    UnknownDevice,
    /// The application's `core.disabled` is set.
    #[error("application disabled")]
    ApplicationDisabled,
    /// The device's `core.disabled` is set.
    #[error("device disabled")]
    DeviceDisabled,
    /// The device has no credential of this kind, or none for this user name.
    #[error("no such credential")]
    NoSuchCredential,
    /// None of the device's credentials of this kind has this password.
    #[error("wrong password")]
    WrongPassword,
    /// None of the device's keys that are valid now made this signature.
    #[error("wrong signature")]
    WrongSignature,
    /// The signature is good, but its time is over.
    #[error("the signature has expired")]
    Expired,
    /// The certificate that was presented, or its chain, is not good.
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
}

impl From<Cause> for LogInError {
    fn from(cause: Cause) -> LogInError {
        LogInError::Refused(cause)
    }
}

impl From<CertificateFault> for LogInError {
    fn from(fault: CertificateFault) -> LogInError {
        LogInError::Refused(Cause::Certificate(fault))
    }
}
