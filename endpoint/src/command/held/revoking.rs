//! What is held here, shown and revoked.

use serde::{Deserialize, Serialize};

use super::delivery::refused;
use super::{HeldCommand, may_be_of_a_fleet};
use crate::command::{CommandError, CommandHub};

/// What became of a command that is to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Revocation {
    /// It is not held any more. What is on its way to the device arrives all the same.
    Revoked,
    /// It is not held, for certain.
    Unknown,
    /// If it is held, another instance holds it.
    Elsewhere,
}

impl CommandHub {
    /// A device's commands that are held here, oldest first.
    ///
    /// # Errors
    ///
    /// [`CommandError`]: the device is unknown, or the store is not available.
    pub async fn held(
        &self,
        application: &str,
        device: &str,
    ) -> Result<Vec<HeldCommand>, CommandError> {
        let found = self.find(application, device).await?;
        let mut held = self.held.list(application, device).await.map_err(refused)?;
        held.retain(|command| command.held.device_uid == found.device.uid());
        Ok(held)
    }

    /// Revokes a command, if it is held here.
    ///
    /// # Errors
    ///
    /// As [`CommandHub::held`].
    pub async fn revoke(
        &self,
        application: &str,
        device: &str,
        number: i64,
    ) -> Result<Revocation, CommandError> {
        self.find(application, device).await?;
        if !self.held.has_given(number) {
            return Ok(match may_be_of_a_fleet(number) {
                true => Revocation::Elsewhere,
                false => Revocation::Unknown,
            });
        }
        let removed = self.held.remove(application, device, number).await;
        Ok(match removed.map_err(refused)? {
            true => Revocation::Revoked,
            false => Revocation::Unknown,
        })
    }
}
