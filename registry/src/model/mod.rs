//! Applications and devices as the device side uses them: parsed once, then shared and immutable.

mod application;
mod device;

pub use application::Application;
pub use device::{Device, PreSharedKey};

use std::sync::Arc;

use crate::document::DialectSpec;
use crate::secret::SecretId;

/// A device with its application, as they were at one moment.
#[derive(Clone, Debug)]
pub struct Found {
    /// The application.
    pub application: Arc<Application>,
    /// The device, which belongs to it.
    pub device: Arc<Device>,
}

/// Which stored credential a log-in used, so that its revocation can be noticed
/// ([`Device::credential_stands`]).
///
/// A credential is another one when its password changes or its user name does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialId {
    pub(crate) secret: SecretId,
    pub(crate) user: Option<Box<str>>,
}

/// The dialect that a device speaks: its own setting, else its application's, else `drogue/v1`.
#[must_use]
pub fn effective_dialect(application: &Application, device: &Device) -> DialectSpec {
    device
        .dialect()
        .or(application.dialect())
        .unwrap_or_default()
}
