//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5, 3.4 to 3.7), and the properties they share with
//! SUBACK, UNSUBACK, DISCONNECT and AUTH.

use crate::{
    Malformed, PacketId, PeerError, ReasonCode, Version,
    packet::{Ack, ReasonProperties},
};

use super::{
    EncodeError,
    frame::PacketType,
    output::Output,
    property::{PropertyBlock, PropertyOutput, WriteProperties, id},
    reader::Reader,
    reasons,
};

/// Which acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckKind {
    /// QoS 1.
    PubAck,
    /// QoS 2, first answer.
    PubRec,
    /// QoS 2, release.
    PubRel,
    /// QoS 2, complete.
    PubComp,
}

impl AckKind {
    const fn packet_type(self) -> PacketType {
        match self {
            Self::PubAck => PacketType::PubAck,
            Self::PubRec => PacketType::PubRec,
            Self::PubRel => PacketType::PubRel,
            Self::PubComp => PacketType::PubComp,
        }
    }
}

/// Appends an acknowledgement without properties, in its shortest form: 4 bytes, or 5 in MQTT 5
/// with a reason other than success.
#[inline]
pub fn encode_ack(
    kind: AckKind,
    packet_id: PacketId,
    reason: ReasonCode,
    version: Version,
    out: &mut Vec<u8>,
) {
    let first = kind.packet_type().first_byte();
    let [high, low] = packet_id.get().to_be_bytes();
    if version == Version::V5 && reason != ReasonCode::SUCCESS {
        out.extend_from_slice(&[first, 3, high, low, reason.0]);
    } else {
        out.extend_from_slice(&[first, 2, high, low]);
    }
}

pub(super) fn decode(kind: AckKind, body: &[u8], version: Version) -> Result<Ack<'_>, PeerError> {
    let mut reader = Reader::new(body);
    let mut ack = Ack {
        packet_id: reader.packet_id()?,
        reason: ReasonCode::SUCCESS,
        properties: ReasonProperties::default(),
    };
    // MQTT 5, 3.4.2.1: reason code and properties may be left out from the end.
    if version == Version::V5 && reader.any_left() {
        // [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1]
        ack.reason = reasons::parse(reader.u8()?, |code| reasons::of_ack(kind, code))?;
        if reader.any_left() {
            ack.properties = decode_reason_properties(&mut reader)?;
        }
    }
    reader.finish()?;
    Ok(ack)
}

pub(super) fn write<O: Output>(
    ack: &Ack<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    out.packet_id(ack.packet_id);
    let has_properties = version == Version::V5 && !ack.properties.is_empty();
    if has_properties || (version == Version::V5 && ack.reason != ReasonCode::SUCCESS) {
        out.u8(ack.reason.0);
    }
    if has_properties {
        ack.properties.write_block(out)?;
    }
    Ok(())
}

/// Reads a block that has a reason string and user properties and nothing else.
pub(super) fn decode_reason_properties<'a>(
    reader: &mut Reader<'a>,
) -> Result<ReasonProperties<'a>, PeerError> {
    let mut block = PropertyBlock::take(reader)?;
    let mut reason_string = None;
    while let Some(id) = block.next_id()? {
        match id {
            id::REASON_STRING => reason_string = Some(block.string()?),
            id::USER_PROPERTY => block.user_property()?,
            _ => return Err(Malformed::Property(id).into()),
        }
    }
    Ok(ReasonProperties {
        reason_string,
        user_properties: block.user_properties(),
    })
}

impl ReasonProperties<'_> {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.reason_string.is_none() && self.user_properties.is_empty()
    }
}

impl WriteProperties for ReasonProperties<'_> {
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        out.string_property(id::REASON_STRING, self.reason_string)?;
        self.user_properties.write(out);
        Ok(())
    }
}
