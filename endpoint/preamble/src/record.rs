//! TLS records in the clear, and the handshake messages that span them (RFC 8446, 5.1).

use crate::reader::Reader;

/// Content type `handshake`.
const HANDSHAKE: u8 = 22;
/// Largest fragment of one record.
const MAX_FRAGMENT: usize = 1 << 14;
/// Content type, version, length.
const HEAD: usize = 5;

/// Why bytes are no handshake records. The peer is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The first byte is no handshake record's.
    #[error("not a TLS handshake")]
    NotHandshake,
    /// A record's version or length cannot be.
    #[error("malformed TLS record")]
    Malformed,
    /// The handshake message is larger than is read.
    #[error("TLS handshake message too large")]
    TooLarge,
}

/// Puts the first handshake message together from its records, as their bytes come. Each record is
/// taken once, however small the pieces, so that a peer who sends byte by byte buys no work.
#[derive(Clone, Debug)]
pub(crate) struct Assembler {
    kind: u8,
    most: usize,
    /// Where the first record begins that is not in `message`.
    next: usize,
    message: Vec<u8>,
}

impl Assembler {
    /// For a message of type `kind`, whose body has at most `most` bytes.
    pub(crate) const fn new(kind: u8, most: usize) -> Self {
        Self {
            kind,
            most,
            next: 0,
            message: Vec::new(),
        }
    }

    /// The message's body; `bytes` are all that have come so far. `None`: not all of it is there.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Option<&[u8]>, RecordError> {
        while let Some((size, fragment)) = record(bytes.get(self.next..).unwrap_or_default())? {
            self.next += size;
            self.message.extend_from_slice(fragment);
            if let Some(length) = length_of(&self.message, self.kind, self.most)?
                && self.message.len() >= 4 + length
            {
                return Ok(self.message.get(4..4 + length));
            }
        }
        Ok(None)
    }
}

/// The length in a handshake message's head.
fn length_of(message: &[u8], kind: u8, most: usize) -> Result<Option<usize>, RecordError> {
    let mut reader = Reader::new(message);
    match reader.u8() {
        Some(found) if found != kind => return Err(RecordError::NotHandshake),
        Some(_) => {}
        None => return Ok(None),
    }
    match reader.u24() {
        Some(length) if length > most => Err(RecordError::TooLarge),
        length => Ok(length),
    }
}

/// The handshake record that the bytes begin with: its size, and its fragment; `None`: not all of it
/// is there.
fn record(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, RecordError> {
    let mut reader = Reader::new(bytes);
    match reader.u8() {
        None => return Ok(None),
        Some(HANDSHAKE) => {}
        Some(_) => return Err(RecordError::NotHandshake),
    }
    match reader.u8() {
        // Any minor version: RFC 8446 says to ignore it.
        Some(3) | None => {}
        Some(_) => return Err(RecordError::Malformed),
    }
    let (Some(_), Some(length)) = (reader.u8(), reader.u16()) else {
        return Ok(None);
    };
    let length = usize::from(length);
    // Zero-length fragments of handshake types must not be sent (RFC 8446, 5.1).
    if length == 0 || length > MAX_FRAGMENT {
        return Err(RecordError::Malformed);
    }
    Ok(reader
        .take(length)
        .map(|fragment| (HEAD + length, fragment)))
}
