//! SUBSCRIBE, UNSUBSCRIBE and their answers (MQTT 5, 3.8 to 3.11).

use crate::{
    Malformed, PeerError, ReasonCode, Version,
    packet::{
        Filters, ReasonCodes, ReasonProperties, SubAck, Subscribe, Unsubscribe, UserProperties,
    },
};

use super::{
    EncodeError, ack,
    lists::Layout,
    output::Output,
    property::{PropertyBlock, WriteProperties, id},
    reader::Reader,
    reasons,
};

pub(super) fn decode(body: &[u8], version: Version) -> Result<Subscribe<'_>, PeerError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let mut subscription_identifier = None;
    let mut user_properties = UserProperties::default();
    if version == Version::V5 {
        let mut block = PropertyBlock::take(&mut reader)?;
        while let Some(id) = block.next_id()? {
            match id {
                id::SUBSCRIPTION_IDENTIFIER => {
                    subscription_identifier = Some(block.subscription_identifier()?);
                }
                id::USER_PROPERTY => block.user_property()?,
                _ => return Err(Malformed::Property(id).into()),
            }
        }
        user_properties = block.user_properties();
    }
    Ok(Subscribe {
        packet_id,
        subscription_identifier,
        user_properties,
        filters: Filters::decode(reader.rest(), Layout::Options, version)?,
    })
}

pub(super) fn decode_unsubscribe(
    body: &[u8],
    version: Version,
) -> Result<Unsubscribe<'_>, PeerError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let mut user_properties = UserProperties::default();
    if version == Version::V5 {
        let mut block = PropertyBlock::take(&mut reader)?;
        while let Some(id) = block.next_id()? {
            match id {
                id::USER_PROPERTY => block.user_property()?,
                _ => return Err(Malformed::Property(id).into()),
            }
        }
        user_properties = block.user_properties();
    }
    Ok(Unsubscribe {
        packet_id,
        user_properties,
        filters: Filters::decode(reader.rest(), Layout::FilterOnly, version)?,
    })
}

pub(super) fn decode_suback(body: &[u8], version: Version) -> Result<SubAck<'_>, PeerError> {
    decode_answer(body, version, |code| match version {
        // 3.1 has no code for failure.
        Version::V31 => matches!(code, 0..=2),
        // 3.1.1: [MQTT-3.9.3-2]
        Version::V311 => matches!(code, 0..=2 | 0x80),
        // [MQTT-3.9.3-2]
        Version::V5 => reasons::of_suback(code),
    })
}

pub(super) fn decode_unsuback(body: &[u8], version: Version) -> Result<SubAck<'_>, PeerError> {
    match version {
        // [MQTT-3.11.3-2]
        Version::V5 => decode_answer(body, version, reasons::of_unsuback),
        Version::V31 | Version::V311 => {
            let mut reader = Reader::new(body);
            let packet_id = reader.packet_id()?;
            reader.finish()?;
            Ok(SubAck {
                packet_id,
                properties: ReasonProperties::default(),
                reasons: ReasonCodes::default(),
            })
        }
    }
}

/// Reads a packet identifier, properties, and reason codes up to the end, of which there is at
/// least one because there was at least one filter.
fn decode_answer(
    body: &[u8],
    version: Version,
    packet_has: impl Fn(u8) -> bool,
) -> Result<SubAck<'_>, PeerError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let properties = match version {
        Version::V5 => ack::decode_reason_properties(&mut reader)?,
        Version::V31 | Version::V311 => ReasonProperties::default(),
    };
    let codes = reader.rest();
    if codes.is_empty() {
        return Err(Malformed::Truncated.into());
    }
    for &code in codes {
        reasons::parse(code, &packet_has)?;
    }
    Ok(SubAck {
        packet_id,
        properties,
        reasons: ReasonCodes::decoded(codes),
    })
}

pub(super) fn write<O: Output>(
    subscribe: &Subscribe<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    out.packet_id(subscribe.packet_id);
    if version == Version::V5 {
        SubscribeProperties(subscribe).write_block(out)?;
    }
    subscribe.filters.write(out, Layout::Options, version)
}

struct SubscribeProperties<'p>(&'p Subscribe<'p>);

impl WriteProperties for SubscribeProperties<'_> {
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        if let Some(identifier) = self.0.subscription_identifier {
            out.u8(id::SUBSCRIPTION_IDENTIFIER);
            out.variable_byte_integer(identifier.get())?;
        }
        self.0.user_properties.write(out);
        Ok(())
    }
}

pub(super) fn write_unsubscribe<O: Output>(
    unsubscribe: &Unsubscribe<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    out.packet_id(unsubscribe.packet_id);
    if version == Version::V5 {
        unsubscribe.user_properties.write_block(out)?;
    }
    unsubscribe.filters.write(out, Layout::FilterOnly, version)
}

impl WriteProperties for UserProperties<'_> {
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        UserProperties::write(self, out);
        Ok(())
    }
}

pub(super) fn write_suback<O: Output>(
    suback: &SubAck<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    out.packet_id(suback.packet_id);
    if version == Version::V5 {
        suback.properties.write_block(out)?;
    }
    for reason in suback.reasons.iter() {
        out.u8(suback_code(reason, version));
    }
    Ok(())
}

/// A SUBACK's code as `version` writes it.
const fn suback_code(reason: ReasonCode, version: Version) -> u8 {
    match version {
        Version::V5 => reason.0,
        // 3.1.1, 3.9.3: the only failure there is.
        Version::V311 if reason.is_failure() => 0x80,
        // 3.1 cannot say it, and 0x80 would be read as a granted QoS of 0 with reserved bits set.
        Version::V31 if reason.is_failure() => 0,
        Version::V31 | Version::V311 => reason.0,
    }
}

pub(super) fn write_unsuback<O: Output>(
    unsuback: &SubAck<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    out.packet_id(unsuback.packet_id);
    if version == Version::V5 {
        unsuback.properties.write_block(out)?;
        for reason in unsuback.reasons.iter() {
            out.u8(reason.0);
        }
    }
    Ok(())
}
