//! Client packets, written field by field as the specification lists them.

use super::{Qos, Version};

/// [MQTT 3.1.1, 3.12]
pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0];
/// [MQTT 3.1.1, 3.14]; in MQTT 5 an absent reason code is 0x00, normal disconnection [MQTT 5, 3.14.2.1].
pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];

/// A log-in with clean session (3.x) or clean start (5), without a will.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Connect<'a> {
    pub version: Version,
    pub client_id: &'a str,
    pub username: Option<&'a str>,
    pub password: Option<&'a str>,
    /// Seconds; 0 turns the server's watch off.
    pub keep_alive: u16,
}

impl Connect<'_> {
    /// The CONNECT packet [MQTT 3.1.1 and 5, 3.1].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (name, level) = match self.version {
            Version::V31 => ("MQIsdp", 3),
            Version::V311 => ("MQTT", 4),
            Version::V5 => ("MQTT", 5),
        };
        let mut body = Vec::with_capacity(64);
        put_string(&mut body, name);
        body.push(level);
        let flag = |given: bool, bit: u8| if given { bit } else { 0 };
        body.push(0x02 | flag(self.username.is_some(), 0x80) | flag(self.password.is_some(), 0x40));
        body.extend_from_slice(&self.keep_alive.to_be_bytes());
        if self.version == Version::V5 {
            body.push(0);
        }
        put_string(&mut body, self.client_id);
        for text in [self.username, self.password].into_iter().flatten() {
            put_string(&mut body, text);
        }
        packet(0x10, &body)
    }
}

/// A PUBLISH packet [MQTT 3.1.1 and 5, 3.3]; `id` is left out at QoS 0.
pub(crate) fn publish(version: Version, topic: &str, qos: Qos, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(topic.len() + payload.len() + 8);
    put_string(&mut body, topic);
    if qos != Qos::AtMostOnce {
        body.extend_from_slice(&id.to_be_bytes());
    }
    if version == Version::V5 {
        body.push(0);
    }
    body.extend_from_slice(payload);
    packet(0x30 | (qos.bits() << 1), &body)
}

/// A SUBSCRIBE packet with one filter [MQTT 3.1.1 and 5, 3.8].
pub(crate) fn subscribe(version: Version, id: u16, filter: &str, qos: Qos) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    put_string(&mut body, filter);
    body.push(qos.bits());
    packet(0x82, &body)
}

pub(crate) fn puback(id: u16) -> [u8; 4] {
    acknowledgement(0x40, id)
}

pub(crate) fn pubrec(id: u16) -> [u8; 4] {
    acknowledgement(0x50, id)
}

pub(crate) fn pubrel(id: u16) -> [u8; 4] {
    acknowledgement(0x62, id)
}

pub(crate) fn pubcomp(id: u16) -> [u8; 4] {
    acknowledgement(0x70, id)
}

/// All four acknowledgements have this form; in MQTT 5 it means reason code 0x00 [MQTT 5, 3.4.2.1].
fn acknowledgement(first: u8, id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [first, 2, high, low]
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(body.len() + 5);
    packet.push(first);
    put_remaining_length(&mut packet, body.len());
    packet.extend_from_slice(body);
    packet
}

/// A variable byte integer [MQTT 5, 1.5.5].
fn put_remaining_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let [low, ..] = (length & 0x7F).to_le_bytes();
        length >>= 7;
        if length == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// A length-prefixed string [MQTT 5, 1.5.4]; the command line keeps texts below 64 KiB.
fn put_string(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(
        text.as_bytes()
            .get(..usize::from(length))
            .unwrap_or_default(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(version: Version) -> Connect<'static> {
        Connect {
            version,
            client_id: "c",
            username: Some("u"),
            password: Some("p"),
            keep_alive: 60,
        }
    }

    #[test]
    fn connect_packets_follow_each_version() {
        assert_eq!(
            connect(Version::V311).encode(),
            b"\x10\x13\x00\x04MQTT\x04\xC2\x00\x3C\x00\x01c\x00\x01u\x00\x01p"
        );
        assert_eq!(
            connect(Version::V5).encode(),
            b"\x10\x14\x00\x04MQTT\x05\xC2\x00\x3C\x00\x00\x01c\x00\x01u\x00\x01p"
        );
        assert_eq!(
            connect(Version::V31).encode(),
            b"\x10\x15\x00\x06MQIsdp\x03\xC2\x00\x3C\x00\x01c\x00\x01u\x00\x01p"
        );
    }

    #[test]
    fn a_publish_has_an_id_only_above_qos_0() {
        assert_eq!(
            publish(Version::V311, "t", Qos::AtMostOnce, 9, b"hi"),
            b"\x30\x05\x00\x01thi"
        );
        assert_eq!(
            publish(Version::V311, "t", Qos::AtLeastOnce, 9, b"hi"),
            b"\x32\x07\x00\x01t\x00\x09hi"
        );
        assert_eq!(
            publish(Version::V5, "t", Qos::ExactlyOnce, 9, b"hi"),
            b"\x34\x08\x00\x01t\x00\x09\x00hi"
        );
    }

    #[test]
    fn remaining_lengths_are_minimal() {
        for (length, bytes) in [
            (0, &b"\x00"[..]),
            (127, b"\x7F"),
            (128, b"\x80\x01"),
            (16_383, b"\xFF\x7F"),
            (16_384, b"\x80\x80\x01"),
            (268_435_455, b"\xFF\xFF\xFF\x7F"),
        ] {
            let mut out = Vec::new();
            put_remaining_length(&mut out, length);
            assert_eq!(out, bytes, "length {length}");
        }
    }

    #[test]
    fn subscribe_carries_properties_only_in_mqtt_5() {
        assert_eq!(
            subscribe(Version::V311, 1, "a", Qos::AtLeastOnce),
            b"\x82\x06\x00\x01\x00\x01a\x01"
        );
        assert_eq!(
            subscribe(Version::V5, 1, "a", Qos::AtMostOnce),
            b"\x82\x07\x00\x01\x00\x00\x01a\x00"
        );
    }
}
