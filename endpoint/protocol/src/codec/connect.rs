//! CONNECT (MQTT 5, 3.1).

use crate::{
    Malformed, PeerError, ProtocolError, QoS, Version,
    packet::{Connect, ConnectProperties, PublishProperties, Will},
    topic,
};

use super::{
    EncodeError,
    output::Output,
    property::{PropertyBlock, PropertyOutput, WriteProperties, id},
    publish,
    reader::Reader,
};

pub(super) fn decode(body: &[u8]) -> Result<Connect<'_>, PeerError> {
    let mut reader = Reader::new(body);
    let version = decode_version(&mut reader)?;
    let flags = Flags::parse(reader.u8()?, version)?;
    let keep_alive = reader.u16()?;
    let properties = match version {
        Version::V5 => decode_properties(&mut reader)?,
        Version::V31 | Version::V311 => ConnectProperties::default(),
    };
    // [MQTT-3.1.3-1]: the fields of the payload, in this order.
    // [MQTT-3.1.3-3], [MQTT-3.1.3-4]
    let client_id = reader.string()?;
    // [MQTT-3.1.2-9]
    let will = match flags.will {
        Some((qos, retain)) => Some(decode_will(&mut reader, version, qos, retain)?),
        None => None,
    };
    // [MQTT-3.1.2-16], [MQTT-3.1.2-17], [MQTT-3.1.3-12]
    let user_name = if flags.user_name && !left_out(&reader, version) {
        Some(reader.string()?)
    } else {
        None
    };
    // [MQTT-3.1.2-18], [MQTT-3.1.2-19]
    let password = if flags.password && !left_out(&reader, version) {
        Some(reader.binary()?)
    } else {
        None
    };
    reader.finish()?;
    Ok(Connect {
        version,
        clean: flags.clean,
        keep_alive,
        properties,
        client_id,
        will,
        user_name,
        password,
    })
}

/// MQTT 3.1, 3.1: "the Remaining Length field from the fixed header takes precedence over the User
/// Name flag": the packet may end where a user name or a password is announced.
const fn left_out(reader: &Reader<'_>, version: Version) -> bool {
    matches!(version, Version::V31) && !reader.any_left()
}

fn decode_version(reader: &mut Reader<'_>) -> Result<Version, PeerError> {
    let name = reader.string()?;
    let level = reader.u8()?;
    // [MQTT-3.1.2-1], [MQTT-3.1.2-2]
    match (name, level) {
        ("MQTT", 5) => Ok(Version::V5),
        ("MQTT", 4) => Ok(Version::V311),
        ("MQIsdp", 3) => Ok(Version::V31),
        _ => Err(PeerError::UnsupportedVersion { level }),
    }
}

const RESERVED: u8 = 0x01;
const CLEAN: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS_SHIFT: u8 = 3;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// The connect flags (3.1.2.3).
struct Flags {
    clean: bool,
    will: Option<(QoS, bool)>,
    user_name: bool,
    password: bool,
}

impl Flags {
    fn parse(byte: u8, version: Version) -> Result<Self, Malformed> {
        let has = |flag: u8| byte & flag != 0;
        // [MQTT-3.1.2-3]; in 3.1 the bit is merely unused.
        if has(RESERVED) && version != Version::V31 {
            return Err(Malformed::Reserved);
        }
        // 3.1, 3.1: "it is not valid to supply a password without supplying a user name";
        // 3.1.1: [MQTT-3.1.2-22]. MQTT 5 allows it.
        if has(PASSWORD) && !has(USER_NAME) && version != Version::V5 {
            return Err(Malformed::ConnectFlags);
        }
        Ok(Self {
            clean: has(CLEAN),
            will: Self::will(byte, version)?,
            user_name: has(USER_NAME),
            password: has(PASSWORD),
        })
    }

    fn will(byte: u8, version: Version) -> Result<Option<(QoS, bool)>, Malformed> {
        let retain = byte & WILL_RETAIN != 0;
        let qos_bits = byte >> WILL_QOS_SHIFT & 0b11;
        if byte & WILL == 0 {
            // [MQTT-3.1.2-11], [MQTT-3.1.2-13]; 3.1 disregards both without a will.
            return if version != Version::V31 && (qos_bits != 0 || retain) {
                Err(Malformed::ConnectFlags)
            } else {
                Ok(None)
            };
        }
        let qos = match qos_bits {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            2 => QoS::ExactlyOnce,
            // [MQTT-3.1.2-12]
            _ => return Err(Malformed::QoS),
        };
        Ok(Some((qos, retain)))
    }
}

