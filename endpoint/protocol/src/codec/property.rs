//! Properties (MQTT 5, 2.2.2): the block they stand in, their identifiers and their values.

use std::num::{NonZeroU16, NonZeroU32};

use crate::{Malformed, PeerError, ProtocolError, packet::UserProperties};

use super::{
    EncodeError,
    output::{Count, Output, length},
    reader::Reader,
};

/// Property identifiers (MQTT 5, table 2-4).
pub(super) mod id {
    pub(in crate::codec) const PAYLOAD_FORMAT_INDICATOR: u8 = 0x01;
    pub(in crate::codec) const MESSAGE_EXPIRY_INTERVAL: u8 = 0x02;
    pub(in crate::codec) const CONTENT_TYPE: u8 = 0x03;
    pub(in crate::codec) const RESPONSE_TOPIC: u8 = 0x08;
    pub(in crate::codec) const CORRELATION_DATA: u8 = 0x09;
    pub(in crate::codec) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0B;
    pub(in crate::codec) const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
    pub(in crate::codec) const ASSIGNED_CLIENT_IDENTIFIER: u8 = 0x12;
    pub(in crate::codec) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(in crate::codec) const AUTHENTICATION_METHOD: u8 = 0x15;
    pub(in crate::codec) const AUTHENTICATION_DATA: u8 = 0x16;
    pub(in crate::codec) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub(in crate::codec) const WILL_DELAY_INTERVAL: u8 = 0x18;
    pub(in crate::codec) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub(in crate::codec) const RESPONSE_INFORMATION: u8 = 0x1A;
    pub(in crate::codec) const SERVER_REFERENCE: u8 = 0x1C;
    pub(in crate::codec) const REASON_STRING: u8 = 0x1F;
    pub(in crate::codec) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(in crate::codec) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(in crate::codec) const TOPIC_ALIAS: u8 = 0x23;
    pub(in crate::codec) const MAXIMUM_QOS: u8 = 0x24;
    pub(in crate::codec) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(in crate::codec) const USER_PROPERTY: u8 = 0x26;
    pub(in crate::codec) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(in crate::codec) const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 0x28;
    pub(in crate::codec) const SUBSCRIPTION_IDENTIFIERS_AVAILABLE: u8 = 0x29;
    pub(in crate::codec) const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2A;
}

/// Reads one property after another: [`next_id`](Self::next_id), then the value, by the method of
/// its type. Which properties a packet has is said by the caller's `match`.
pub(super) struct PropertyBlock<'a> {
    whole: &'a [u8],
    unread: Reader<'a>,
    /// One bit for each identifier seen.
    seen: u64,
    /// One bit for each identifier that may come again.
    repeatable: u64,
    user_properties: u32,
}

impl<'a> PropertyBlock<'a> {
    /// Takes the block, with its length in front, off `reader`.
    #[inline]
    pub(super) fn take(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let length = reader.variable_byte_integer()?;
        let whole = reader.take(length as usize)?;
        Ok(Self {
            whole,
            unread: Reader::new(whole),
            seen: 0,
            repeatable: 1 << id::USER_PROPERTY,
            user_properties: 0,
        })
    }

    /// Lets one more identifier come several times.
    pub(super) const fn allow_repeated(&mut self, id: u8) {
        self.repeatable |= 1 << id;
    }

    /// The identifier of the next property, or `None` at the end of the block.
    #[inline]
    pub(super) fn next_id(&mut self) -> Result<Option<u8>, PeerError> {
        if !self.unread.any_left() {
            return Ok(None);
        }
        // An identifier is a variable byte integer, though all that are assigned fit in one byte.
        let id = self.unread.variable_byte_integer()?;
        let id = u8::try_from(id).unwrap_or(u8::MAX);
        if id >= 64 {
            return Err(Malformed::Property(id).into());
        }
        let bit = 1 << id;
        if self.seen & bit & !self.repeatable != 0 {
            return Err(ProtocolError::DuplicateProperty(id).into());
        }
        self.seen |= bit;
        Ok(Some(id))
    }

