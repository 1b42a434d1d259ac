//! Where a packet ends: the fixed header (MQTT 5, 2.1).

use std::fmt;

use crate::{Malformed, PeerError, QoS};

use super::reader;

/// One packet's bytes as framed by its fixed header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawPacket<'a> {
    /// Packet type and flags.
    pub first: u8,
    /// Variable header and payload.
    pub body: &'a [u8],
    /// Bytes of the whole packet, fixed header included.
    pub size: usize,
}

impl fmt::Debug for RawPacket<'_> {
    /// Leaves the body out: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPacket")
            .field("first", &self.first)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Takes the first packet off `input`, without looking into its body.
///
/// `Ok(None)` means that more bytes are needed. `maximum_packet_size` counts whole packets, in
/// bytes, fixed header included.
///
/// # Errors
///
/// As soon as the bytes that show it are there, and before any of the body has arrived:
/// [`Malformed::PacketType`], [`Malformed::FixedHeaderFlags`], [`Malformed::QoS`] or
/// [`Malformed::DupOnQos0`] on the first byte (only what no version allows; the rest is checked
/// where the version is known), [`Malformed::VariableByteInteger`] on the remaining length, and
/// [`PeerError::TooLarge`].
#[inline]
pub fn split(input: &[u8], maximum_packet_size: u32) -> Result<Option<RawPacket<'_>>, PeerError> {
    let Some((&first, after_type)) = input.split_first() else {
        return Ok(None);
    };
    check_first_byte(first)?;
    let Some((remaining_length, after_header)) = reader::variable_byte_integer(after_type)? else {
        return Ok(None);
    };
    let header = input.len() - after_header.len();
    let size = header + remaining_length as usize;
    // [MQTT-3.2.2-15]
    if size > maximum_packet_size as usize {
        return Err(PeerError::TooLarge {
            // At most 5 + 268,435,455.
            size: u32::try_from(size).unwrap_or(u32::MAX),
            maximum: maximum_packet_size,
        });
    }
    let body = after_header.get(..remaining_length as usize);
    Ok(body.map(|body| RawPacket { first, body, size }))
}

/// Refuses first bytes that no version allows.
#[inline]
fn check_first_byte(first: u8) -> Result<(), Malformed> {
    let packet_type = PacketType::of(first).ok_or(Malformed::PacketType(0))?;
    let flags = first & 0x0F;
    match packet_type {
        PacketType::Publish => publish_qos(first).map(drop),
        // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1].
        // DUP (0x08) is legal here in 3.1, and the version is not known yet.
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => {
            expect(flags & 0b0111 == 0b0010)
        }
        // [MQTT-2.1.3-1], [MQTT-3.14.1-1], [MQTT-3.15.1-1]
        _ => expect(flags == 0),
    }
}

fn expect(right: bool) -> Result<(), Malformed> {
    right.then_some(()).ok_or(Malformed::FixedHeaderFlags)
}

/// The QoS in a PUBLISH's first byte, once its flags are found right.
#[inline]
pub(super) fn publish_qos(first: u8) -> Result<QoS, Malformed> {
    match first & 0b1110 {
        0b0000 => Ok(QoS::AtMostOnce),
        0b0010 | 0b1010 => Ok(QoS::AtLeastOnce),
        0b0100 | 0b1100 => Ok(QoS::ExactlyOnce),
        // [MQTT-3.3.1-2]
        0b1000 => Err(Malformed::DupOnQos0),
        // [MQTT-3.3.1-4]
        _ => Err(Malformed::QoS),
    }
}

/// Control packet types (MQTT 5, table 2-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// The type in a first byte; `None` for the reserved type 0.
    #[inline]
    pub(super) const fn of(first: u8) -> Option<Self> {
        Some(match first >> 4 {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The first byte of a packet of this type, with the flags it must have. PUBLISH adds its own.
    pub(super) const fn first_byte(self) -> u8 {
        let flags = match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        };
        ((self as u8) << 4) | flags
    }
}
