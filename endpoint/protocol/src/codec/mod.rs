//! Bytes ↔ packets, for MQTT 3.1, 3.1.1 and 5: strict, and without copying or allocating.
//!
//! Receiving: [`split`] takes one packet's bytes off the input; [`decode_connect`] reads the first
//! packet of a connection, which says the version; [`decode_from_client`] (for servers) and
//! [`decode_from_server`] (for clients) read all that follow. Sending: [`encode`], and
//! [`encode_ack`] for the acknowledgements without properties that make up most of what a server
//! sends.
//!
//! There is one file for each packet family, each with its decoder and its encoder. Clauses in
//! brackets are those of MQTT 5 unless a version stands before them.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod frame;
pub mod lists;
mod output;
mod property;
mod publish;
mod reader;
mod reasons;
mod subscribe;

use crate::{Malformed, Packet, PeerError, ProtocolError, Version, packet::Connect};

use frame::PacketType;
use output::{Count, Output};

pub use ack::{AckKind, encode_ack};
pub use frame::{RawPacket, split};
pub use lists::{
    Filters, FiltersBuf, ReasonCodes, SubscriptionIdentifiers, SubscriptionIdentifiersBuf,
    UserProperties, UserPropertiesBuf,
};

/// Who sent a packet, where the rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

/// Decodes the first packet of a connection.
///
/// # Errors
///
/// [`ProtocolError::ConnectExpected`] for any other packet type `[MQTT-3.1.0-1]`;
/// [`PeerError::UnsupportedVersion`] for another protocol name or level; else what is wrong with
/// the CONNECT.
pub fn decode_connect<'a>(raw: &RawPacket<'a>) -> Result<Connect<'a>, PeerError> {
    match PacketType::of(raw.first) {
        Some(PacketType::Connect) => {
            check_flags(PacketType::Connect, raw.first, None)?;
            connect::decode(raw.body)
        }
        Some(_) => Err(ProtocolError::ConnectExpected.into()),
        None => Err(Malformed::PacketType(0).into()),
    }
}

/// Decodes a packet that a client sent after its CONNECT.
///
/// # Errors
///
/// [`ProtocolError::SecondConnect`] for CONNECT `[MQTT-3.1.0-2]`,
/// [`ProtocolError::WrongDirection`] for a packet that only servers send; else what is wrong with
/// the packet.
#[inline]
pub fn decode_from_client<'a>(
    raw: &RawPacket<'a>,
    version: Version,
) -> Result<Packet<'a>, PeerError> {
    let packet_type = PacketType::of(raw.first).ok_or(Malformed::PacketType(0))?;
    if packet_type == PacketType::Publish {
        return publish::decode(raw, version, Sender::Client).map(Packet::Publish);
    }
    match packet_type {
        PacketType::Connect => Err(ProtocolError::SecondConnect.into()),
        PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck | PacketType::PingResp => {
            Err(ProtocolError::WrongDirection.into())
        }
        _ => decode_other(packet_type, raw, version, Sender::Client),
    }
}

/// Decodes a packet that a server sent.
///
/// # Errors
///
/// [`ProtocolError::WrongDirection`] for a packet that only clients send (in 3.x DISCONNECT is
/// one); else what is wrong with the packet.
pub fn decode_from_server<'a>(
    raw: &RawPacket<'a>,
    version: Version,
) -> Result<Packet<'a>, PeerError> {
    let packet_type = PacketType::of(raw.first).ok_or(Malformed::PacketType(0))?;
    match packet_type {
        PacketType::Connect
        | PacketType::Subscribe
        | PacketType::Unsubscribe
        | PacketType::PingReq => Err(ProtocolError::WrongDirection.into()),
        PacketType::Disconnect if version != Version::V5 => {
            Err(ProtocolError::WrongDirection.into())
        }
        PacketType::Publish => publish::decode(raw, version, Sender::Server).map(Packet::Publish),
        _ => decode_other(packet_type, raw, version, Sender::Server),
    }
}

/// Decodes any packet but CONNECT and PUBLISH, once its type is found fit for its sender.
fn decode_other<'a>(
    packet_type: PacketType,
    raw: &RawPacket<'a>,
    version: Version,
    sender: Sender,
) -> Result<Packet<'a>, PeerError> {
    check_flags(packet_type, raw.first, Some(version))?;
    let body = raw.body;
    Ok(match packet_type {
        PacketType::PubAck => Packet::PubAck(ack::decode(AckKind::PubAck, body, version)?),
        PacketType::PubRec => Packet::PubRec(ack::decode(AckKind::PubRec, body, version)?),
        PacketType::PubRel => Packet::PubRel(ack::decode(AckKind::PubRel, body, version)?),
        PacketType::PubComp => Packet::PubComp(ack::decode(AckKind::PubComp, body, version)?),
        PacketType::Subscribe => Packet::Subscribe(subscribe::decode(body, version)?),
        PacketType::Unsubscribe => {
            Packet::Unsubscribe(subscribe::decode_unsubscribe(body, version)?)
        }
        PacketType::SubAck => Packet::SubAck(subscribe::decode_suback(body, version)?),
        PacketType::UnsubAck => Packet::UnsubAck(subscribe::decode_unsuback(body, version)?),
        PacketType::PingReq => {
            reader::Reader::new(body).finish()?;
            Packet::PingReq
        }
        PacketType::PingResp => {
            reader::Reader::new(body).finish()?;
            Packet::PingResp
        }
        PacketType::ConnAck => Packet::ConnAck(connack::decode(body, version)?),
        PacketType::Disconnect => Packet::Disconnect(disconnect::decode(body, version, sender)?),
        PacketType::Auth if version == Version::V5 => Packet::Auth(auth::decode(body, sender)?),
        PacketType::Auth => return Err(Malformed::PacketType(PacketType::Auth as u8).into()),
        // The callers have dealt with these.
        PacketType::Connect | PacketType::Publish => {
            return Err(ProtocolError::WrongDirection.into());
        }
    })
}

