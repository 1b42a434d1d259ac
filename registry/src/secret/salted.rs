//! A salted fast hash, for machine-made secrets of high entropy only: `$blake2s$SALT$HASH`, where
//! HASH is BLAKE2s-256 (RFC 7693) of the salt's bytes followed by the password's, and both stand in
//! base64 without padding (RFC 4648 section 4), as in PHC strings.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use blake2::{Blake2s256, Digest as _};
use subtle::ConstantTimeEq as _;

const PREFIX: &str = "$blake2s$";
const HASH: usize = 32;
/// Bytes of the salts made here.
const SALT: usize = 16;
const SALTS: std::ops::RangeInclusive<usize> = 8..=64;

/// Hashes a password with a new salt.
pub(super) fn hash(plain: &[u8]) -> Result<String, String> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(|error| format!("no random salt: {error}"))?;
    let (salt, hash) = (encoded(&salt), encoded(&digest(&salt, plain)));
    Ok(format!("{PREFIX}{salt}${hash}"))
}

/// Why a text is no such hash, if it is none.
pub(super) fn check(text: &str) -> Result<(), String> {
    match parse(text) {
        Some(_) => Ok(()),
        None => Err(format!(
            "is not `$blake2s$SALT$HASH` with a salt of {} to {} bytes and a hash of {HASH}, each \
             in base64 without padding",
            SALTS.start(),
            SALTS.end()
        )),
    }
}

/// Whether the hash is of this password, in time that does not depend on how nearly it is.
pub(super) fn verify(presented: &[u8], stored: &str) -> bool {
    parse(stored).is_some_and(|(salt, hash)| digest(&salt, presented).ct_eq(&hash).into())
}

/// Computes what [`verify`] does, and forgets the result.
pub(super) fn spend(presented: &[u8]) {
    std::hint::black_box(digest(&[0; SALT], presented));
}

fn parse(text: &str) -> Option<(Vec<u8>, [u8; HASH])> {
    let (salt, hash) = text.strip_prefix(PREFIX)?.split_once('$')?;
    let salt = BASE64_STANDARD_NO_PAD.decode(salt).ok()?;
    let hash = BASE64_STANDARD_NO_PAD.decode(hash).ok()?;
    SALTS
        .contains(&salt.len())
        .then_some((salt, hash.try_into().ok()?))
}

fn digest(salt: &[u8], password: &[u8]) -> [u8; HASH] {
    Blake2s256::new()
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into()
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_STANDARD_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From another implementation: Python's `hashlib.blake2s(salt + password).digest()`.
    const KNOWN: &str =
        "$blake2s$MDEyMzQ1Njc4OWFiY2RlZg$y//fwseB34Z2Jcocq6DdA19UIgJGuFWWsRxnMlKStXE";

    #[test]
    fn verifies_what_others_hashed() {
        check(KNOWN).unwrap();
        assert!(verify(b"correct horse", KNOWN));
        assert!(!verify(b"correct horsf", KNOWN));
        assert!(!verify(b"", KNOWN));
    }

    #[test]
    fn hashes_one_password_to_different_texts() {
        let (one, two) = (hash(b"secret").unwrap(), hash(b"secret").unwrap());
        assert_ne!(one, two);
        assert!(verify(b"secret", &one) && verify(b"secret", &two));
    }

    #[test]
    fn refuses_other_texts() {
        let (salt, hash) = ("MDEyMzQ1Njc4OWFiY2RlZg", encoded(&[7; 32]));
        check(&format!("$blake2s${salt}${hash}")).unwrap();
        for text in [
            String::new(),
            format!("$blake2b${salt}${hash}"),
            format!("$blake2s${salt}"),
            format!("$blake2s${salt}${hash}="),
            format!("$blake2s${salt}${hash}$"),
            format!("$blake2s$MDEyMzQ1Ng${hash}"),
            format!("$blake2s${salt}${}", encoded(&[7; 31])),
            format!("$blake2s${}${hash}", encoded(&[7; 65])),
        ] {
            assert!(check(&text).is_err(), "{text}");
        }
    }
}
