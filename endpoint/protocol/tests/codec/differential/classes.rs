//! Why this codec and another implementation may disagree on a packet: each class names the clause
//! that decides, and who follows it.

use landfall_protocol::{
    Malformed, Packet, PeerError, ProtocolError, QoS, ReasonCode, Version, codec,
};

/// A packet that the two do not agree on.
pub(super) struct Disagreement<'d> {
    pub(super) bytes: &'d [u8],
    pub(super) oracle: &'static str,
    pub(super) version: Version,
    pub(super) ours: &'d Result<Packet<'d>, PeerError>,
    /// Their description of it, or their error.
    pub(super) theirs: Result<&'d str, &'d str>,
}

impl Disagreement<'_> {
    /// The class it falls into, if it is a known one.
    pub(super) fn class(&self) -> Option<&'static str> {
        if self.is_connect_of_another_version() {
            return Some("[MQTT-3.1.2-2] they decode for one version, we tell it from CONNECT");
        }
        match (self.ours, self.theirs) {
            (Err(error), Ok(description)) => match self.oracle {
                "rmqtt-codec" => rmqtt_takes(error, description, self.version),
                _ => mqttbytes_takes(error, description, self.version),
            },
            (Ok(packet), Err(error)) => match self.oracle {
                "rmqtt-codec" => rmqtt_refuses(packet, error, self.version),
                _ => mqttbytes_refuses(packet, error),
            },
            (Ok(packet), Ok(description)) => match self.oracle {
                "rmqtt-codec" => rmqtt_reads_otherwise(packet, description, self.version),
                _ => mqttbytes_reads_otherwise(packet),
            },
            (Err(_), Err(_)) => None,
        }
    }
}

impl Disagreement<'_> {
    fn is_connect_of_another_version(&self) -> bool {
        let Ok(Some(raw)) = codec::split(self.bytes, u32::MAX) else {
            return false;
        };
        let expected = match self.version {
            Version::V31 => 3,
            Version::V311 => 4,
            Version::V5 => 5,
        };
        // The level stands behind the name.
        raw.first == 0x10
            && [b"\x00\x04MQTT".as_slice(), b"\x00\x06MQIsdp"]
                .iter()
                .filter_map(|name| raw.body.strip_prefix(*name)?.first())
                .any(|&level| level != expected)
    }
}

/// What both leave to their callers, or do not look at.
fn both_take(error: &PeerError, description: &str) -> Option<&'static str> {
    use Malformed as M;
    use ProtocolError as P;
    Some(match error {
        PeerError::Malformed(error) => match error {
            // Both check that strings are well-formed.
            M::Utf8 if description.contains("\\0") => "[MQTT-1.5.4-2] they take U+0000",
            M::TopicName => "[MQTT-4.7.0-1], [MQTT-4.7.3-1] they take any topic name",
            M::TopicFilter => "[MQTT-4.7.1-1] and following: they take any topic filter",
            M::TrailingBytes => "they leave bytes after the last field",
            M::VariableByteInteger => "[MQTT-1.5.5-1] they take longer forms than needed",
            M::DupOnQos0 => "[MQTT-3.3.1-2] they take DUP with QoS 0",
            M::ConnectFlags => "[MQTT-3.1.2-11], 3.1.1: [MQTT-3.1.2-22] contradictory flags",
            M::Reserved if description.starts_with("CONNACK session-present reason") => {
                "[MQTT-3.2.2-6] they take session present with a refusal"
            }
            M::Reserved if description.starts_with("SUBSCRIBE") => {
                "[MQTT-3.8.3-5], 3.1.1: [MQTT-3-8.3-4] they take reserved options"
            }
            M::ReasonCode(_) if description.starts_with("DISCONNECT") => {
                "[MQTT-3.14.2-1] they do not tell client from server"
            }
            _ => return None,
        },
        PeerError::Protocol(error) => match error {
            P::WrongDirection | P::ConnectExpected | P::SecondConnect | P::PropertyDirection(_) => {
                "they do not tell client from server"
            }
            P::NoTopic => "5, 3.3.2.1: they leave an empty topic to their caller",
            P::NoLocalOnShared => "[MQTT-3.8.3-4] they take no local on a shared subscription",
            P::AuthenticationDataWithoutMethod => "5, 3.1.2.11.10: they take data without method",
            _ => return None,
        },
        _ => return None,
    })
}