/// Checks the flags of every packet type but PUBLISH `[MQTT-2.1.3-1]`.
fn check_flags(
    packet_type: PacketType,
    first: u8,
    version: Option<Version>,
) -> Result<(), Malformed> {
    let expected = packet_type.first_byte();
    let has_dup = matches!(
        packet_type,
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe
    );
    // MQTT 3.1, 2.1: these three are sent with QoS 1, and again with DUP.
    let dup_allowed = has_dup && version == Some(Version::V31);
    if first == expected || (dup_allowed && first == expected | 0x08) {
        Ok(())
    } else {
        Err(Malformed::FixedHeaderFlags)
    }
}

/// Why a packet cannot be written. The packet is at fault, and so our side of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A string or binary field of this many bytes; 65,535 is the most.
    #[error("a string of {0} bytes is longer than 65,535")]
    StringTooLong(usize),
    /// A string with U+0000 `[MQTT-1.5.4-2]`.
    #[error("a string contains U+0000")]
    NulInString,
    /// A variable byte integer above 268,435,455.
    #[error("{0} does not fit in a variable byte integer")]
    IntegerTooLarge(u32),
    /// A remaining length or property length above 268,435,455.
    #[error("a packet of {0} bytes is larger than 268,435,455")]
    PacketTooLarge(usize),
    /// A PUBLISH of QoS 1 or 2 without packet identifier, or of QoS 0 with one `[MQTT-2.2.1-2]`.
    #[error("packet identifier and QoS do not go together")]
    PacketIdAndQoS,
    /// What the version cannot say and must not leave out.
    #[error("{0} does not exist in this version of MQTT")]
    NotInVersion(&'static str),
}

/// Appends a packet to `out` and returns how many bytes that were.
///
/// What `version` does not have, above all properties, is left out. A CONNECT is written in its
/// own version.
///
/// # Errors
///
/// [`EncodeError`]; `out` is then as before.
pub fn encode(
    packet: &Packet<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<usize, EncodeError> {
    let remaining_length = remaining_length(packet, version)?;
    let before = out.len();
    out.reserve(remaining_length as usize + 5);
    out.u8(first_byte(packet));
    // Whatever cannot be written was found while it was measured, before anything was appended.
    out.variable_byte_integer(remaining_length)?;
    write_body(packet, version, out)?;
    Ok(out.len() - before)
}

/// How many bytes [`encode`] would append.
///
/// # Errors
///
/// As [`encode`].
pub fn encoded_len(packet: &Packet<'_>, version: Version) -> Result<usize, EncodeError> {
    let remaining_length = remaining_length(packet, version)?;
    let mut header = Count(1);
    header.variable_byte_integer(remaining_length)?;
    Ok(header.0 + remaining_length as usize)
}

fn remaining_length(packet: &Packet<'_>, version: Version) -> Result<u32, EncodeError> {
    let mut count = Count::default();
    write_body(packet, version, &mut count)?;
    output::length(&count)
}

fn first_byte(packet: &Packet<'_>) -> u8 {
    let packet_type = match packet {
        Packet::Publish(publish) => return publish::first_byte(publish),
        Packet::Connect(_) => PacketType::Connect,
        Packet::ConnAck(_) => PacketType::ConnAck,
        Packet::PubAck(_) => PacketType::PubAck,
        Packet::PubRec(_) => PacketType::PubRec,
        Packet::PubRel(_) => PacketType::PubRel,
        Packet::PubComp(_) => PacketType::PubComp,
        Packet::Subscribe(_) => PacketType::Subscribe,
        Packet::SubAck(_) => PacketType::SubAck,
        Packet::Unsubscribe(_) => PacketType::Unsubscribe,
        Packet::UnsubAck(_) => PacketType::UnsubAck,
        Packet::PingReq => PacketType::PingReq,
        Packet::PingResp => PacketType::PingResp,
        Packet::Disconnect(_) => PacketType::Disconnect,
        Packet::Auth(_) => PacketType::Auth,
    };
    packet_type.first_byte()
}

fn write_body<O: Output>(
    packet: &Packet<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(connect) => connect::write(connect, out),
        Packet::ConnAck(connack) => connack::write(connack, version, out),
        Packet::Publish(publish) => publish::write(publish, version, out),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack::write(ack, version, out)
        }
        Packet::Subscribe(subscribe) => subscribe::write(subscribe, version, out),
        Packet::Unsubscribe(unsubscribe) => subscribe::write_unsubscribe(unsubscribe, version, out),
        Packet::SubAck(suback) => subscribe::write_suback(suback, version, out),
        Packet::UnsubAck(unsuback) => subscribe::write_unsuback(unsuback, version, out),
        Packet::PingReq | Packet::PingResp => Ok(()),
        Packet::Disconnect(disconnect) => disconnect::write(disconnect, version, out),
        Packet::Auth(auth) => auth::write(auth, version, out),
    }
}
