//! Bounded reads of the data types of MQTT (MQTT 5, 1.5).

use crate::{Malformed, PacketId, topic};

/// The largest variable byte integer, and so the largest remaining length.
pub(super) const MAXIMUM_VARIABLE_BYTE_INTEGER: u32 = 268_435_455;

/// Reads one field after another from bytes that end where they must.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(super) const fn any_left(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Whatever has not been read.
    #[inline]
    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Refuses what is left over after the last field.
    #[inline]
    pub(super) const fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::TrailingBytes)
        }
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(super) fn variable_byte_integer(&mut self) -> Result<u32, Malformed> {
        let (value, rest) = variable_byte_integer(self.rest)?.ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(value)
    }

    /// Binary data: a length of two bytes, and that many bytes.
    #[inline]
    pub(super) fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A UTF-8 string.
    pub(super) fn string(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.binary()?;
        // [MQTT-1.5.4-2]
        if bytes.contains(&0) {
            return Err(Malformed::Utf8);
        }
        // [MQTT-1.5.4-1]
        simdutf8::basic::from_utf8(bytes).map_err(|_| Malformed::Utf8)
    }

    /// A UTF-8 string that names a topic.
    #[inline]
    pub(super) fn topic_name(&mut self) -> Result<&'a str, Malformed> {
        topic::parse_name(self.binary()?)
    }

    #[inline]
    pub(super) fn packet_id(&mut self) -> Result<PacketId, Malformed> {
        // [MQTT-2.2.1-3]
        PacketId::new(self.u16()?).ok_or(Malformed::PacketIdZero)
    }
}

/// Reads a variable byte integer (MQTT 5, 1.5.5) off the front of `bytes`: its value and what
/// follows it, or `None` if it goes on beyond the end.
#[inline]
pub(super) fn variable_byte_integer(bytes: &[u8]) -> Result<Option<(u32, &[u8])>, Malformed> {
    let mut rest = bytes;
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let Some((&byte, after)) = rest.split_first() else {
            return Ok(None);
        };
        value |= u32::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            // [MQTT-1.5.5-1]: only the shortest form, so a last byte of 0 has none before it.
            return if byte == 0 && shift > 0 {
                Err(Malformed::VariableByteInteger)
            } else {
                Ok(Some((value, after)))
            };
        }
        rest = after;
    }
    Err(Malformed::VariableByteInteger)
}
