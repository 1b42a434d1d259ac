//! CONNACK (MQTT 5, 3.2).

use crate::{
    Malformed, PeerError, ProtocolError, QoS, ReasonCode, Version,
    packet::{ConnAck, ConnAckProperties},
};

use super::{
    EncodeError,
    output::Output,
    property::{PropertyBlock, PropertyOutput, WriteProperties, id},
    reader::Reader,
    reasons,
};

pub(super) fn decode(body: &[u8], version: Version) -> Result<ConnAck<'_>, PeerError> {
    let mut reader = Reader::new(body);
    let flags = reader.u8()?;
    let code = reader.u8()?;
    let session_present = match (version, flags) {
        // 3.1, 3.2: the whole byte is reserved and not used.
        (Version::V31, _) | (_, 0) => false,
        (_, 1) => true,
        // [MQTT-3.2.2-1]
        _ => return Err(Malformed::Reserved.into()),
    };
    let reason = match version {
        // [MQTT-3.2.2-8]
        Version::V5 => reasons::parse(code, reasons::of_connack)?,
        Version::V31 | Version::V311 => reason_of_return_code(code)?,
    };
    // [MQTT-3.2.2-6]; 3.1.1: [MQTT-3.2.2-4]
    if session_present && reason != ReasonCode::SUCCESS {
        return Err(Malformed::Reserved.into());
    }
    let properties = match version {
        Version::V5 => decode_properties(&mut reader)?,
        Version::V31 | Version::V311 => ConnAckProperties::default(),
    };
    reader.finish()?;
    Ok(ConnAck {
        session_present,
        reason,
        properties,
    })
}

/// The inverse of [`ReasonCode::connect_return_code`].
const fn reason_of_return_code(code: u8) -> Result<ReasonCode, Malformed> {
    Ok(match code {
        0 => ReasonCode::SUCCESS,
        1 => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        2 => ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
        3 => ReasonCode::SERVER_UNAVAILABLE,
        4 => ReasonCode::BAD_USER_NAME_OR_PASSWORD,
        5 => ReasonCode::NOT_AUTHORIZED,
        _ => return Err(Malformed::ReasonCode(code)),
    })
}

fn decode_properties<'a>(reader: &mut Reader<'a>) -> Result<ConnAckProperties<'a>, PeerError> {
    let mut block = PropertyBlock::take(reader)?;
    let mut p = ConnAckProperties::default();
    while let Some(id) = block.next_id()? {
        match id {
            id::SESSION_EXPIRY_INTERVAL => p.session_expiry_interval = Some(block.u32()?),
            id::RECEIVE_MAXIMUM => p.receive_maximum = Some(block.non_zero_u16(id)?),
            id::MAXIMUM_QOS => {
                // 3.2.2.3.4: 0 or 1; 2 is said by leaving it out.
                p.maximum_qos = Some(if block.boolean(id)? {
                    QoS::AtLeastOnce
                } else {
                    QoS::AtMostOnce
                });
            }
            id::RETAIN_AVAILABLE => p.retain_available = Some(block.boolean(id)?),
            id::MAXIMUM_PACKET_SIZE => p.maximum_packet_size = Some(block.non_zero_u32(id)?),
            id::ASSIGNED_CLIENT_IDENTIFIER => {
                p.assigned_client_identifier = Some(block.string()?);
            }
            id::TOPIC_ALIAS_MAXIMUM => p.topic_alias_maximum = Some(block.u16()?),
            id::REASON_STRING => p.reason_string = Some(block.string()?),
            id::USER_PROPERTY => block.user_property()?,
            id::WILDCARD_SUBSCRIPTION_AVAILABLE => {
                p.wildcard_subscription_available = Some(block.boolean(id)?);
            }
            id::SUBSCRIPTION_IDENTIFIERS_AVAILABLE => {
                p.subscription_identifiers_available = Some(block.boolean(id)?);
            }
            id::SHARED_SUBSCRIPTION_AVAILABLE => {
                p.shared_subscription_available = Some(block.boolean(id)?);
            }
            id::SERVER_KEEP_ALIVE => p.server_keep_alive = Some(block.u16()?),
            id::RESPONSE_INFORMATION => p.response_information = Some(block.string()?),
            id::SERVER_REFERENCE => p.server_reference = Some(block.string()?),
            id::AUTHENTICATION_METHOD => p.authentication_method = Some(block.string()?),
            id::AUTHENTICATION_DATA => p.authentication_data = Some(block.binary()?),
            _ => return Err(Malformed::Property(id).into()),
        }
    }
    p.user_properties = block.user_properties();
    if p.authentication_data.is_some() && p.authentication_method.is_none() {
        return Err(ProtocolError::AuthenticationDataWithoutMethod.into());
    }
    Ok(p)
}

pub(super) fn write<O: Output>(
    connack: &ConnAck<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    // [MQTT-3.2.2-6]; 3.1 has no such flag.
    let session_present =
        connack.session_present && connack.reason == ReasonCode::SUCCESS && version != Version::V31;
    out.u8(u8::from(session_present));
    if version == Version::V5 {
        out.u8(connack.reason.0);
        connack.properties.write_block(out)
    } else {
        out.u8(connack.reason.connect_return_code());
        Ok(())
    }
}

impl WriteProperties for ConnAckProperties<'_> {
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        out.u32_property(id::SESSION_EXPIRY_INTERVAL, self.session_expiry_interval);
        out.u16_property(id::RECEIVE_MAXIMUM, self.receive_maximum.map(Into::into));
        let maximum_qos = match self.maximum_qos {
            Some(QoS::AtMostOnce) => Some(false),
            Some(QoS::AtLeastOnce) => Some(true),
            Some(QoS::ExactlyOnce) | None => None,
        };
        out.boolean_property(id::MAXIMUM_QOS, maximum_qos);
        out.boolean_property(id::RETAIN_AVAILABLE, self.retain_available);
        out.u32_property(
            id::MAXIMUM_PACKET_SIZE,
            self.maximum_packet_size.map(Into::into),
        );
        out.string_property(
            id::ASSIGNED_CLIENT_IDENTIFIER,
            self.assigned_client_identifier,
        )?;
        out.u16_property(id::TOPIC_ALIAS_MAXIMUM, self.topic_alias_maximum);
        out.string_property(id::REASON_STRING, self.reason_string)?;
        self.user_properties.write(out);
        out.boolean_property(
            id::WILDCARD_SUBSCRIPTION_AVAILABLE,
            self.wildcard_subscription_available,
        );
        out.boolean_property(
            id::SUBSCRIPTION_IDENTIFIERS_AVAILABLE,
            self.subscription_identifiers_available,
        );
        out.boolean_property(
            id::SHARED_SUBSCRIPTION_AVAILABLE,
            self.shared_subscription_available,
        );
        out.u16_property(id::SERVER_KEEP_ALIVE, self.server_keep_alive);
        out.string_property(id::RESPONSE_INFORMATION, self.response_information)?;
        out.string_property(id::SERVER_REFERENCE, self.server_reference)?;
        out.string_property(id::AUTHENTICATION_METHOD, self.authentication_method)?;
        out.binary_property(id::AUTHENTICATION_DATA, self.authentication_data)
    }
}
