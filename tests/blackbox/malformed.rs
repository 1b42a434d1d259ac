//! Bytes that are no MQTT, or not where they are: DISCONNECT with the right reason, or a closed
//! connection.

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::wire::encode::packet;
use crate::wire::{Client, Connect, Received, Version, kind};

/// What a logged-in client sends, and the reason of the DISCONNECT that MQTT 5 gets for it. 3.x
/// is closed without a word.
struct Case {
    name: &'static str,
    bytes: &'static [u8],
    reason: u8,
}

/// Bytes that are wrong in every version.
const ALWAYS_WRONG: &[Case] = &[
    Case {
        name: "reserved packet type 0 [MQTT-2.1.2]",
        bytes: &[0x00, 0],
        reason: 0x81,
    },
    Case {
        name: "a second CONNECT [MQTT-3.1.0-2]",
        bytes: &[0x10, 0],
        reason: 0x82,
    },
    Case {
        name: "CONNACK from a client",
        bytes: &[0x20, 2, 0, 0],
        reason: 0x82,
    },
    Case {
        name: "SUBACK from a client",
        bytes: &[0x90, 3, 0, 1, 0],
        reason: 0x82,
    },
    Case {
        name: "PINGRESP from a client",
        bytes: &[0xD0, 0],
        reason: 0x82,
    },
    Case {
        name: "PINGREQ with flags [MQTT-2.1.3-1]",
        bytes: &[0xC1, 0],
        reason: 0x81,
    },
    Case {
        name: "PINGREQ with a body",
        bytes: &[0xC0, 1, 0],
        reason: 0x81,
    },
    Case {
        name: "QoS 3 [MQTT-3.3.1-4]",
        bytes: &[0x36, 5, 0, 1, b't', 0, 1],
        reason: 0x81,
    },
    Case {
        name: "DUP at QoS 0 [MQTT-3.3.1-2]",
        bytes: &[0x38, 4, 0, 1, b't', 0],
        reason: 0x81,
    },
    Case {
        name: "a topic past its packet",
        bytes: &[0x30, 3, 0, 9, b't'],
        reason: 0x81,
    },
    Case {
        name: "U+0000 in a topic [MQTT-1.5.4-2]",
        bytes: &[0x30, 4, 0, 1, 0, 0],
        reason: 0x81,
    },
    Case {
        name: "ill-formed UTF-8 [MQTT-1.5.4-1]",
        bytes: &[0x30, 4, 0, 1, 0xFF, 0],
        reason: 0x81,
    },
    Case {
        name: "a length of five bytes",
        bytes: &[0x30, 0x80, 0x80, 0x80, 0x80, 1],
        reason: 0x81,
    },
    Case {
        name: "a length that is too long [MQTT-1.5.5-1]",
        bytes: &[0xC0, 0x80, 0],
        reason: 0x81,
    },
    Case {
        name: "SUBSCRIBE with flags 0 [MQTT-3.8.1-1]",
        bytes: &[0x80, 2, 0, 1],
        reason: 0x81,
    },
    Case {
        name: "SUBSCRIBE without its id",
        bytes: &[0x82, 0],
        reason: 0x81,
    },
];

/// Bytes that are wrong in MQTT 5.
const WRONG_IN_5: &[Case] = &[
    Case {
        name: "AUTH, though none is going on [MQTT-4.12.0-1]",
        bytes: &[0xF0, 6, 0x18, 4, 0x15, 0, 1, b'm'],
        reason: 0x82,
    },
    Case {
        name: "AUTH that says success [MQTT-3.15.2-1]",
        bytes: &[0xF0, 0],
        reason: 0x81,
    },
    Case {
        name: "a wildcard in a topic [MQTT-3.3.2-2]",
        bytes: &[0x30, 4, 0, 1, b'#', 0],
        reason: 0x81,
    },
    Case {
        name: "packet id 0 [MQTT-2.2.1-2]",
        bytes: &[0x32, 6, 0, 1, b't', 0, 0, 0],
        reason: 0x81,
    },
    Case {
        name: "an empty topic without alias",
        bytes: &[0x30, 3, 0, 0, 0],
        reason: 0x82,
    },
    Case {
        name: "a property twice",
        bytes: &[0x30, 8, 0, 1, b't', 4, 0x01, 0, 0x01, 0],
        reason: 0x82,
    },
    Case {
        name: "an unknown property",
        bytes: &[0x30, 6, 0, 1, b't', 2, 0x7F, 0],
        reason: 0x81,
    },
    Case {
        name: "a retained publish [MQTT-3.2.2-14]",
        bytes: &[0x31, 4, 0, 1, b't', 0],
        reason: 0x9A,
    },
    Case {
        name: "SUBSCRIBE without filters [MQTT-3.8.3-2]",
        bytes: &[0x82, 3, 0, 1, 0],
        reason: 0x82,
    },
    Case {
        name: "an unknown reason",
        bytes: &[0xE0, 1, 0x7F],
        reason: 0x81,
    },
];

