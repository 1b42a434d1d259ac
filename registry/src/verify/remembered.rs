//! Passwords that were good, remembered as keyed MACs, so that a device that reconnects costs no
//! slow hash.

use blake2::Blake2sMac256;
use blake2::digest::{FixedOutput as _, KeyInit as _, Update as _};
use quick_cache::sync::Cache;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::secret::SecretId;

/// A keyed MAC.
pub(crate) type Mac = [u8; 32];

/// The MACs, under a random key that never leaves the process.
///
/// An entry belongs to a secret id, which is another one after any change of the secret: what was
/// remembered of an old password can never let anyone in.
pub(crate) struct Remembered {
    key: Zeroizing<[u8; 32]>,
    macs: Cache<SecretId, Mac>,
}

impl Remembered {
    pub(crate) fn new(entries: usize) -> Result<Remembered, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)?;
        Ok(Remembered {
            key,
            macs: Cache::new(entries),
        })
    }

    /// Whether this password was good for this secret before.
    pub(crate) fn knows(&self, id: SecretId, password: &[u8]) -> bool {
        let mac = self.macs.get(&id);
        mac.is_some_and(|mac| mac.ct_eq(&self.mac(id, password)).into())
    }

    pub(crate) fn remember(&self, id: SecretId, password: &[u8]) {
        self.macs.insert(id, self.mac(id, password));
    }

    pub(crate) fn forget(&self, id: SecretId) {
        self.macs.remove(&id);
    }

    /// The MAC of a list of texts, each with its length, so that no two lists are alike.
    pub(crate) fn mac_of<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Mac {
        let mut mac = self.new_mac();
        for part in parts {
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        mac.finalize_fixed().into()
    }

    fn mac(&self, id: SecretId, password: &[u8]) -> Mac {
        let mut mac = self.new_mac();
        mac.update(&id.to_bytes());
        mac.update(password);
        mac.finalize_fixed().into()
    }

    fn new_mac(&self) -> Blake2sMac256 {
        let key: &[u8; 32] = &self.key;
        Blake2sMac256::new(key.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_only_the_password_that_was_remembered_for_the_secret() {
        let remembered = Remembered::new(16).unwrap();
        let (id, other) = (SecretId::random().unwrap(), SecretId::random().unwrap());
        remembered.remember(id, b"good");
        assert!(remembered.knows(id, b"good"));
        assert!(!remembered.knows(id, b"goo"));
        assert!(!remembered.knows(other, b"good"));
        remembered.forget(id);
        assert!(!remembered.knows(id, b"good"));
    }

    #[test]
    fn is_bounded() {
        let remembered = Remembered::new(16).unwrap();
        for _ in 0..1000 {
            remembered.remember(SecretId::random().unwrap(), b"good");
        }
        assert!(remembered.macs.len() <= 64, "{}", remembered.macs.len());
    }
}
