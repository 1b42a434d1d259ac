//! The text that proves a token: `landfall_ID_SECRET`.
//!
//! The prefix lets people and secret scanners recognise it. The id finds the stored hash without
//! comparing secrets; the secret is compared in constant time, as a hash. With 256 random bits in
//! it a fast hash is as good as a slow one: there is nothing to guess.

use std::fmt;

use blake2::{Blake2s256, Digest as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const PREFIX: &str = "landfall_";
/// Tells tokens apart; it is no secret.
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// Which token a secret is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TokenId([u8; ID_BYTES]);

/// The hash of a token's whole text.
#[derive(Clone)]
pub(crate) struct Digest([u8; 32]);

/// A token's text, to be shown once: zeroized when dropped, never shown by `Debug`.
pub struct TokenSecret(Zeroizing<String>);

impl TokenSecret {
    pub(crate) fn random() -> Result<(TokenId, TokenSecret), getrandom::Error> {
        let mut id = [0; ID_BYTES];
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut *secret)?;
        let digits = Zeroizing::new(hex(&*secret));
        let text = format!("{PREFIX}{}_{}", hex(&id), *digits);
        Ok((TokenId(id), TokenSecret(Zeroizing::new(text))))
    }

    /// The text, for its owner's eyes.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

impl TokenId {
    /// The id in a text that has the form of a token.
    pub(crate) fn in_text(text: &[u8]) -> Option<TokenId> {
        let rest = text.strip_prefix(PREFIX.as_bytes())?;
        let (id, secret) = rest.split_at_checked(2 * ID_BYTES)?;
        let secret = secret.strip_prefix(b"_")?;
        (secret.len() == 2 * SECRET_BYTES).then_some(())?;
        TokenId::parse(std::str::from_utf8(id).ok()?)
    }

    pub(crate) fn parse(digits: &str) -> Option<TokenId> {
        bytes(digits).map(TokenId)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Digest {
    pub(crate) fn of(text: &[u8]) -> Digest {
        Digest(Blake2s256::digest(text).into())
    }

    pub(crate) fn parse(digits: &str) -> Option<Digest> {
        bytes(digits).map(Digest)
    }

    /// Takes the same time for every other one.
    pub(crate) fn is(&self, other: &Digest) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    pub(crate) fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    Some(bytes)
}
