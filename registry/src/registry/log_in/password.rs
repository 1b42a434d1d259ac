//! Log-ins by password.

use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::super::{Inner, Registry};
use super::{Cause, LogIn, LogInError, check_enabled, other_name};
use crate::model::{CredentialId, Device, Proof, StoredPassword};
use crate::secret::SecretId;
use crate::secret::cost::Cost;
use crate::secret::password::MAX_PASSWORD;

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
        let found = self.known_as(application, device).await?;
        let verified = match &found {
            Ok(found) => {
                let claim = PasswordClaim {
                    known_as: device,
                    user,
                    password,
                };
                self.0.verify(&found.device, claim).await?
            }
            Err(_) => {
                self.0.verify_nothing(password).await?;
                Err(Cause::UnknownDevice)
            }
        };
        // The order of causes is for the log: a disabled device is the better hint.
        let found = found?;
        check_enabled(&found)?;
        let credential = verified?;

        self.standing(application, device, credential, SystemTime::now())
            .await
    }
}

/// What is claimed of a device that was found.
#[derive(Clone, Copy)]
pub(super) struct PasswordClaim<'a> {
    /// The name by which it was found.
    pub(super) known_as: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) password: &'a [u8],
}

impl<'a> PasswordClaim<'a> {
    /// The passwords that are good for it.
    fn stored(self, device: &'a Device) -> impl Iterator<Item = &'a StoredPassword> {
        device.passwords(self.known_as, self.user)
    }

    fn credential(&self, device: &Device, stored: &StoredPassword) -> CredentialId {
        CredentialId {
            proof: Proof::Password {
                secret: stored.secret,
                user: stored.user.clone(),
            },
            known_as: other_name(device, self.known_as),
        }
    }
}

impl Inner {
    pub(super) async fn verify(
        &self,
        device: &Arc<Device>,
        claim: PasswordClaim<'_>,
    ) -> Result<Result<CredentialId, Cause>, LogInError> {
        let password = claim.password;
        let mut slow = false;
        let mut any = false;
        for stored in claim.stored(device) {
            if self.remembered.knows(stored.secret, password) {
                return Ok(Ok(claim.credential(device, stored)));
            }
            slow |= stored.password.cost().is_slow();
            any = true;
        }
        if !any {
            self.verify_nothing(password).await?;
            return Ok(Err(Cause::NoSuchCredential));
        }

        let verified = if slow {
            let owned = OwnedClaim::of(device, claim);
            self.compute(move || owned.first_good()).await?
        } else {
            first_good(device, claim)
        };
        if let Some(last) = claim.stored(device).last() {
            self.decoy.observe(last.password.cost());
        }
        let good = verified.and_then(|secret| {
            let mut stored = claim.stored(device);
            stored.find(|stored| stored.secret == secret)
        });
        let Some(good) = good else {
            return Ok(Err(Cause::WrongPassword));
        };
        if slow {
            self.remembered.remember(good.secret, password);
        }
        Ok(Ok(claim.credential(device, good)))
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
}

/// A claim that a worker can take along.
struct OwnedClaim {
    device: Arc<Device>,
    known_as: Box<str>,
    user: Option<Box<str>>,
    password: Zeroizing<Vec<u8>>,
}

impl OwnedClaim {
    fn of(device: &Arc<Device>, claim: PasswordClaim<'_>) -> OwnedClaim {
        OwnedClaim {
            device: Arc::clone(device),
            known_as: claim.known_as.into(),
            user: claim.user.map(Into::into),
            password: Zeroizing::new(claim.password.to_vec()),
        }
    }

    fn first_good(&self) -> Option<SecretId> {
        let claim = PasswordClaim {
            known_as: &self.known_as,
            user: self.user.as_deref(),
            password: &self.password,
        };
        first_good(&self.device, claim)
    }
}

fn first_good(device: &Device, claim: PasswordClaim<'_>) -> Option<SecretId> {
    let mut stored = claim.stored(device);
    stored
        .find(|stored| stored.password.verify(claim.password))
        .map(|stored| stored.secret)
}
