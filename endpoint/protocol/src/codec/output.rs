//! Where encoded packets go: a buffer, or a mere count of bytes. Each packet is described once and
//! run through both, so that a length field and what it measures cannot differ.

use crate::PacketId;

use super::{EncodeError, reader::MAXIMUM_VARIABLE_BYTE_INTEGER};

/// Takes the data types of MQTT (MQTT 5, 1.5).
pub(super) trait Output {
    fn bytes(&mut self, bytes: &[u8]);

    /// Writes what was measured before, and so need not be counted again.
    fn measured(
        &mut self,
        length: u32,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError>;

    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    fn packet_id(&mut self, packet_id: PacketId) {
        self.u16(packet_id.get());
    }

    fn variable_byte_integer(&mut self, value: u32) -> Result<(), EncodeError> {
        if value > MAXIMUM_VARIABLE_BYTE_INTEGER {
            return Err(EncodeError::IntegerTooLarge(value));
        }
        let mut rest = value;
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.u8(low & 0x7F);
                return Ok(());
            }
            self.u8(low | 0x80);
        }
    }

    fn binary(&mut self, value: &[u8]) -> Result<(), EncodeError> {
        let length =
            u16::try_from(value.len()).map_err(|_| EncodeError::StringTooLong(value.len()))?;
        self.u16(length);
        self.bytes(value);
        Ok(())
    }

    fn string(&mut self, value: &str) -> Result<(), EncodeError> {
        // [MQTT-1.5.4-2]
        if value.as_bytes().contains(&0) {
            return Err(EncodeError::NulInString);
        }
        self.binary(value.as_bytes())
    }
}

impl Output for Vec<u8> {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn measured(
        &mut self,
        _length: u32,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        write(self)
    }
}

/// Counts the bytes that would be written.
#[derive(Debug, Default)]
pub(super) struct Count(pub(super) usize);

impl Output for Count {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }

    fn measured(
        &mut self,
        length: u32,
        _write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.0 = self.0.saturating_add(length as usize);
        Ok(())
    }
}

/// A length in front of what it measures; refused beyond what the wire can say.
pub(super) fn length(measured: &Count) -> Result<u32, EncodeError> {
    u32::try_from(measured.0)
        .ok()
        .filter(|&length| length <= MAXIMUM_VARIABLE_BYTE_INTEGER)
        .ok_or(EncodeError::PacketTooLarge(measured.0))
}
