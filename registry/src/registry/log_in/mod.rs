//! Log-ins: what is presented is checked, and leads to a device and the credential that was used.

mod cause;
mod certificate;
mod password;
mod pre_shared_key;
mod signature;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use super::{Inner, Registry};
use crate::error::Unavailable;
use crate::model::{Application, CredentialId, Device, Found};
use crate::verify::Busy;
pub use cause::{Cause, LogInError};
pub use password::Presented;
pub use signature::Signed;

/// A peer that is the device it says.
#[derive(Clone, Debug)]
pub struct LogIn {
    /// The application.
    pub application: Arc<Application>,
    /// The device.
    pub device: Arc<Device>,
    /// The stored credential that was used; the log-in is good for as long as it stands
    /// ([`Found::stands`]).
    pub credential: CredentialId,
}

impl From<LogIn> for Found {
    fn from(log_in: LogIn) -> Found {
        Found {
            application: log_in.application,
            device: log_in.device,
        }
    }
}

impl Registry {
    /// The log-in, if the credential is still good: much may have changed while it was verified.
    async fn standing(
        &self,
        application: &str,
        device: &str,
        credential: CredentialId,
        now: SystemTime,
    ) -> Result<LogIn, LogInError> {
        let found = self.known_as(application, device).await??;
        check_enabled(&found)?;
        if !found.stands(&credential, now) {
            return Err(Cause::NoSuchCredential.into());
        }
        let Found {
            application,
            device,
        } = found;
        Ok(LogIn {
            application,
            device,
            credential,
        })
    }

    /// The device of that name, alias or unique user name.
    async fn known_as(
        &self,
        application: &str,
        device: &str,
    ) -> Result<Result<Found, Cause>, Unavailable> {
        let Inner {
            resources, store, ..
        } = &*self.0;
        store.within_grace().await?;
        let Some(application) = resources.application(store, application).await? else {
            return Ok(Err(Cause::UnknownApplication));
        };
        let found = self.0.device_known_as(&application, device).await?;
        Ok(match found {
            Some(device) => Ok(Found {
                application,
                device,
            }),
            None => Err(Cause::UnknownDevice),
        })
    }
}

fn check_enabled(found: &Found) -> Result<(), Cause> {
    if !found.application.enabled() {
        return Err(Cause::ApplicationDisabled);
    }
    if !found.device.enabled() {
        return Err(Cause::DeviceDisabled);
    }
    Ok(())
}

/// The name by which a device was found, unless it is its own.
fn other_name(device: &Device, name: &str) -> Option<Box<str>> {
    (device.name() != name).then(|| name.into())
}

impl Inner {
    async fn device_known_as(
        &self,
        application: &Application,
        name: &str,
    ) -> Result<Option<Arc<Device>>, Unavailable> {
        let Inner {
            resources, store, ..
        } = self;
        if let Some(device) = resources.device(store, application, name).await? {
            return Ok(Some(device));
        }
        resources
            .device_by_other_name(store, application, name)
            .await
    }
}

impl From<Busy> for LogInError {
    fn from(busy: Busy) -> LogInError {
        match busy {
            Busy::Full => LogInError::Busy,
            Busy::Failed(unavailable) => LogInError::Unavailable(unavailable),
        }
    }
}