fn rmqtt_takes(error: &PeerError, description: &str, version: Version) -> Option<&'static str> {
    use Malformed as M;
    use ProtocolError as P;
    Some(match error {
        PeerError::Malformed(M::Truncated) if description.starts_with("SUBACK") => {
            "3.9.3: they take SUBACK without codes"
        }
        PeerError::Malformed(M::Truncated) if description.starts_with("UNSUBACK") => {
            "5, 3.11.3: they take UNSUBACK without codes"
        }
        PeerError::Malformed(M::Truncated) if description.starts_with("AUTH") => {
            "5, 3.15.2.2.1: they take AUTH without property length"
        }
        PeerError::Malformed(M::ReasonCode(0x80)) if version == Version::V31 => {
            "3.1, 3.9: they take the failure code of 3.1.1"
        }
        PeerError::Malformed(M::ReasonCode(_)) if description.starts_with("AUTH") => {
            "[MQTT-3.15.2-1] they do not tell client from server"
        }
        // Return code 6 is an enumerator called `Reserved`.
        PeerError::Malformed(M::ReasonCode(6)) => "3.1.1, table 3.1: they take return code 6",
        PeerError::Protocol(P::AuthenticationMethodMissing) => {
            "5, 3.15.2.2.2: they take AUTH without method"
        }
        PeerError::Protocol(P::PropertyValue(0x24)) => "5, 3.2.2.3.4: they take maximum QoS 2",
        PeerError::Protocol(P::PropertyValue(0x27)) => "5, 3.2.2.3.6: they take packet size 0",
        _ => return both_take(error, description),
    })
}

fn rmqtt_refuses(packet: &Packet<'_>, error: &str, version: Version) -> Option<&'static str> {
    Some(match (packet, error) {
        (Packet::Connect(connect), "InvalidClientId")
            if connect.client_id.is_empty() && !connect.clean =>
        {
            "[MQTT-3.1.3-8] we leave empty client identifiers to the session"
        }
        (Packet::Connect(_), "ConnectReservedFlagSet") if version == Version::V31 => {
            "3.1, 3.1: we do not look at the unused flag"
        }
        (Packet::Connect(_), "InvalidConnectFlags") if version == Version::V31 => {
            "3.1, 3.1: we disregard will flags without will"
        }
        (Packet::Connect(_), "InvalidLength") if version == Version::V31 => {
            "3.1, 3.1: we let the packet end before an announced user name"
        }
        (Packet::ConnAck(_), "ConnAckReservedFlagSet") if version == Version::V31 => {
            "3.1, 3.2: we do not look at the reserved byte"
        }
        (Packet::PubRel(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_), error)
            if version == Version::V31 && error == "UnsupportedPacketType" =>
        {
            "3.1, 2.1: we take DUP on packets sent again"
        }
        (Packet::Publish(publish), "MalformedPacket")
            if publish.properties.message_expiry_interval == Some(0) =>
        {
            "5, 3.3.2.3.3: we take a message expiry interval of 0"
        }
        (Packet::Connect(connect), "MalformedPacket")
            if connect
                .will
                .as_ref()
                .is_some_and(|will| will.properties.message_expiry_interval == Some(0)) =>
        {
            "5, 3.3.2.3.3: we take a message expiry interval of 0"
        }
        _ => return None,
    })
}

fn rmqtt_reads_otherwise(
    packet: &Packet<'_>,
    description: &str,
    version: Version,
) -> Option<&'static str> {
    match packet {
        Packet::ConnAck(_)
            if version == Version::V31 && description.starts_with("CONNACK session-present") =>
        {
            Some("3.1, 3.2: we do not look at the reserved byte")
        }
        _ => None,
    }
}