fn decode_properties<'a>(reader: &mut Reader<'a>) -> Result<ConnectProperties<'a>, PeerError> {
    let mut block = PropertyBlock::take(reader)?;
    let mut p = ConnectProperties::default();
    while let Some(id) = block.next_id()? {
        match id {
            id::SESSION_EXPIRY_INTERVAL => p.session_expiry_interval = Some(block.u32()?),
            id::RECEIVE_MAXIMUM => p.receive_maximum = Some(block.non_zero_u16(id)?),
            id::MAXIMUM_PACKET_SIZE => p.maximum_packet_size = Some(block.non_zero_u32(id)?),
            id::TOPIC_ALIAS_MAXIMUM => p.topic_alias_maximum = Some(block.u16()?),
            id::REQUEST_RESPONSE_INFORMATION => {
                p.request_response_information = Some(block.boolean(id)?);
            }
            id::REQUEST_PROBLEM_INFORMATION => {
                p.request_problem_information = Some(block.boolean(id)?);
            }
            id::USER_PROPERTY => block.user_property()?,
            id::AUTHENTICATION_METHOD => p.authentication_method = Some(block.string()?),
            id::AUTHENTICATION_DATA => p.authentication_data = Some(block.binary()?),
            _ => return Err(Malformed::Property(id).into()),
        }
    }
    p.user_properties = block.user_properties();
    // 3.1.2.11.10
    if p.authentication_data.is_some() && p.authentication_method.is_none() {
        return Err(ProtocolError::AuthenticationDataWithoutMethod.into());
    }
    Ok(p)
}

fn decode_will<'a>(
    reader: &mut Reader<'a>,
    version: Version,
    qos: QoS,
    retain: bool,
) -> Result<Will<'a>, PeerError> {
    let mut delay_interval = None;
    let mut properties = PublishProperties::default();
    if version == Version::V5 {
        let mut block = PropertyBlock::take(reader)?;
        while let Some(id) = block.next_id()? {
            if id == id::WILL_DELAY_INTERVAL {
                delay_interval = Some(block.u32()?);
            } else {
                publish::decode_message_property(id, &mut block, &mut properties)?;
            }
        }
        properties.user_properties = block.user_properties();
    }
    Ok(Will {
        // [MQTT-3.1.3-11]
        topic: topic::refuse_empty(reader.topic_name()?)?,
        // 3.1 calls it a string of ASCII, but its clients send any bytes, as later versions allow.
        payload: reader.binary()?,
        qos,
        retain,
        delay_interval,
        properties,
    })
}

pub(super) fn write<O: Output>(connect: &Connect<'_>, out: &mut O) -> Result<(), EncodeError> {
    let (name, level) = match connect.version {
        Version::V31 => ("MQIsdp", 3),
        Version::V311 => ("MQTT", 4),
        Version::V5 => ("MQTT", 5),
    };
    out.string(name)?;
    out.u8(level);
    out.u8(flags_byte(connect)?);
    out.u16(connect.keep_alive);
    if connect.version == Version::V5 {
        connect.properties.write_block(out)?;
    }
    out.string(connect.client_id)?;
    if let Some(will) = &connect.will {
        if connect.version == Version::V5 {
            will.write_block(out)?;
        }
        out.string(will.topic)?;
        out.binary(will.payload)?;
    }
    if let Some(user_name) = connect.user_name {
        out.string(user_name)?;
    }
    if let Some(password) = connect.password {
        out.binary(password)?;
    }
    Ok(())
}

fn flags_byte(connect: &Connect<'_>) -> Result<u8, EncodeError> {
    // 3.1.1: [MQTT-3.1.2-22]
    if connect.version != Version::V5 && connect.password.is_some() && connect.user_name.is_none() {
        return Err(EncodeError::NotInVersion("a password without user name"));
    }
    let set = |flag: u8, on: bool| if on { flag } else { 0 };
    let will = connect.will.as_ref().map_or(0, |will| {
        WILL | (will.qos as u8) << WILL_QOS_SHIFT | set(WILL_RETAIN, will.retain)
    });
    Ok(will
        | set(CLEAN, connect.clean)
        | set(USER_NAME, connect.user_name.is_some())
        | set(PASSWORD, connect.password.is_some()))
}

impl WriteProperties for ConnectProperties<'_> {
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        out.u32_property(id::SESSION_EXPIRY_INTERVAL, self.session_expiry_interval);
        out.u16_property(id::RECEIVE_MAXIMUM, self.receive_maximum.map(Into::into));
        out.u32_property(
            id::MAXIMUM_PACKET_SIZE,
            self.maximum_packet_size.map(Into::into),
        );
        out.u16_property(id::TOPIC_ALIAS_MAXIMUM, self.topic_alias_maximum);
        out.boolean_property(
            id::REQUEST_RESPONSE_INFORMATION,
            self.request_response_information,
        );
        out.boolean_property(
            id::REQUEST_PROBLEM_INFORMATION,
            self.request_problem_information,
        );
        self.user_properties.write(out);
        out.string_property(id::AUTHENTICATION_METHOD, self.authentication_method)?;
        out.binary_property(id::AUTHENTICATION_DATA, self.authentication_data)
    }
}

impl WriteProperties for Will<'_> {
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        out.u32_property(id::WILL_DELAY_INTERVAL, self.delay_interval);
        publish::write_message_properties(&self.properties, out)
    }
}
