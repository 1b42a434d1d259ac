//! `spec.authentication.credentials` of a device.

use serde::{Serialize, Serializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::reader::{At, Fields, boolean, list, quote, string};
use crate::name;
use crate::secret::{ReadSecret, SecretKind, Slot};

/// Most credentials of one device. A wrong password is compared with each of them.
const MAX_CREDENTIALS: usize = 16;

const EXAMPLE: &str = "[{ pass: \"a long random password\" }]";

/// One way for a device to prove who it is; `S` is the state of the secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Credential<S> {
    /// A password of the device itself.
    Pass(S),
    /// A user name with a password.
    User {
        /// 1 to 255 bytes, no control characters.
        username: String,
        /// The password that goes with it.
        password: S,
        /// Whether the user name names the device within its application.
        #[serde(skip_serializing_if = "is_false")]
        unique: bool,
    },
    /// A TLS pre-shared key.
    Psk {
        /// 1 to 256 bytes, written as base64.
        key: S,
        /// When it may be used; always, if `None`.
        #[serde(skip_serializing_if = "Option::is_none")]
        validity: Option<Validity>,
    },
}

/// The time in which a key may be used, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validity {
    /// The first moment.
    #[serde(serialize_with = "rfc3339")]
    pub not_before: OffsetDateTime,
    /// The last moment; not earlier than the first.
    #[serde(serialize_with = "rfc3339")]
    pub not_after: OffsetDateTime,
}

impl<S> Credential<S> {
    pub(crate) fn secret(&self) -> &S {
        match self {
            Credential::Pass(secret) => secret,
            Credential::User { password, .. } => password,
            Credential::Psk { key, .. } => key,
        }
    }

    /// The place of the secret, below the credential's own path.
    pub(crate) fn slot(&self, path: &str) -> Slot {
        match self {
            Credential::Pass(_) => Slot::new(format!("{path}.pass"), SecretKind::Password),
            Credential::User { .. } => {
                Slot::new(format!("{path}.user.password"), SecretKind::Password)
            }
            Credential::Psk { .. } => Slot::new(format!("{path}.psk.key"), SecretKind::Key),
        }
    }

    pub(crate) fn map<T>(self, f: impl FnOnce(S) -> Option<T>) -> Option<Credential<T>> {
        Some(match self {
            Credential::Pass(secret) => Credential::Pass(f(secret)?),
            Credential::User {
                username,
                password,
                unique,
            } => Credential::User {
                username,
                password: f(password)?,
                unique,
            },
            Credential::Psk { key, validity } => Credential::Psk {
                key: f(key)?,
                validity,
            },
        })
    }
}

/// Reads `{ credentials: [...] }`.
pub(crate) fn read<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Vec<Credential<S>>> {
    let mut fields = Fields::open(value, at, "{ credentials: [] }")?;
    let credentials = fields.optional("credentials", |value, at| {
        list(value, at, MAX_CREDENTIALS, EXAMPLE, credential)
    });
    fields.close();
    Some(credentials.unwrap_or_default())
}

fn credential<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Credential<S>> {
    let mut fields = Fields::open(value, at, "{ pass: \"a long random password\" }")?;
    let Some((form, value)) = fields.take_only() else {
        return at.refuse(
            "must have exactly one of pass, user, psk",
            "{ pass: \"…\" }",
        );
    };
    match form.as_str() {
        "pass" => S::read(value, SecretKind::Password, &at.key("pass")).map(Credential::Pass),
        "user" => user(value, &at.key("user")),
        "psk" => psk(value, &at.key("psk")),
        "cert" => at.key("cert").refuse(
            "is not supported: certificates are checked against the application's trustAnchors, \
             and their subject is the device's name or alias",
            "alias: [\"O=Example, CN=sensor01\"]",
        ),
        // Not quoted: `{ secret }` in YAML is a mapping with the secret as its key.
        _ => at.refuse(
            "has a key that is not known; known here: pass, user, psk",
            "",
        ),
    }
}

fn user<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Credential<S>> {
    let mut fields = Fields::open(value, at, "{ username: u, password: p }")?;
    let username = fields.required("username", "pump-7", username);
    let password = fields.required("password", "\"a long random password\"", |value, at| {
        S::read(value, SecretKind::Password, at)
    });
    let unique = fields.optional("unique", boolean).unwrap_or_default();
    fields.close();
    let username = username?;
    if unique && let Err(reason) = name::check_device(&username) {
        let reason = format!("{} {reason}, as it names the device", quote(&username));
        return at.key("username").refuse(reason, "pump-7");
    }
    Some(Credential::User {
        username,
        password: password?,
        unique,
    })
}

fn username(value: Value, at: &At<'_>) -> Option<String> {
    let username = string(value, at, "pump-7")?;
    if !(1..=name::MAX_NAME).contains(&username.len()) || username.chars().any(char::is_control) {
        return at.refuse(
            "must be 1 to 255 bytes without control characters",
            "pump-7",
        );
    }
    Some(username)
}

fn psk<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Credential<S>> {
    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";
    let mut fields = Fields::open(value, at, "{ key: MDEyMzQ1Njc4OWFiY2RlZg== }")?;
    let key = fields.required("key", KEY, |value, at| S::read(value, SecretKind::Key, at));
    let validity = fields.optional("validity", validity);
    fields.close();
    Some(Credential::Psk {
        key: key?,
        validity,
    })
}

fn validity(value: Value, at: &At<'_>) -> Option<Validity> {
    const EXAMPLE: &str = "{ notBefore: 2026-01-01T00:00:00Z, notAfter: 2027-01-01T00:00:00Z }";
    let mut fields = Fields::open(value, at, EXAMPLE)?;
    let not_before = fields.required("notBefore", "2026-01-01T00:00:00Z", instant);
    let not_after = fields.required("notAfter", "2027-01-01T00:00:00Z", instant);
    fields.close();
    let validity = Validity {
        not_before: not_before?,
        not_after: not_after?,
    };
    if validity.not_after < validity.not_before {
        return at.refuse("notAfter is before notBefore", EXAMPLE);
    }
    Some(validity)
}

fn instant(value: Value, at: &At<'_>) -> Option<OffsetDateTime> {
    const EXAMPLE: &str = "2026-01-01T00:00:00Z";
    let text = string(value, at, EXAMPLE)?;
    match OffsetDateTime::parse(&text, &Rfc3339) {
        Ok(instant) => Some(instant),
        Err(_) => at.refuse(format!("{} is not an RFC 3339 time", quote(&text)), EXAMPLE),
    }
}

fn rfc3339<S: Serializer>(instant: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let text = instant
        .format(&Rfc3339)
        .map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

// serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}
