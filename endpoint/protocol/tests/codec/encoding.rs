//! What cannot be written.

use landfall_protocol::{
    Packet, QoS, ReasonCode, Version,
    codec::{self, EncodeError, FiltersBuf, UserProperties},
    packet::{
        Auth, ConnAck, ConnAckProperties, Connect, ConnectProperties, Disconnect, Publish,
        PublishProperties, ReasonProperties, SubAck, Subscribe, Subscription,
    },
};

use crate::{
    case::{self, Sender},
    roundtrip::encode,
};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Encoding fails with `error`, the buffer stays as it was, and the length cannot be told either.
fn refuses(packet: &Packet<'_>, version: Version, error: EncodeError) {
    let mut out = vec![0xAA, 0xBB];
    assert_eq!(codec::encode(packet, version, &mut out), Err(error));
    assert_eq!(out, [0xAA, 0xBB]);
    assert_eq!(codec::encoded_len(packet, version), Err(error));
}

fn publish<'a>(topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
    Publish {
        topic,
        payload,
        ..Publish::default()
    }
}

fn connect(version: Version) -> Connect<'static> {
    Connect {
        version,
        clean: true,
        keep_alive: 60,
        properties: Default::default(),
        client_id: "dev",
        will: None,
        user_name: None,
        password: None,
    }
}

#[test]
fn a_string_may_have_65_535_bytes_and_no_more() {
    let long = "a".repeat(65_536);
    for version in VERSIONS {
        let longest = Packet::Publish(publish(&long[1..], b"x"));
        let bytes = encode(&longest, version);
        assert_eq!(
            case::decode(&bytes, Sender::Client, version, u32::MAX),
            Ok(longest)
        );
        let packet = Packet::Publish(publish(&long, b"x"));
        refuses(&packet, version, EncodeError::StringTooLong(65_536));
    }
}

#[test]
fn binary_data_may_have_65_535_bytes_and_no_more() {
    let long = vec![0; 65_536];
    let packet = |data| {
        Packet::Publish(Publish {
            properties: PublishProperties {
                correlation_data: Some(data),
                ..PublishProperties::default()
            },
            ..publish("a", b"x")
        })
    };
    assert!(codec::encoded_len(&packet(&long[1..]), Version::V5).is_ok());
    refuses(
        &packet(&long),
        Version::V5,
        EncodeError::StringTooLong(65_536),
    );
}

#[test]
fn nul_is_written_in_no_string() {
    for version in VERSIONS {
        let packet = Packet::Publish(publish("a\0b", b"x"));
        refuses(&packet, version, EncodeError::NulInString);
        let packet = Packet::Connect(Connect {
            user_name: Some("\0"),
            ..connect(version)
        });
        refuses(&packet, version, EncodeError::NulInString);
    }
    let packet = Packet::Disconnect(Disconnect {
        properties: ReasonProperties {
            reason_string: Some("because\0"),
            ..ReasonProperties::default()
        },
        ..Disconnect::default()
    });
    refuses(&packet, Version::V5, EncodeError::NulInString);
    // The reason string is not written at all in 3.x.
    assert_eq!(encode(&packet, Version::V311), [0xE0, 0x00]);
}

#[test]
fn a_remaining_length_may_be_268_435_455_and_no_more() {
    let payload = vec![0; 268_435_456];
    // Two bytes of topic length and one of topic.
    let largest = Packet::Publish(publish("a", &payload[4..]));
    assert_eq!(
        codec::encoded_len(&largest, Version::V311),
        Ok(268_435_455 + 5)
    );
    let packet = Packet::Publish(publish("a", &payload[3..]));
    refuses(
        &packet,
        Version::V311,
        EncodeError::PacketTooLarge(268_435_456),
    );
}

#[test]
fn packet_identifier_and_qos_go_together() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let packet = Packet::Publish(Publish {
                qos,
                ..publish("a", b"x")
            });
            refuses(&packet, version, EncodeError::PacketIdAndQoS);
        }
        let packet = Packet::Publish(Publish {
            packet_id: Some(10.try_into().unwrap()),
            ..publish("a", b"x")
        });
        refuses(&packet, version, EncodeError::PacketIdAndQoS);
    }
}

#[test]
fn dup_is_not_written_with_qos_0() {
    let packet = Packet::Publish(Publish {
        dup: true,
        ..publish("a", b"")
    });
    assert_eq!(encode(&packet, Version::V311), [0x30, 3, 0, 1, b'a']);
}

#[test]
fn auth_is_written_in_mqtt_5_only() {
    let packet = Packet::Auth(Auth::default());
    assert_eq!(encode(&packet, Version::V5), [0xF0, 0x00]);
    for version in [Version::V31, Version::V311] {
        refuses(&packet, version, EncodeError::NotInVersion("AUTH"));
    }
}

#[test]
fn a_password_without_user_name_is_written_in_mqtt_5_only() {
    let packet = |version| {
        Packet::Connect(Connect {
            password: Some(b"secret"),
            ..connect(version)
        })
    };
    let bytes = encode(&packet(Version::V5), Version::V5);
    assert_eq!(
        case::decode(&bytes, Sender::Connecting, Version::V5, u32::MAX),
        Ok(packet(Version::V5))
    );
    for version in [Version::V31, Version::V311] {
        let error = EncodeError::NotInVersion("a password without user name");
        refuses(&packet(version), version, error);
    }
}

