//! TLS records in the clear, and the handshake messages that span them (RFC 8446, 5.1).

use crate::reader::Reader;

/// Content type `handshake`.
const HANDSHAKE: u8 = 22;
/// Largest fragment of one record.
const MAX_FRAGMENT: usize = 1 << 14;

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

/// The body of the first handshake message, of type `kind` and at most `most` bytes; `None`:
/// not all of it is there yet.
pub(crate) fn first_message(
    bytes: &[u8],
    kind: u8,
    most: usize,
) -> Result<Option<Vec<u8>>, RecordError> {
    let mut fragments = Fragments(Reader::new(bytes));
    let mut message = Vec::new();
    while let Some(fragment) = fragments.next()? {
        message.extend_from_slice(fragment);
        if let Some(length) = length_of(&message, kind, most)?
            && message.len() >= 4 + length
        {
            message.truncate(4 + length);
            message.drain(..4);
            return Ok(Some(message));
        }
    }
    Ok(None)
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

/// The fragments of handshake records that follow each other.
struct Fragments<'a>(Reader<'a>);

impl<'a> Fragments<'a> {
    /// `None`: the next record is not complete.
    fn next(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        let mut reader = self.0;
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
        let fragment = reader.take(length);
        if fragment.is_some() {
            self.0 = reader;
        }
        Ok(fragment)
    }
}
