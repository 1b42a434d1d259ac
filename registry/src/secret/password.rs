//! Passwords as they are stored: plain, or hashed by bcrypt, SHA-512-crypt, Argon2 or
//! salted BLAKE2s.

use std::fmt;

use argon2::{PasswordVerifier as _, Version};
use subtle::ConstantTimeEq as _;

use super::SecretText;
use super::cost::Cost;
use super::resolve::Hashing;
use super::salted;
use crate::PasswordHash;

/// Longest password, stored or presented, in bytes. SHA-512-crypt's time grows with the length, so
/// that without a bound a peer could choose how long the server computes.
pub const MAX_PASSWORD: usize = 1024;

/// A stored password: a well-formed hash of a supported kind and bounded cost, or the plain text.
///
/// `Debug` names the kind only.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    form: Form,
    text: SecretText,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Bcrypt,
    Sha512,
    Argon2,
    Blake2s,
}

impl Password {
    /// A plain password of 1 to [`MAX_PASSWORD`] bytes.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn plain(text: String) -> Result<Password, String> {
        let text = SecretText::new(text);
        match text.expose().len() {
            0 => Err("must not be empty".to_owned()),
            1..=MAX_PASSWORD => Ok(Password {
                form: Form::Plain,
                text,
            }),
            _ => Err(format!("must be at most {MAX_PASSWORD} bytes long")),
        }
    }

    /// A bcrypt hash in modular crypt format: `$2a$`, `$2b$` or `$2y$`, cost 4 to 15.
    ///
    /// # Errors
    /// What is malformed, without any of the hash.
    pub fn bcrypt(text: String) -> Result<Password, String> {
        Password::hash(Form::Bcrypt, text, Cost::of_bcrypt)
    }

    /// A SHA-512-crypt hash: `$6$[rounds=N$]salt$hash`, 1,000 to 500,000 rounds (5,000 if it says
    /// nothing), a salt of 1 to 16 characters.
    ///
    /// # Errors
    /// What is malformed, without any of the hash.
    pub fn sha512(text: String) -> Result<Password, String> {
        Password::hash(Form::Sha512, text, Cost::of_sha512)
    }

    /// An Argon2 hash as a PHC string: `$argon2id$`, `$argon2i$` or `$argon2d$`, at most 128 MiB,
    /// 16 passes and 16 lanes.
    ///
    /// # Errors
    /// What is malformed, without any of the hash.
    pub fn argon2(text: String) -> Result<Password, String> {
        Password::hash(Form::Argon2, text, Cost::of_argon2)
    }

    /// A salted fast hash, `$blake2s$SALT$HASH`: BLAKE2s-256 of salt and password, each in base64
    /// without padding; a salt of 8 to 64 bytes. For random secrets only.
    ///
    /// # Errors
    /// What is malformed, without any of the hash.
    pub fn blake2s(text: String) -> Result<Password, String> {
        Password::hash(Form::Blake2s, text, Cost::of_blake2s)
    }

    fn hash(
        form: Form,
        text: String,
        cost: fn(&str) -> Result<Cost, String>,
    ) -> Result<Password, String> {
        let text = SecretText::new(text);
        cost(text.expose())?;
        Ok(Password { form, text })
    }

    /// Hashes a plain password with a new salt of 16 random bytes.
    pub(crate) fn hashed(plain: &str, hashing: &Hashing) -> Result<Password, String> {
        let plain = plain.as_bytes();
        let (form, hash) = match hashing.hash {
            PasswordHash::Argon2id => (Form::Argon2, hashing.cost.hash(plain)?),
            PasswordHash::Blake2sRandomSecrets => (Form::Blake2s, salted::hash(plain)?),
        };
        Ok(Password {
            form,
            text: SecretText::new(hash),
        })
    }

    /// The plain text, if that is what is stored.
    pub(crate) fn as_plain(&self) -> Option<&str> {
        (self.form == Form::Plain).then(|| self.text.expose())
    }

    /// Whether `presented` is this password. Takes as long as the hash wants: milliseconds to
    /// seconds of computation, except for a plain one.
    pub(crate) fn verify(&self, presented: &[u8]) -> bool {
        let stored = self.text.expose();
        match self.form {
            Form::Plain => stored.as_bytes().ct_eq(presented).into(),
            Form::Bcrypt => bcrypt::verify(presented, stored).unwrap_or(false),
            Form::Sha512 => sha_crypt::ShaCrypt::SHA512
                .verify_password(presented, stored)
                .is_ok(),
            Form::Argon2 => verify_argon2(presented, stored),
            Form::Blake2s => salted::verify(presented, stored),
        }
    }

    /// What [`Password::verify`] costs.
    pub(crate) fn cost(&self) -> Cost {
        let stored = self.text.expose();
        let cost = match self.form {
            Form::Plain => return Cost::Plain,
            Form::Bcrypt => Cost::of_bcrypt(stored),
            Form::Sha512 => Cost::of_sha512(stored),
            Form::Argon2 => Cost::of_argon2(stored),
            Form::Blake2s => return Cost::Blake2s,
        };
        // The constructor has seen that the hash is well-formed.
        cost.unwrap_or(Cost::Plain)
    }

    /// The document's key for this form.
    pub(crate) fn form(&self) -> &'static str {
        match self.form {
            Form::Plain => "plain",
            Form::Bcrypt => "bcrypt",
            Form::Sha512 => "sha512",
            Form::Argon2 => "argon2",
            Form::Blake2s => "blake2s",
        }
    }

    /// The hash, or the plain text.
    pub(crate) fn stored(&self) -> &str {
        self.text.expose()
    }
}

fn verify_argon2(presented: &[u8], stored: &str) -> bool {
    let Ok(mut hash) = argon2::PasswordHash::new(stored) else {
        return false;
    };
    // Without `v=` it is of Argon2 1.0; the verifier would take the newest instead.
    hash.version.get_or_insert(Version::V0x10.into());
    argon2::Argon2::default()
        .verify_password(presented, &hash)
        .is_ok()
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(…)", self.form())
    }
}