fn mqttbytes_takes(error: &PeerError, description: &str, version: Version) -> Option<&'static str> {
    use Malformed as M;
    use ProtocolError as P;
    let shifted = "5, 3.3.2.3.8: they miscount subscription identifiers of several bytes";
    Some(match error {
        PeerError::Malformed(error) => match error {
            M::FixedHeaderFlags => "[MQTT-2.1.3-1] they do not look at flags",
            M::PacketIdZero => "[MQTT-2.2.1-3] they take packet identifier 0",
            M::Reserved if description.starts_with("CONNECT") => {
                "[MQTT-3.1.2-3] they do not look at the reserved flag"
            }
            M::Reserved if description.starts_with("CONNACK") => {
                "[MQTT-3.2.2-1] they do not look at reserved flags"
            }
            M::PropertyValue(0x01) => "5, 3.3.2.3.2: they take any payload format indicator",
            // What follows the identifier is then read from the wrong place.
            M::Truncated | M::Property(_) | M::Utf8 if description.contains(" subscription=") => {
                shifted
            }
            M::Truncated if description.starts_with("UNSUBACK") => {
                "5, 3.11.3: they take UNSUBACK without codes"
            }
            M::Truncated if version == Version::V5 => {
                "5, 2.2.2.1: they let a property run past its block"
            }
            // What they keep shows none: it stood in a property that a later one has replaced.
            M::Utf8 if version == Version::V5 && !description.contains("\\0") => {
                "[MQTT-1.5.4-2], 5, 2.2.2.2: they take U+0000 in a property that they take twice"
            }
            _ => return both_take(&PeerError::Malformed(*error), description),
        },
        PeerError::Protocol(error) => match error {
            P::NoFilter => "[MQTT-3.8.3-2], [MQTT-3.10.3-2] they take no filter",
            P::TopicAlias => "[MQTT-3.3.2-8] they take topic alias 0",
            P::PropertyValue(_) => "2.2.2.2: they keep property values as they come",
            P::DuplicateProperty(_) => "2.2.2.2: they take properties twice",
            _ => return both_take(&PeerError::Protocol(*error), description),
        },
        _ => return both_take(error, description),
    })
}

fn mqttbytes_refuses(packet: &Packet<'_>, error: &str) -> Option<&'static str> {
    Some(match (packet, error) {
        (Packet::Connect(connect), "TopicNotUtf8")
            if connect
                .password
                .is_some_and(|password| str::from_utf8(password).is_err()) =>
        {
            "[MQTT-3.1.2-19] we take any bytes as password"
        }
        (Packet::Auth(_), _) => "3.15: they do not know AUTH",
        (Packet::Disconnect(disconnect), _)
            if disconnect.properties.is_empty()
                && disconnect.session_expiry_interval.is_none()
                && disconnect.server_reference.is_none() =>
        {
            "5, 3.14.2.1: they demand reason code and property length"
        }
        (Packet::Disconnect(disconnect), error)
            if disconnect.reason == ReasonCode::BAD_AUTHENTICATION_METHOD
                && error.starts_with("InvalidConnectReturnCode") =>
        {
            "5, table 2-6: we take 0x8C"
        }
        _ => return None,
    })
}

fn mqttbytes_reads_otherwise(packet: &Packet<'_>) -> Option<&'static str> {
    match packet {
        Packet::Publish(publish)
            if publish
                .properties
                .subscription_identifiers
                .iter()
                .any(|identifier| identifier.get() > 0x7F) =>
        {
            Some("5, 3.3.2.3.8: they miscount subscription identifiers of several bytes")
        }
        Packet::Subscribe(subscribe)
            if subscribe
                .subscription_identifier
                .is_some_and(|identifier| identifier.get() > 0x7F) =>
        {
            Some("5, 3.3.2.3.8: they miscount subscription identifiers of several bytes")
        }
        _ => None,
    }
}

/// Why what they encode does not decode to what they decoded.
pub(super) fn class_of_their_bytes(
    oracle: &str,
    version: Version,
    packet: &Packet<'_>,
) -> Option<&'static str> {
    Some(match (oracle, packet) {
        ("rmqtt-codec", Packet::Connect(_)) if version == Version::V31 => {
            "[MQTT-3.1.2-2] they write the name of 3.1 with another level"
        }
        ("rmqtt-codec", Packet::Auth(auth)) if auth.authentication_method.is_none() => {
            "5, 3.15.2.1: they never write AUTH empty"
        }
        ("mqttbytes", Packet::Connect(connect))
            if version == Version::V311 && connect.user_name == Some("") =>
        {
            "3.1.1: [MQTT-3.1.2-22] they leave out an empty user name, but not its password"
        }
        ("mqttbytes", Packet::ConnAck(_)) if version == Version::V5 => {
            "[MQTT-2.2.2-1] they leave out a property length of 0"
        }
        ("mqttbytes", Packet::Publish(publish))
            if publish.qos == QoS::AtMostOnce && publish.dup =>
        {
            "[MQTT-3.3.1-2] they write DUP with QoS 0"
        }
        _ => return None,
    })
}
