//! The identity in a TLS 1.2 ClientKeyExchange with a pre-shared key (RFC 4279, 2; RFC 5489, 2).
//!
//! It is in the clear, so that the key can be looked up before the TLS library asks for it.

use crate::reader::Reader;
use crate::record::{Assembler, RecordError};

const CLIENT_KEY_EXCHANGE: u8 = 16;
/// Largest message that is read: an identity of 65,535 bytes cannot be ours, and a Diffie-Hellman
/// share has at most some 2,000.
pub const MAX_MESSAGE: usize = 4 * 1024;
/// Largest number of bytes that may carry it, record heads included.
pub const MAX_BYTES: usize = 2 * MAX_MESSAGE;

/// Reads the identity in the ClientKeyExchange that bytes begin with, as they come.
#[derive(Clone, Debug)]
pub struct IdentityReader(Assembler);

impl Default for IdentityReader {
    fn default() -> Self {
        Self(Assembler::new(CLIENT_KEY_EXCHANGE, MAX_MESSAGE))
    }
}

impl IdentityReader {
    /// The identity; `bytes` are all that have come so far. `None`: more are needed, at most
    /// [`MAX_BYTES`].
    ///
    /// # Errors
    /// [`RecordError::NotHandshake`] if something else stands there; the others if it cannot be
    /// read.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        let Some(message) = self.0.read(bytes)? else {
            if bytes.len() >= MAX_BYTES {
                return Err(RecordError::TooLarge);
            }
            return Ok(None);
        };
        let identity = Reader::new(message).vector16();
        let identity = identity.ok_or(RecordError::Malformed)?;
        Ok(Some(identity.rest().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(bytes: &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        IdentityReader::default().read(bytes)
    }

    fn record(fragment: &[u8]) -> Vec<u8> {
        let length = u16::try_from(fragment.len()).unwrap();
        [&[22, 3, 3][..], &length.to_be_bytes(), fragment].concat()
    }

    fn message(identity: &[u8], share: &[u8]) -> Vec<u8> {
        let length = u16::try_from(identity.len()).unwrap();
        let body = [&length.to_be_bytes()[..], identity, share].concat();
        let head = u32::try_from(body.len()).unwrap() | 16 << 24;
        [&head.to_be_bytes()[..], &body].concat()
    }

    #[test]
    fn reads_the_identity_before_a_share_and_without_one() {
        for share in [&[][..], &[32; 33]] {
            let bytes = record(&message(b"sensor01@demo", share));
            assert_eq!(identity(&bytes), Ok(Some(b"sensor01@demo".to_vec())));
            for end in 0..bytes.len() {
                assert_eq!(identity(&bytes[..end]), Ok(None), "{end}");
            }
        }
    }

    #[test]
    fn reads_it_across_records() {
        let message = message(b"a@b", &[]);
        let bytes: Vec<u8> = message.chunks(1).flat_map(record).collect();
        assert_eq!(identity(&bytes), Ok(Some(b"a@b".to_vec())));
    }

    #[test]
    fn refuses_other_messages_and_lengths_that_cannot_be() {
        let certificate = record(&[11, 0, 0, 3, 0, 0, 0]);
        assert_eq!(identity(&certificate), Err(RecordError::NotHandshake));
        assert_eq!(identity(&[20, 3, 3]), Err(RecordError::NotHandshake));
        let large = record(&[16, 0, 0x10, 1]);
        assert_eq!(identity(&large), Err(RecordError::TooLarge));
        let short = record(&[16, 0, 0, 2, 0, 9]);
        assert_eq!(identity(&short), Err(RecordError::Malformed));
    }
}
