//! Reading the secrets of documents, handed in and stored.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::{Given, Held, Password, SecretBytes, SecretId, SecretKind, SecretText, SecretValue};
use crate::document::reader::{At, Fields, string};

/// Longest pre-shared key in bytes; longer ones are beyond what TLS libraries take.
const MAX_KEY: usize = 256;
/// Longest password or token that the server presents elsewhere, in bytes.
const MAX_TEXT: usize = 8 * 1024;

const REFERENCE: &str = "{ secretRef: 0123456789abcdef0123456789abcdef }";

/// Reads a secret in the state that `Self` stands for.
pub(crate) trait ReadSecret: Sized {
    /// Reads a secret of `kind`; a problem never quotes any of it.
    fn read(value: Value, kind: SecretKind, at: &At<'_>) -> Option<Self>;
}

impl ReadSecret for Given {
    fn read(value: Value, kind: SecretKind, at: &At<'_>) -> Option<Given> {
        match (value, kind) {
            (Value::Object(map), _) if map.contains_key("secretRef") => {
                reference(Value::Object(map), at).map(Given::Keep)
            }
            (value, SecretKind::Password) => {
                password(value, at).map(|value| Given::New(SecretValue::Password(value)))
            }
            (value, SecretKind::Key) => {
                key(value, at).map(|value| Given::New(SecretValue::Key(value)))
            }
            (value, SecretKind::Text) => {
                text(value, at).map(|value| Given::New(SecretValue::Text(value)))
            }
        }
    }
}

impl ReadSecret for Held {
    fn read(value: Value, kind: SecretKind, at: &At<'_>) -> Option<Held> {
        let mut fields = Fields::open(value, at, "")?;
        let id = fields.required("id", "", secret_id);
        let value = match kind {
            SecretKind::Password => hashed_or_plain(&mut fields, at).map(SecretValue::Password),
            SecretKind::Key => fields.required("key", "", key).map(SecretValue::Key),
            SecretKind::Text => fields.required("text", "", text).map(SecretValue::Text),
        };
        fields.close_unquoted();
        Some(Held {
            id: id?,
            value: value?,
        })
    }
}

fn reference(value: Value, at: &At<'_>) -> Option<SecretId> {
    let mut fields = Fields::open(value, at, REFERENCE)?;
    let id = fields.required("secretRef", REFERENCE, secret_id);
    fields.close_unquoted();
    id
}

fn secret_id(value: Value, at: &At<'_>) -> Option<SecretId> {
    match string(value, at, REFERENCE)?.parse() {
        Ok(id) => Some(id),
        Err(error) => at.refuse(format!("is {error}"), REFERENCE),
    }
}

/// `text`, or `{ plain | bcrypt | sha512 | argon2 | blake2s: text }`.
fn password(value: Value, at: &At<'_>) -> Option<Password> {
    if !value.is_object() {
        return build(value, at, Password::plain);
    }
    let mut fields = Fields::open(value, at, "")?;
    let password = hashed_or_plain(&mut fields, at);
    fields.close_unquoted();
    password
}

type NewPassword = fn(String) -> Result<Password, String>;

fn hashed_or_plain(fields: &mut Fields<'_>, at: &At<'_>) -> Option<Password> {
    let forms: [(&'static str, NewPassword); 5] = [
        ("plain", Password::plain),
        ("bcrypt", Password::bcrypt),
        ("sha512", Password::sha512),
        ("argon2", Password::argon2),
        ("blake2s", Password::blake2s),
    ];
    if forms.iter().filter(|(form, _)| fields.has(form)).count() != 1 {
        return at.refuse(
            "must be a string, or have exactly one of plain, bcrypt, sha512, argon2, blake2s, secretRef",
            "{ bcrypt: \"$2a$12$…\" }",
        );
    }
    let mut password = None;
    for (form, new) in forms {
        password = fields
            .optional(form, |value, at| build(value, at, new))
            .or(password);
    }
    password
}

fn build(value: Value, at: &At<'_>, new: NewPassword) -> Option<Password> {
    match new(string(value, at, "\"a long random password\"")?) {
        Ok(password) => Some(password),
        Err(reason) => at.refuse(reason, ""),
    }
}

fn key(value: Value, at: &At<'_>) -> Option<SecretBytes> {
    const EXAMPLE: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";
    let text = SecretText::new(string(value, at, EXAMPLE)?);
    match BASE64_STANDARD.decode(text.expose()).map(SecretBytes::new) {
        Ok(key) if (1..=MAX_KEY).contains(&key.expose().len()) => Some(key),
        Ok(_) => at.refuse(
            format!("must be 1 to {MAX_KEY} bytes, written as base64"),
            EXAMPLE,
        ),
        Err(_) => at.refuse("is not base64 (RFC 4648 section 4, with padding)", EXAMPLE),
    }
}

fn text(value: Value, at: &At<'_>) -> Option<SecretText> {
    let text = SecretText::new(string(value, at, "\"a secret\"")?);
    if text.expose().len() > MAX_TEXT {
        return at.refuse(format!("must be at most {MAX_TEXT} bytes long"), "");
    }
    if text.expose().chars().any(char::is_control) {
        return at.refuse("must not contain control characters", "");
    }
    Some(text)
}