#[test]
fn a_subscription_identifier_has_at_most_28_bits() {
    let mut filters = FiltersBuf::new();
    filters
        .push(Subscription::new("a", QoS::AtMostOnce))
        .unwrap();
    let packet = Packet::Subscribe(Subscribe {
        packet_id: 10.try_into().unwrap(),
        subscription_identifier: Some(268_435_456.try_into().unwrap()),
        user_properties: UserProperties::default(),
        filters: filters.as_list(),
    });
    refuses(
        &packet,
        Version::V5,
        EncodeError::IntegerTooLarge(268_435_456),
    );
}

#[test]
fn what_a_version_does_not_have_is_left_out() {
    let connack = Packet::ConnAck(ConnAck {
        session_present: true,
        properties: ConnAckProperties {
            server_keep_alive: Some(60),
            maximum_qos: Some(QoS::ExactlyOnce),
            ..ConnAckProperties::default()
        },
        ..ConnAck::default()
    });
    assert_eq!(encode(&connack, Version::V31), [0x20, 2, 0, 0]);
    assert_eq!(encode(&connack, Version::V311), [0x20, 2, 1, 0]);
    // Maximum QoS 2 is said by saying nothing.
    assert_eq!(
        encode(&connack, Version::V5),
        [0x20, 6, 1, 0, 3, 0x13, 0, 60]
    );
    let goodbye = Packet::Disconnect(Disconnect {
        reason: ReasonCode::SERVER_SHUTTING_DOWN,
        ..Disconnect::default()
    });
    assert_eq!(encode(&goodbye, Version::V311), [0xE0, 0]);
    assert_eq!(encode(&goodbye, Version::V5), [0xE0, 1, 0x8B]);
}

#[test]
fn a_refused_connect_never_says_that_a_session_is_present() {
    let packet = Packet::ConnAck(ConnAck {
        session_present: true,
        reason: ReasonCode::NOT_AUTHORIZED,
        ..ConnAck::default()
    });
    assert_eq!(encode(&packet, Version::V311), [0x20, 2, 0, 5]);
    assert_eq!(encode(&packet, Version::V5), [0x20, 3, 0, 0x87, 0]);
}

#[test]
fn a_failed_subscription_is_written_as_its_version_can() {
    let codes = [
        ReasonCode::GRANTED_QOS_1,
        ReasonCode::TOPIC_FILTER_INVALID,
        ReasonCode::GRANTED_QOS_2,
    ];
    let packet = Packet::SubAck(SubAck {
        packet_id: 10.try_into().unwrap(),
        properties: ReasonProperties::default(),
        reasons: (&codes).into(),
    });
    assert_eq!(encode(&packet, Version::V31), [0x90, 5, 0, 10, 1, 0, 2]);
    assert_eq!(encode(&packet, Version::V311), [0x90, 5, 0, 10, 1, 0x80, 2]);
    assert_eq!(
        encode(&packet, Version::V5),
        [0x90, 6, 0, 10, 0, 1, 0x8F, 2]
    );
}

#[test]
fn options_of_mqtt_5_are_not_written_before_it() {
    let mut filters = FiltersBuf::new();
    let subscription = Subscription {
        no_local: true,
        retain_as_published: true,
        retain_handling: 2,
        ..Subscription::new("a", QoS::ExactlyOnce)
    };
    filters.push(subscription).unwrap();
    let packet = Packet::Subscribe(Subscribe {
        packet_id: 10.try_into().unwrap(),
        subscription_identifier: Some(7.try_into().unwrap()),
        user_properties: UserProperties::default(),
        filters: filters.as_list(),
    });
    assert_eq!(
        encode(&packet, Version::V311),
        [0x82, 6, 0, 10, 0, 1, b'a', 0x02]
    );
    assert_eq!(
        encode(&packet, Version::V5),
        [0x82, 9, 0, 10, 2, 0x0B, 7, 0, 1, b'a', 0x2E]
    );
}

#[test]
fn no_secret_shows_in_debug_output() {
    const SECRET: &[u8] = b"tr0ub4dor";
    let connect = Packet::Connect(Connect {
        password: Some(SECRET),
        properties: ConnectProperties {
            authentication_method: Some("method"),
            authentication_data: Some(SECRET),
            ..ConnectProperties::default()
        },
        ..connect(Version::V5)
    });
    let connack = Packet::ConnAck(ConnAck {
        properties: ConnAckProperties {
            authentication_method: Some("method"),
            authentication_data: Some(SECRET),
            ..ConnAckProperties::default()
        },
        ..ConnAck::default()
    });
    let auth = Packet::Auth(Auth {
        authentication_method: Some("method"),
        authentication_data: Some(SECRET),
        ..Auth::default()
    });
    let numbers = format!("{SECRET:?}");
    let numbers = numbers.trim_matches(['[', ']']);
    for packet in [&connect, &connack, &auth] {
        let text = format!("{packet:?}");
        assert!(
            text.contains("method") && text.contains("(secret)"),
            "{text}"
        );
        assert!(
            !text.contains("tr0ub4dor") && !text.contains(numbers),
            "{text}"
        );
        let bytes = encode(packet, Version::V5);
        let raw = format!("{:?}", codec::split(&bytes, u32::MAX).unwrap().unwrap());
        assert!(!raw.contains(numbers), "{raw}");
    }
}
