//! Secrets in documents: given by a caller, held by the store, shown as a reference.
//!
//! A document is generic over the state of its secrets, so that the compiler tells them apart:
//! [`Given`] in what a caller writes, [`Held`] in what is stored, [`Shown`] in what a read
//! returns. `resolve` turns the first into the second, `Held::reference` and `Held::reveal`
//! the second into the third.

pub(crate) mod cost;
pub(crate) mod password;
mod read;
pub(crate) mod resolve;
mod salted;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use password::{MAX_PASSWORD, Password};
pub(crate) use read::ReadSecret;

/// Name of a stored secret, as a read shows it: `{ secretRef: ID }`.
///
/// It is random, drawn anew whenever the secret changes, and says nothing about the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId([u8; 16]);

impl SecretId {
    /// A new id from the operating system's random source.
    pub(crate) fn random() -> Result<SecretId, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(SecretId(bytes))
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SecretId {
    type Err = NotASecretId;

    fn from_str(text: &str) -> Result<SecretId, NotASecretId> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotASecretId);
        }
        u128::from_str_radix(text, 16)
            .map(|id| SecretId(id.to_be_bytes()))
            .map_err(|_| NotASecretId)
    }
}

/// The text is no [`SecretId`], which is 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a secret reference of 32 hexadecimal digits")]
pub struct NotASecretId;

/// Secret text: zeroized when dropped, never shown by `Debug`, compared in constant time.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> SecretText {
        SecretText(Zeroizing::new(text))
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &SecretText) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretText {}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Secret bytes: zeroized when dropped, never shown by `Debug`, compared in constant time.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> SecretBytes {
        SecretBytes(Zeroizing::new(bytes))
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &SecretBytes) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A secret of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretValue {
    /// A password, plain or hashed.
    Password(Password),
    /// A pre-shared key.
    Key(SecretBytes),
    /// A password or token that the server itself presents elsewhere, for example to the endpoint
    /// of a rule; it cannot be hashed.
    Text(SecretText),
}

/// Which kind of secret belongs in a place of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretKind {
    Password,
    Key,
    Text,
}

/// A place for a secret in a document.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) path: String,
    pub(crate) kind: SecretKind,
}

impl Slot {
    pub(crate) fn new(path: String, kind: SecretKind) -> Slot {
        Slot { path, kind }
    }
}

impl SecretValue {
    pub(crate) fn kind(&self) -> SecretKind {
        match self {
            SecretValue::Password(_) => SecretKind::Password,
            SecretValue::Key(_) => SecretKind::Key,
            SecretValue::Text(_) => SecretKind::Text,
        }
    }
}

/// A secret in a document that a caller hands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// The secret itself.
    New(SecretValue),
    /// `{ secretRef: ID }`: the stored secret of that id stays.
    Keep(SecretId),
}

/// A secret in a document that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub(crate) id: SecretId,
    pub(crate) value: SecretValue,
}

impl Held {
    /// A secret that the server presents elsewhere; `None` for one that it only compares.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            SecretValue::Text(text) => Some(text.expose()),
            SecretValue::Password(_) | SecretValue::Key(_) => None,
        }
    }

    /// What a read shows.
    pub(crate) fn reference(self) -> Shown {
        Shown::Reference(self.id)
    }

    /// What an export with secrets shows.
    pub(crate) fn reveal(self) -> Shown {
        Shown::Revealed(self.value)
    }
}

/// A secret in a document that the registry hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Written as `{ secretRef: ID }`.
    Reference(SecretId),
    /// The hash or key itself, in a form that a write accepts.
    Revealed(SecretValue),
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Shown::Reference(id) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("secretRef", &id.to_string())?;
                map.end()
            }
            Shown::Revealed(SecretValue::Password(password)) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(password.form(), password.stored())?;
                map.end()
            }
            Shown::Revealed(SecretValue::Key(key)) => serializer.serialize_str(&base64(key)),
            Shown::Revealed(SecretValue::Text(text)) => serializer.serialize_str(text.expose()),
        }
    }
}

/// The stored form: `{ id: …, FORM: … }`.
impl Serialize for Held {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("id", &self.id.to_string())?;
        match &self.value {
            SecretValue::Password(password) => {
                map.serialize_entry(password.form(), password.stored())?;
            }
            SecretValue::Key(key) => map.serialize_entry("key", base64(key).as_str())?,
            SecretValue::Text(text) => map.serialize_entry("text", text.expose())?,
        }
        map.end()
    }
}

fn base64(bytes: &SecretBytes) -> Zeroizing<String> {
    Zeroizing::new(BASE64_STANDARD.encode(bytes.expose()))
}
