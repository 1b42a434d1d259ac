//! Held commands: what others hold, and which of it is to be revoked. An answer may be `null`: what is held
//! cannot be read now.

use serde::{Deserialize, Serialize};

use crate::api::HeldEntry;

/// An instance holds its first command; else it says so with its signs of life.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct Holds {
    pub(in crate::cluster) id: String,
    /// How many seconds longer it may hold it.
    pub(in crate::cluster) holds_for: u64,
}

/// What do you hold for a device?
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct HeldQuestion {
    pub(in crate::cluster) application: String,
    pub(in crate::cluster) device: String,
    /// Above this number.
    pub(in crate::cluster) after: Option<i64>,
}

/// Some of what an instance holds for a device, oldest first.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct HeldPage {
    /// The commands.
    pub(in crate::cluster) held: Vec<HeldEntry>,
    /// There are more, above this number.
    pub(in crate::cluster) more_after: Option<i64>,
}

/// Revoke a command, if its number is yours. The answer is a
/// [`Revocation`](crate::command::held::Revocation).
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct RevokeQuestion {
    pub(in crate::cluster) application: String,
    pub(in crate::cluster) device: String,
    pub(in crate::cluster) number: i64,
}