    /// The bytes of the whole block.
    pub(super) const fn whole(&self) -> &'a [u8] {
        self.whole
    }

    pub(super) fn u16(&mut self) -> Result<u16, PeerError> {
        Ok(self.unread.u16()?)
    }

    pub(super) fn u32(&mut self) -> Result<u32, PeerError> {
        Ok(self.unread.u32()?)
    }

    pub(super) fn string(&mut self) -> Result<&'a str, PeerError> {
        Ok(self.unread.string()?)
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], PeerError> {
        Ok(self.unread.binary()?)
    }

    pub(super) fn topic_name(&mut self) -> Result<&'a str, PeerError> {
        Ok(crate::topic::refuse_empty(self.unread.topic_name()?)?)
    }

    /// A byte that is 0 or 1; anything else is a protocol error.
    pub(super) fn boolean(&mut self, id: u8) -> Result<bool, PeerError> {
        match self.unread.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ProtocolError::PropertyValue(id).into()),
        }
    }

    /// The payload format indicator: 0 or 1, and nothing else is defined (MQTT 5, 3.3.2.3.2).
    pub(super) fn payload_format_indicator(&mut self) -> Result<bool, PeerError> {
        match self.unread.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::PropertyValue(id::PAYLOAD_FORMAT_INDICATOR).into()),
        }
    }

    pub(super) fn non_zero_u16(&mut self, id: u8) -> Result<NonZeroU16, PeerError> {
        let value = NonZeroU16::new(self.unread.u16()?);
        value.ok_or(ProtocolError::PropertyValue(id).into())
    }

    pub(super) fn non_zero_u32(&mut self, id: u8) -> Result<NonZeroU32, PeerError> {
        let value = NonZeroU32::new(self.unread.u32()?);
        value.ok_or(ProtocolError::PropertyValue(id).into())
    }

    pub(super) fn topic_alias(&mut self) -> Result<NonZeroU16, PeerError> {
        // [MQTT-3.3.2-8]
        NonZeroU16::new(self.unread.u16()?).ok_or(ProtocolError::TopicAlias.into())
    }

    pub(super) fn subscription_identifier(&mut self) -> Result<NonZeroU32, PeerError> {
        let value = NonZeroU32::new(self.unread.variable_byte_integer()?);
        // MQTT 5, 3.8.2.1.2
        value.ok_or(ProtocolError::PropertyValue(id::SUBSCRIPTION_IDENTIFIER).into())
    }

    /// Checks one user property; [`user_properties`](Self::user_properties) finds it again.
    pub(super) fn user_property(&mut self) -> Result<(), PeerError> {
        // [MQTT-1.5.7-1]
        self.unread.string()?;
        self.unread.string()?;
        self.user_properties += 1;
        Ok(())
    }

    /// All user properties of the block, once it is read to its end.
    #[inline]
    pub(super) const fn user_properties(&self) -> UserProperties<'a> {
        UserProperties::in_block(self.whole, self.user_properties)
    }
}

/// Takes the value of property `id` off a block that was found right before.
pub(super) fn take_value<'a>(id: u8, block: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let value = block.rest();
    match id {
        id::PAYLOAD_FORMAT_INDICATOR
        | id::REQUEST_PROBLEM_INFORMATION
        | id::REQUEST_RESPONSE_INFORMATION
        | id::MAXIMUM_QOS
        | id::RETAIN_AVAILABLE
        | id::WILDCARD_SUBSCRIPTION_AVAILABLE
        | id::SUBSCRIPTION_IDENTIFIERS_AVAILABLE
        | id::SHARED_SUBSCRIPTION_AVAILABLE => {
            block.u8()?;
        }
        id::SERVER_KEEP_ALIVE | id::RECEIVE_MAXIMUM | id::TOPIC_ALIAS_MAXIMUM | id::TOPIC_ALIAS => {
            block.u16()?;
        }
        id::MESSAGE_EXPIRY_INTERVAL
        | id::SESSION_EXPIRY_INTERVAL
        | id::WILL_DELAY_INTERVAL
        | id::MAXIMUM_PACKET_SIZE => {
            block.u32()?;
        }
        id::SUBSCRIPTION_IDENTIFIER => {
            block.variable_byte_integer()?;
        }
        id::USER_PROPERTY => {
            block.binary()?;
            block.binary()?;
        }
        id::CONTENT_TYPE
        | id::RESPONSE_TOPIC
        | id::CORRELATION_DATA
        | id::ASSIGNED_CLIENT_IDENTIFIER
        | id::AUTHENTICATION_METHOD
        | id::AUTHENTICATION_DATA
        | id::RESPONSE_INFORMATION
        | id::SERVER_REFERENCE
        | id::REASON_STRING => {
            block.binary()?;
        }
        _ => return Err(Malformed::Property(id)),
    }
    let taken = value.len() - block.rest().len();
    value.get(..taken).ok_or(Malformed::Truncated)
}

/// A set of properties that knows how it is written.
pub(super) trait WriteProperties {
    /// Writes every property that is present, without the length of the block.
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError>;

    /// The length of the block, without the length field itself.
    fn length(&self) -> Result<u32, EncodeError> {
        let mut count = Count::default();
        self.write(&mut count)?;
        length(&count)
    }

    /// Writes the block with its length in front.
    fn write_block<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        let length = self.length()?;
        out.variable_byte_integer(length)?;
        out.measured(length, |out| self.write(out))
    }
}

/// Writes single properties, those that are absent not at all.
pub(super) trait PropertyOutput: Output {
    fn boolean_property(&mut self, id: u8, value: Option<bool>) {
        if let Some(value) = value {
            self.bytes(&[id, u8::from(value)]);
        }
    }

    fn u16_property(&mut self, id: u8, value: Option<u16>) {
        if let Some(value) = value {
            self.u8(id);
            self.u16(value);
        }
    }

    fn u32_property(&mut self, id: u8, value: Option<u32>) {
        if let Some(value) = value {
            self.u8(id);
            self.u32(value);
        }
    }

    fn string_property(&mut self, id: u8, value: Option<&str>) -> Result<(), EncodeError> {
        value.map_or(Ok(()), |value| {
            self.u8(id);
            self.string(value)
        })
    }

    fn binary_property(&mut self, id: u8, value: Option<&[u8]>) -> Result<(), EncodeError> {
        value.map_or(Ok(()), |value| {
            self.u8(id);
            self.binary(value)
        })
    }
}

impl<O: Output> PropertyOutput for O {}
