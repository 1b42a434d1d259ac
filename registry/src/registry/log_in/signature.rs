//! Log-ins by a signature with a pre-shared key, in the place of a password: the peer shows that it
//! has the key without sending it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::super::Registry;
use super::{Cause, LogIn, LogInError, check_enabled, other_name};
use crate::model::{CredentialId, Key, Proof};

/// A signature and what it signs.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// What is signed. It must hold whom the signature is for, and its expiry.
    pub text: &'a [u8],
    /// HMAC-SHA256 (RFC 2104) of the text.
    pub mac: &'a [u8],
    /// The last second in which it is good, since 1970.
    pub expiry: u64,
}

impl std::fmt::Debug for Signed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed")
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

impl Signed<'_> {
    fn is_by(&self, key: &[u8]) -> bool {
        // A key of any length will do; the comparison takes the same time wherever it differs.
        Hmac::<Sha256>::new_from_slice(key)
            .is_ok_and(|hmac| hmac.chain_update(self.text).verify_slice(self.mac).is_ok())
    }

    fn is_expired(&self, now: SystemTime) -> bool {
        UNIX_EPOCH
            .checked_add(Duration::from_secs(self.expiry))
            .is_some_and(|expiry| now > expiry)
    }
}

impl Registry {
    /// Logs a device in whose peer shows a signature with one of its `psk` credentials that are
    /// valid now. The device is found by its name or an alias.
    ///
    /// # Errors
    /// [`LogInError`].
    pub async fn log_in_by_signature(
        &self,
        application: &str,
        device: &str,
        signed: Signed<'_>,
        now: SystemTime,
    ) -> Result<LogIn, LogInError> {
        let found = match self.known_as(application, device).await? {
            Ok(found) => found,
            Err(cause) => {
                // The same work as for a device that has a key.
                let _ = signed.is_by(device.as_bytes());
                return Err(cause.into());
            }
        };
        let answers = found.device.answers_to(device);
        let mut keys = found.device.pre_shared_keys().iter();
        let good = keys.find(|key| {
            let signs = signed.is_by(key.key.expose());
            signs && answers && key.is_valid(now)
        });
        check_enabled(&found)?;
        let Some(key) = good else {
            return Err(Cause::WrongSignature.into());
        };
        if signed.is_expired(now) {
            return Err(Cause::Expired.into());
        }
        let credential = CredentialId {
            proof: Proof::Key(Box::new(Key {
                secret: key.secret,
                validity: key.validity,
            })),
            known_as: other_name(&found.device, device),
        };
        self.standing(application, device, credential, now).await
    }
}
