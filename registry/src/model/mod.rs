//! Applications and devices as the device side uses them: parsed once, then shared and immutable.

mod application;
mod credential;
mod device;

pub use application::Application;
pub use credential::CredentialId;
pub(crate) use credential::{Key, Proof, UserPassword, VouchedFor};
pub use device::Device;
pub(crate) use device::StoredPassword;

use std::sync::Arc;
use std::time::SystemTime;

use crate::document::{DialectSpec, PayloadEncoding};

/// A device with its application, as they were at one moment.
#[derive(Clone, Debug)]
pub struct Found {
    /// The application.
    pub application: Arc<Application>,
    /// The device, which belongs to it.
    pub device: Arc<Device>,
}

impl Found {
    /// Whether the device may connect, as far as the documents' switches say: neither its own
    /// `spec.core.disabled` nor its application's is set.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.application.enabled() && self.device.enabled()
    }

    /// Whether a connection that logged in with a credential may go on: the device and its
    /// application are enabled, and the credential is still one of them.
    ///
    /// It is not, once the password or key is gone or replaced; the trust anchor is gone; or the
    /// alias, unique user name or `deviceName` by which the device was found is gone. That a key,
    /// certificate or anchor reaches the end of its validity ends no connection, as a validity is
    /// about log-ins; but an edit of a key's validity that excludes `now` does.
    #[must_use]
    pub fn stands(&self, credential: &CredentialId, now: SystemTime) -> bool {
        self.enabled() && credential.stands(&self.application, &self.device, now)
    }
}

/// The dialect that a device speaks: its own setting, else its application's, else `drogue/v1`.
#[must_use]
pub fn effective_dialect(application: &Application, device: &Device) -> DialectSpec {
    device
        .dialect()
        .or(application.dialect())
        .unwrap_or_default()
}

/// How a device's payloads are written on the wire: its own setting, else its application's, else
/// raw.
#[must_use]
pub fn effective_payload_encoding(application: &Application, device: &Device) -> PayloadEncoding {
    device
        .payload_encoding()
        .or(application.payload_encoding())
        .unwrap_or_default()
}