fn connect(version: Version) -> Connect {
    Connect::new(version, "c", &user("sensor01"), password("sensor01"))
}

#[test]
fn broken_packets_get_their_reason_or_a_closed_connection() {
    let server = Server::shared();
    let mut wrong = Vec::new();
    for version in Version::ALL {
        let in_5: &[Case] = if version.is_5() { WRONG_IN_5 } else { &[] };
        for case in ALWAYS_WRONG.iter().chain(in_5) {
            let told = answer_to(&server, version, case);
            let expected = version.is_5().then_some(case.reason);
            if told != expected {
                wrong.push(format!(
                    "{version:?}, {}: {told:X?}, not {expected:X?}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(server.published(APP).is_empty());
}

/// Logs in, sends the case's bytes, and returns the reason of DISCONNECT once the connection is
/// closed.
fn answer_to(server: &Server, version: Version, case: &Case) -> Option<u8> {
    let mut client = Client::accepted(server, &connect(version));
    client.send(case.bytes);
    let mut told = None;
    while let Received::Packet(packet) = client.receive() {
        assert_eq!(
            packet.kind(),
            kind::DISCONNECT,
            "{version:?}: {}",
            case.name
        );
        told = Some(packet.reason());
    }
    told
}

#[test]
fn a_first_packet_that_is_no_connect_is_closed() {
    let server = Server::shared();
    let long = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    let first_packets: [&[u8]; 7] = [
        &[0xC0, 0],
        &[0x30, 3, 0, 1, b't'],
        &[0xE0, 0],
        &[0xF0, 0],
        long.as_bytes(),
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
        &[0xFF; 64],
    ];
    for bytes in first_packets {
        let mut client = Client::open(server.mqtt(), Version::V5);
        client.send(bytes);
        client.expect_closed();
    }
}

#[test]
fn an_unknown_protocol_version_is_told() {
    let server = Server::shared();
    let with_level = |name: &[u8], level: u8| {
        let mut body = vec![0, u8::try_from(name.len()).unwrap()];
        body.extend(name);
        body.extend([level, 2, 0, 60, 0, 0, 0]);
        packet(0x10, &body)
    };
    for (name, level, code) in [
        (&b"MQTT"[..], 6, 0x84),
        (b"MQTT", 2, 0x01),
        (b"MQIsdp", 4, 0x01),
    ] {
        let mut client = Client::open(server.mqtt(), Version::V5);
        client.send(&with_level(name, level));
        assert_eq!(client.expect(kind::CONNACK).reason(), code, "level {level}");
        client.expect_closed();
    }
}

#[test]
fn broken_connects_are_closed_whatever_is_broken() {
    // Every changed byte of the password is a failed log-in of the device.
    let settings = "[limits]\nlog_in_failures_per_device = 0\nlog_in_failures_per_address = 0";
    let server = Server::builder().settings(settings).start_shared();
    let whole = connect(Version::V5).encode();
    // Cut anywhere, with a remaining length that fits what is left.
    for end in 3..whole.len() {
        let mut client = Client::open(server.mqtt(), Version::V5);
        client.send(&packet(0x10, &whole[2..end]));
        while let Received::Packet(answer) = client.receive() {
            assert_eq!(answer.kind(), kind::CONNACK, "cut at {end}");
            assert_ne!(answer.reason(), 0, "cut at {end}");
        }
    }
    // One byte changed anywhere must never let in somebody else, or hang.
    for at in 2..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let mut client = Client::open(server.mqtt(), Version::V5);
        client.send(&bytes);
        client.finish_writing();
        while let Received::Packet(_) = client.receive() {}
    }
    Client::accepted(&server, &connect(Version::V5)).disconnect();
}
