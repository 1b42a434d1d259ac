//! From the secrets that a caller gave to those that are stored.

use std::collections::{HashMap, HashSet};

use super::cost::{Cost, PasswordCost, PasswordHash};
use super::{Given, Held, Password, SecretId, SecretKind, SecretValue, Slot};
use crate::document::Invalid;
use crate::document::problem::{Problem, Problems};

/// How plain passwords are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashing {
    /// Whether plain passwords are stored hashed.
    pub(crate) hash_passwords: bool,
    /// By which hash.
    pub(crate) hash: PasswordHash,
    /// The cost of Argon2id.
    pub(crate) cost: PasswordCost,
}

impl Hashing {
    /// What it costs to verify a password that is stored like this.
    pub(crate) fn verification(&self) -> Cost {
        match (self.hash_passwords, self.hash) {
            (false, _) => Cost::Plain,
            (true, PasswordHash::Argon2id) => self.cost.cost(),
            (true, PasswordHash::Blake2sRandomSecrets) => Cost::Blake2s,
        }
    }
}

/// The stored secrets of one resource, to be kept or compared with.
#[derive(Default)]
pub(crate) struct Stored {
    by_id: HashMap<SecretId, Held>,
    by_path: HashMap<String, SecretId>,
}

impl Stored {
    pub(crate) fn add(&mut self, path: &str, held: &Held) {
        self.by_id.insert(held.id, held.clone());
        self.by_path.insert(path.to_owned(), held.id);
    }

    fn at(&self, path: &str) -> Option<&Held> {
        self.by_id.get(self.by_path.get(path)?)
    }
}

/// Why a document's secrets could not be resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The caller refers to secrets that are not there.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// No random bytes, or no memory to hash with.
    #[error("a secret could not be stored: {0}")]
    Failed(String),
}

/// Resolves the secrets of one document against those that are stored.
///
/// A secret that is the same as the stored one in its place keeps the stored id: who logged in
/// with it stays connected, and writing a document again changes nothing. That costs one
/// verification per plain password, so it runs off the async workers.
pub(crate) struct Resolver<'a> {
    stored: &'a Stored,
    hashing: Hashing,
    used: HashSet<SecretId>,
    problems: Problems,
    failure: Option<String>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(stored: &'a Stored, hashing: Hashing) -> Resolver<'a> {
        let problems = Problems::default();
        Resolver {
            stored,
            hashing,
            used: HashSet::new(),
            problems,
            failure: None,
        }
    }

    /// The secret to store in a place; `None` if there is none, which [`Resolver::finish`] tells.
    pub(crate) fn resolve(&mut self, slot: &Slot, given: Given) -> Option<Held> {
        match given {
            Given::Keep(id) => self.keep(slot, id),
            Given::New(value) => {
                let taken = self.take(slot, value);
                taken.map_err(|failure| self.failure = Some(failure)).ok()
            }
        }
    }

    /// The document with all its secrets resolved.
    pub(crate) fn finish<T>(self, document: Option<T>) -> Result<T, ResolveError> {
        match self.failure {
            Some(failure) => Err(ResolveError::Failed(failure)),
            None => Ok(self.problems.finish(document)?),
        }
    }

    fn keep(&mut self, slot: &Slot, id: SecretId) -> Option<Held> {
        let held = self
            .stored
            .by_id
            .get(&id)
            .filter(|held| held.value.kind() == slot.kind);
        let Some(held) = held else {
            // The same answer for another resource's secret: a reference is no way to probe.
            let noun = noun(slot.kind);
            return self.refuse(
                slot,
                format!("no {noun} is stored here under this secretRef"),
            );
        };
        if !self.used.insert(id) {
            let reason = "this secretRef stands in another place of the document already";
            return self.refuse(slot, reason.to_owned());
        }
        Some(held.clone())
    }

    fn take(&mut self, slot: &Slot, value: SecretValue) -> Result<Held, String> {
        let stored = self.stored.at(&slot.path);
        let unchanged =
            stored.filter(|held| !self.used.contains(&held.id) && same(&value, &held.value));
        let (id, value) = match unchanged {
            Some(held) => (held.id, held.value.clone()),
            None => (
                SecretId::random().map_err(|error| format!("no random id: {error}"))?,
                value,
            ),
        };
        self.used.insert(id);
        Ok(Held {
            id,
            value: self.stored_form(value)?,
        })
    }

    /// Also for an unchanged secret: it may have been stored before hashing was switched on.
    fn stored_form(&self, value: SecretValue) -> Result<SecretValue, String> {
        let plain = match &value {
            SecretValue::Password(password) if self.hashing.hash_passwords => password.as_plain(),
            _ => None,
        };
        match plain {
            Some(plain) => Password::hashed(plain, &self.hashing).map(SecretValue::Password),
            None => Ok(value),
        }
    }

    fn refuse<T>(&self, slot: &Slot, reason: String) -> Option<T> {
        self.problems.add(Problem {
            path: slot.path.clone(),
            reason,
            example: "",
        });
        None
    }
}

/// Whether a given secret is the stored one, a plain password also by its hash.
fn same(given: &SecretValue, stored: &SecretValue) -> bool {
    match (given, stored) {
        (SecretValue::Password(given), SecretValue::Password(stored)) => match given.as_plain() {
            Some(plain) => stored.verify(plain.as_bytes()),
            None => given == stored,
        },
        (given, stored) => given == stored,
    }
}

fn noun(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::Password => "password",
        SecretKind::Key => "key",
        SecretKind::Text => "secret",
    }
}
