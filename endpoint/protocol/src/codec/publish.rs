//! PUBLISH (MQTT 5, 3.3), and the properties it shares with the will.

use crate::{
    Malformed, PeerError, ProtocolError, QoS, Version,
    packet::{Publish, PublishProperties, SubscriptionIdentifiers},
};

use super::{
    EncodeError, RawPacket, Sender,
    frame::{self, PacketType},
    output::Output,
    property::{PropertyBlock, PropertyOutput, WriteProperties, id},
    reader::Reader,
};

#[inline]
pub(super) fn decode<'a>(
    raw: &RawPacket<'a>,
    version: Version,
    sender: Sender,
) -> Result<Publish<'a>, PeerError> {
    let qos = frame::publish_qos(raw.first)?;
    let mut reader = Reader::new(raw.body);
    // [MQTT-3.3.2-1], [MQTT-3.3.2-2]
    let topic = reader.topic_name()?;
    // [MQTT-2.2.1-2]
    let packet_id = match qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce | QoS::ExactlyOnce => Some(reader.packet_id()?),
    };
    let properties = match version {
        Version::V5 => decode_properties(&mut reader, sender)?,
        Version::V31 | Version::V311 => PublishProperties::default(),
    };
    if topic.is_empty() {
        check_empty_topic(version, &properties)?;
    }
    Ok(Publish {
        dup: raw.first & 0x08 != 0,
        qos,
        retain: raw.first & 0x01 != 0,
        topic,
        packet_id,
        properties,
        payload: reader.rest(),
    })
}

/// MQTT 5 lets a topic alias stand in for the topic (3.3.2.1).
#[cold]
fn check_empty_topic(
    version: Version,
    properties: &PublishProperties<'_>,
) -> Result<(), PeerError> {
    match version {
        Version::V5 if properties.topic_alias.is_some() => Ok(()),
        Version::V5 => Err(ProtocolError::NoTopic.into()),
        // [MQTT-4.7.3-1]
        Version::V31 | Version::V311 => Err(Malformed::TopicName.into()),
    }
}

#[inline]
fn decode_properties<'a>(
    reader: &mut Reader<'a>,
    sender: Sender,
) -> Result<PublishProperties<'a>, PeerError> {
    let block = PropertyBlock::take(reader)?;
    if block.whole().is_empty() {
        return Ok(PublishProperties::default());
    }
    decode_block(block, sender)
}

fn decode_block<'a>(
    mut block: PropertyBlock<'a>,
    sender: Sender,
) -> Result<PublishProperties<'a>, PeerError> {
    let mut properties = PublishProperties::default();
    let mut subscription_identifiers = 0;
    // MQTT 5, 3.3.2.3.8: one for each subscription that matched.
    block.allow_repeated(id::SUBSCRIPTION_IDENTIFIER);
    while let Some(id) = block.next_id()? {
        match id {
            id::TOPIC_ALIAS => properties.topic_alias = Some(block.topic_alias()?),
            // [MQTT-3.3.4-6]
            id::SUBSCRIPTION_IDENTIFIER if sender == Sender::Client => {
                return Err(ProtocolError::PropertyDirection(id).into());
            }
            id::SUBSCRIPTION_IDENTIFIER => {
                block.subscription_identifier()?;
                subscription_identifiers += 1;
            }
            _ => decode_message_property(id, &mut block, &mut properties)?,
        }
    }
    properties.user_properties = block.user_properties();
    properties.subscription_identifiers =
        SubscriptionIdentifiers::in_block(block.whole(), subscription_identifiers);
    Ok(properties)
}

/// Reads one of the properties that PUBLISH and the will have in common.
pub(super) fn decode_message_property<'a>(
    id: u8,
    block: &mut PropertyBlock<'a>,
    properties: &mut PublishProperties<'a>,
) -> Result<(), PeerError> {
    match id {
        id::PAYLOAD_FORMAT_INDICATOR => {
            properties.payload_is_utf8 = Some(block.payload_format_indicator()?);
        }
        id::MESSAGE_EXPIRY_INTERVAL => properties.message_expiry_interval = Some(block.u32()?),
        // [MQTT-3.3.2-13], [MQTT-3.3.2-14]
        id::RESPONSE_TOPIC => properties.response_topic = Some(block.topic_name()?),
        id::CORRELATION_DATA => properties.correlation_data = Some(block.binary()?),
        // [MQTT-3.3.2-19]
        id::CONTENT_TYPE => properties.content_type = Some(block.string()?),
        id::USER_PROPERTY => block.user_property()?,
        _ => return Err(Malformed::Property(id).into()),
    }
    Ok(())
}

pub(super) fn first_byte(publish: &Publish<'_>) -> u8 {
    // [MQTT-3.3.1-2]: DUP is 0 for QoS 0.
    let dup = publish.dup && publish.qos != QoS::AtMostOnce;
    PacketType::Publish.first_byte()
        | u8::from(dup) << 3
        | (publish.qos as u8) << 1
        | u8::from(publish.retain)
}

pub(super) fn write<O: Output>(
    publish: &Publish<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    out.string(publish.topic)?;
    // [MQTT-2.2.1-2]
    match (publish.qos, publish.packet_id) {
        (QoS::AtMostOnce, None) => {}
        (QoS::AtLeastOnce | QoS::ExactlyOnce, Some(packet_id)) => out.packet_id(packet_id),
        _ => return Err(EncodeError::PacketIdAndQoS),
    }
    if version == Version::V5 {
        publish.properties.write_block(out)?;
    }
    out.bytes(publish.payload);
    Ok(())
}

impl WriteProperties for PublishProperties<'_> {
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        out.u16_property(id::TOPIC_ALIAS, self.topic_alias.map(Into::into));
        self.subscription_identifiers.write(out);
        write_message_properties(self, out)
    }
}

/// Writes the properties that PUBLISH and the will have in common.
pub(super) fn write_message_properties<O: Output>(
    properties: &PublishProperties<'_>,
    out: &mut O,
) -> Result<(), EncodeError> {
    out.boolean_property(id::PAYLOAD_FORMAT_INDICATOR, properties.payload_is_utf8);
    out.u32_property(
        id::MESSAGE_EXPIRY_INTERVAL,
        properties.message_expiry_interval,
    );
    out.string_property(id::CONTENT_TYPE, properties.content_type)?;
    out.string_property(id::RESPONSE_TOPIC, properties.response_topic)?;
    out.binary_property(id::CORRELATION_DATA, properties.correlation_data)?;
    properties.user_properties.write(out);
    Ok(())
}
