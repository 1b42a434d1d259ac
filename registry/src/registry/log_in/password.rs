//! Log-ins by password.

use std::iter;
use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::super::{Inner, Registry};
use super::{Cause, LogIn, LogInError, check_enabled, other_name};
use crate::model::{CredentialId, Device, Proof, StoredPassword, UserPassword};
use crate::secret::password::MAX_PASSWORD;
use crate::verify::{Hashed, Remembered, Verifier};

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
    /// The device is found by its name or an alias, and then any of its `pass` credentials is good;
    /// or by a unique user name, and then the `user` credentials of that name are.
    ///
    /// The first good log-in with a credential costs its password hash, on one of a bounded number
    /// of workers; it is remembered, and further ones cost microseconds. The same password for the
    /// same device, presented many times at once, is hashed once. A refusal costs a hash whether
    /// the device exists or not. A password above 1,024 bytes is wrong.
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
                let whom = [application.as_bytes(), device.as_bytes()];
                self.0.verify_nothing(&whom, password).await?;
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

    /// Slow password hashes computed for log-ins since the registry was opened, those for devices
    /// that do not exist among them.
    #[must_use]
    pub fn log_in_hashes(&self) -> u64 {
        self.0.verifier.hashes()
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
        let secret = stored.secret;
        let proof = match &stored.user {
            None => Proof::Password(secret),
            Some(user) => Proof::UserPassword(Box::new(UserPassword {
                secret,
                user: user.clone(),
            })),
        };
        CredentialId {
            proof,
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
        let Verifier {
            remembered, decoy, ..
        } = &*self.verifier;
        if let Some(good) = remembered_good(device, claim, remembered) {
            return Ok(Ok(claim.credential(device, good)));
        }
        let costs = || claim.stored(device).map(|stored| stored.password.cost());
        if costs().next().is_none() {
            self.verify_nothing(&[device.uid().as_bytes()], claim.password)
                .await?;
            return Ok(Err(Cause::NoSuchCredential));
        }

        let good = if costs().any(|cost| cost.is_slow()) {
            let owned = OwnedClaim::of(device, claim);
            let secrets: Vec<_> = claim
                .stored(device)
                .map(|stored| stored.secret.to_bytes())
                .collect();
            let flight = remembered.mac_of(
                iter::once(&b"passwords"[..])
                    .chain(secrets.iter().map(<[u8; 16]>::as_slice))
                    .chain([claim.password]),
            );
            let compute = move |remembered: &Remembered| owned.first_good(remembered);
            self.verifier.hash(flight, claim.password, compute).await?
        } else {
            first_good(device, claim).good
        };
        decoy.observe(&costs().collect::<Vec<_>>());
        let good = good.and_then(|secret| {
            let mut stored = claim.stored(device);
            stored.find(|stored| stored.secret == secret)
        });
        Ok(match good {
            Some(good) => Ok(claim.credential(device, good)),
            None => Err(Cause::WrongPassword),
        })
    }

    /// Takes the time of a verification when there is nothing to compare with. `whom` says for
    /// which device.
    async fn verify_nothing(&self, whom: &[&[u8]], password: &[u8]) -> Result<(), LogInError> {
        let costs = self.verifier.decoy.costs();
        let slow = costs.iter().filter(|cost| cost.is_slow()).count();
        if slow == 0 {
            costs.iter().for_each(|cost| cost.spend(password));
            return Ok(());
        }
        let flight = self.verifier.remembered.mac_of(
            iter::once(&b"nothing"[..])
                .chain(whom.iter().copied())
                .chain([password]),
        );
        let owned = Zeroizing::new(password.to_vec());
        let compute = move |_: &Remembered| {
            costs.iter().for_each(|cost| cost.spend(&owned));
            Hashed {
                good: None,
                hashes: u64::try_from(slow).unwrap_or(u64::MAX),
            }
        };
        self.verifier.hash(flight, password, compute).await?;
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

    fn first_good(&self, remembered: &Remembered) -> Hashed {
        let claim = PasswordClaim {
            known_as: &self.known_as,
            user: self.user.as_deref(),
            password: &self.password,
        };
        match remembered_good(&self.device, claim, remembered) {
            Some(good) => Hashed {
                good: Some(good.secret),
                hashes: 0,
            },
            None => first_good(&self.device, claim),
        }
    }
}

fn remembered_good<'a>(
    device: &'a Device,
    claim: PasswordClaim<'a>,
    remembered: &Remembered,
) -> Option<&'a StoredPassword> {
    claim
        .stored(device)
        .find(|stored| remembered.knows(stored.secret, claim.password))
}

fn first_good(device: &Device, claim: PasswordClaim<'_>) -> Hashed {
    let mut hashes = 0;
    let good = claim.stored(device).find(|stored| {
        hashes += u64::from(stored.password.cost().is_slow());
        stored.password.verify(claim.password)
    });
    Hashed {
        good: good.map(|stored| stored.secret),
        hashes,
    }
}
