//! Log-ins in the form of a dialect.
//!
//! Which dialect a device speaks is known only once its application is. So a form is recognized by
//! client id and user name together, before anything is looked up; the device that it names must
//! then speak that dialect, or it is refused as with a wrong password, after the same work.

use landfall_registry::DialectSpec;

use super::{azure, hono, watson};

/// What CONNECT says of who connects.
#[derive(Clone, Copy)]
pub struct LogInForm<'c> {
    /// Client id.
    pub client_id: &'c str,
    /// User name; not empty.
    pub user_name: &'c str,
    /// Password.
    pub password: Option<&'c [u8]>,
}

/// The device that a log-in of a dialect claims to be.
#[derive(Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Application.
    pub application: String,
    /// Device within the application.
    pub device: String,
    /// What shows it.
    pub proof: ClaimedProof,
}

/// What a log-in of a dialect shows.
#[derive(Debug, PartialEq, Eq)]
pub enum ClaimedProof {
    /// The password is one of the device.
    Password,
    /// The password is a signature with a key of the device.
    Signature(Signature),
}

/// A signature that stands in a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// What is signed.
    pub signed: String,
    /// HMAC-SHA256 of it.
    pub mac: Vec<u8>,
    /// Until when it is good: seconds since 1970.
    pub expiry: u64,
}

impl std::fmt::Debug for Signature {
    /// Shows nothing that would log anybody in.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signature")
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

/// The form is a dialect's, but it names no possible device or shows nothing. For the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAClaim(pub(super) &'static str);

/// A claim in the form of the dialect of this name.
pub type OfDialect = (&'static str, Result<Claimed, NotAClaim>);

/// Reads a log-in in the form of a dialect that has one. `None`: it has no such form.
pub fn claimed(form: &LogInForm<'_>) -> Option<OfDialect> {
    let watson = DialectSpec::WatsonIot {
        auto_register: None,
    };
    let dialects: [(DialectSpec, &dyn super::Dialect); 3] = [
        (watson, &watson::Watson),
        (DialectSpec::AzureIotHub, &azure::Azure),
        (DialectSpec::Hono, &hono::Hono),
    ];
    let mut claims = dialects
        .iter()
        .filter_map(|(spec, dialect)| Some((spec.name(), dialect.log_in(form)?)));
    claims.next()
}
