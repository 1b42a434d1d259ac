//! Log-ins by TLS pre-shared key (RFC 4279; RFC 8446 section 4.2.11): the key is asked for during
//! the handshake, which proves that the peer has it.

use std::time::SystemTime;

use super::super::Registry;
use super::{LogIn, LogInError, other_name};
use crate::error::Unavailable;
use crate::model::{CredentialId, Key, Proof};
use crate::secret::SecretBytes;

impl Registry {
    /// The key with which a device, found by its name or an alias, may connect at a time, and which
    /// credential it is: of the keys that are valid then the one with the earliest `notBefore`, and
    /// of these the one with the latest `notAfter`. A key without `validity` is always valid, and
    /// counts as the earliest and the latest.
    ///
    /// `None` if there is no such device or application, if either is disabled, or if no key is
    /// valid.
    ///
    /// # Errors
    /// [`Unavailable`] if the store had to be asked and cannot be read.
    pub async fn pre_shared_key(
        &self,
        application: &str,
        device: &str,
        now: SystemTime,
    ) -> Result<Option<(SecretBytes, CredentialId)>, Unavailable> {
        let Ok(found) = self.known_as(application, device).await? else {
            return Ok(None);
        };
        if !found.enabled() || !found.device.answers_to(device) {
            return Ok(None);
        }
        Ok(found.device.pre_shared_key(now).map(|key| {
            let proof = Proof::Key(Box::new(Key {
                secret: key.secret,
                validity: key.validity,
            }));
            let known_as = other_name(&found.device, device);
            (key.key.clone(), CredentialId { proof, known_as })
        }))
    }

    /// Logs a device in whose peer has shown, by a TLS handshake, to have a key that
    /// [`Registry::pre_shared_key`] gave for the same names. Checks that all still stands: much
    /// may have changed since.
    ///
    /// # Errors
    /// [`LogInError`].
    pub async fn log_in_by_pre_shared_key(
        &self,
        application: &str,
        device: &str,
        credential: &CredentialId,
    ) -> Result<LogIn, LogInError> {
        self.standing(application, device, credential.clone(), SystemTime::now())
            .await
    }
}
