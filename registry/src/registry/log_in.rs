//! Log-ins by password.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Inner, Registry};
use crate::error::Unavailable;
use crate::model::{Application, CredentialId, Device, Found};
use crate::secret::cost::Cost;
use crate::secret::password::MAX_PASSWORD;
use crate::verify::Busy;

/// What a peer presents to prove that it is a device.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// The device's password: a `pass` credential.
    Password(&'a [u8]),
    /// A user name and its password: a `user` credential.
    UserPassword {
        /// The user name.
        user: &'a str,
        /// Its password.
        password: &'a [u8],
    },
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Presented::Password(_) => f.write_str("Password(…)"),
            Presented::UserPassword { user, .. } => write!(f, "UserPassword({user:?}, …)"),
        }
    }
}

/// A peer that is the device it says.
#[derive(Clone, Debug)]
pub struct LogIn {
    /// The application.
    pub application: Arc<Application>,
    /// The device.
    pub device: Arc<Device>,
    /// The stored credential that was used; the log-in is good for as long as it stands
    /// ([`Device::credential_stands`]).
    pub credential: CredentialId,
}

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
    /// The application has no device of that name.
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
}

impl Registry {
    /// Checks what a peer presents for a device.
    ///
    /// The first good log-in with a credential costs its password hash, on one of a bounded number
    /// of workers; it is remembered, and further ones cost microseconds. A refusal costs a hash
    /// whether the device exists or not. A password above 1,024 bytes is wrong.
    ///
    /// # Errors
    /// [`LogInError`].
    pub async fn log_in(
        &self,
        application: &str,
        device: &str,
        presented: Presented<'_>,
    ) -> Result<LogIn, LogInError> {
        let (user, password) = match presented {
            Presented::Password(password) => (None, password),
            Presented::UserPassword { user, password } => (Some(user), password),
        };
        // Said of every device alike, so it may be said at once.
        if password.len() > MAX_PASSWORD {
            return Err(LogInError::Refused(Cause::WrongPassword));
        }
        let found = self.found(application, device).await?;
        let verified = match &found {
            Ok(found) => self.0.verify(&found.device, user, password).await?,
            Err(_) => {
                self.0.verify_nothing(password).await?;
                Err(Cause::UnknownDevice)
            }
        };
        // The order of causes is for the log: a disabled device is the better hint.
        let found = found.map_err(LogInError::Refused)?;
        check_enabled(&found)?;
        let credential = verified.map_err(LogInError::Refused)?;

        self.standing(application, device, credential).await
    }

    /// The log-in, if the credential is still good: much may have changed while a hash was
    /// computed.
    async fn standing(
        &self,
        application: &str,
        device: &str,
        credential: CredentialId,
    ) -> Result<LogIn, LogInError> {
        let found = self
            .found(application, device)
            .await?
            .map_err(LogInError::Refused)?;
        check_enabled(&found)?;
        if !found.device.credential_stands(&credential) {
            return Err(LogInError::Refused(Cause::NoSuchCredential));
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

    async fn found(
        &self,
        application: &str,
        device: &str,
    ) -> Result<Result<Found, Cause>, Unavailable> {
        if let Some(found) = self.device(application, device).await? {
            return Ok(Ok(found));
        }
        let application = self
            .0
            .resources
            .application_if_cached(application)
            .flatten();
        Ok(Err(match application {
            Some(_) => Cause::UnknownDevice,
            None => Cause::UnknownApplication,
        }))
    }
}

fn check_enabled(found: &Found) -> Result<(), LogInError> {
    if !found.application.enabled() {
        return Err(LogInError::Refused(Cause::ApplicationDisabled));
    }
    if !found.device.enabled() {
        return Err(LogInError::Refused(Cause::DeviceDisabled));
    }
    Ok(())
}

impl Inner {
    async fn verify(
        &self,
        device: &Arc<Device>,
        user: Option<&str>,
        password: &[u8],
    ) -> Result<Result<CredentialId, Cause>, LogInError> {
        let mut slow = false;
        let mut any = false;
        for stored in device.passwords(user) {
            if self.remembered.knows(stored.id.secret, password) {
                return Ok(Ok(stored.id.clone()));
            }
            slow |= stored.password.cost().is_slow();
            any = true;
        }
        if !any {
            self.verify_nothing(password).await?;
            return Ok(Err(Cause::NoSuchCredential));
        }

        let verified = if slow {
            let device = Arc::clone(device);
            let user = user.map(str::to_owned);
            let password = Zeroizing::new(password.to_vec());
            self.compute(move || first_good(&device, user.as_deref(), &password))
                .await?
        } else {
            first_good(device, user, password)
        };
        if let Some(last) = device.passwords(user).last() {
            self.decoy.observe(last.password.cost());
        }
        let Some(credential) = verified else {
            return Ok(Err(Cause::WrongPassword));
        };
        if slow {
            self.remembered.remember(credential.secret, password);
        }
        Ok(Ok(credential))
    }

    /// Takes the time of a verification when there is nothing to compare with.
    async fn verify_nothing(&self, password: &[u8]) -> Result<(), LogInError> {
        let cost = self.decoy.cost();
        if cost.is_slow() {
            let password = Zeroizing::new(password.to_vec());
            self.compute(move || Cost::spend(&cost, &password)).await?;
        }
        Ok(())
    }

    async fn compute<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LogInError> {
        self.log_in_workers
            .run(compute)
            .await
            .map_err(|busy| match busy {
                Busy::Full => LogInError::Busy,
                Busy::Failed(unavailable) => LogInError::Unavailable(unavailable),
            })
    }
}

fn first_good(device: &Device, user: Option<&str>, password: &[u8]) -> Option<CredentialId> {
    let mut stored = device.passwords(user);
    stored
        .find(|stored| stored.password.verify(password))
        .map(|stored| stored.id.clone())
}

#[cfg(test)]
mod tests;
