//! Tokens of the management API: named, limited to roles and applications, stored hashed.
//!
//! The registry's store holds them, so that all instances share them. A [`TokenSecret`] is shown
//! once, to whoever creates the token; what is stored of it is a hash. [`Registry::token`] answers
//! from memory, and no instance relies on what it read for longer than half a second: that is how
//! fast a revocation acts everywhere.
//!
//! - `document`: the token that a caller asks for, parsed and validated;
//! - `secret`: the text that proves it;
//! - `stored`: its row;
//! - `shown`: what a read shows of it;
//! - `known`: all tokens in memory.
//!
//! [`Registry::token`]: crate::Registry::token

mod document;
pub(crate) mod known;
mod secret;
mod shown;
pub(crate) mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use time::OffsetDateTime;

pub use document::NewToken;
pub use secret::TokenSecret;
pub(crate) use secret::{Digest, TokenId};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything: what the other roles may do, tokens, and secrets.
    Admin,
    /// Applications and devices, to read and to write.
    Registry,
    /// Sending commands.
    Command,
    /// Reading events.
    Events,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Admin, Role::Registry, Role::Command, Role::Events];

    /// The role's name in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Registry => "registry",
            Role::Command => "command",
            Role::Events => "events",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The applications that a token holds for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Applications {
    /// All, those to come included.
    #[default]
    All,
    /// These, whether they exist or not; at least one.
    Only(BTreeSet<String>),
}

impl Applications {
    /// Whether the application is one of them.
    #[must_use]
    pub fn contain(&self, application: &str) -> bool {
        match self {
            Applications::All => true,
            Applications::Only(names) => names.contains(application),
        }
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its name, unique among tokens.
    pub name: String,
    /// What it is for; at least one.
    pub roles: BTreeSet<Role>,
    /// The applications it holds for.
    pub applications: Applications,
    /// From when on it is refused; never, if `None`.
    pub expires: Option<OffsetDateTime>,
    /// When it was created, in milliseconds since 1970, UTC.
    pub created: i64,
    /// Tells it from another token that is created later under the same name.
    pub(crate) id: TokenId,
}

impl ApiToken {
    /// Whether it is refused at this time because of its age.
    #[must_use]
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}
