//! Packets as a server sends them.

use super::{Version, kind};

/// A packet, split no further than its type asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) first: u8,
    pub(crate) body: Vec<u8>,
}

/// What came next on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Packet(Packet),
    /// The server closed the connection, in order or by reset.
    Closed,
}

/// A PUBLISH as the server sends it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) id: Option<u16>,
    pub(crate) properties: Vec<(u8, Vec<u8>)>,
}

impl Delivery {
    /// The first MQTT 5 property of this id.
    pub(crate) fn property(&self, id: u8) -> Option<&[u8]> {
        let mut properties = self.properties.iter();
        properties
            .find(|(at, _)| *at == id)
            .map(|(_, value)| &**value)
    }
}

impl Packet {
    /// Takes the first whole packet out of `buffer`.
    pub(crate) fn take(buffer: &mut Vec<u8>) -> Option<Self> {
        let (length, header) = remaining_length(buffer)?;
        let end = header + length;
        if buffer.len() < end {
            return None;
        }
        let packet = Self {
            first: buffer[0],
            body: buffer[header..end].to_vec(),
        };
        buffer.drain(..end);
        Some(packet)
    }

    pub(crate) fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The packet id of an acknowledgement.
    pub(crate) fn id(&self) -> u16 {
        u16::from_be_bytes([self.body[0], self.body[1]])
    }

    /// The reason code: of CONNACK its second byte, of DISCONNECT its first, of a publish's
    /// acknowledgement the one behind the packet id; absent is 0 [MQTT-3.4.2.1].
    pub(crate) fn reason(&self) -> u8 {
        let at = match self.kind() {
            kind::CONNACK => 1,
            kind::DISCONNECT => 0,
            _ => 2,
        };
        self.body.get(at).copied().unwrap_or(0)
    }

    /// The codes of a SUBACK.
    pub(crate) fn granted(&self, version: Version) -> &[u8] {
        let rest = &self.body[2..];
        if version.is_5() {
            after_properties(rest).1
        } else {
            rest
        }
    }

    /// The properties of an MQTT 5 CONNACK, DISCONNECT or acknowledgement of a publish, id and raw
    /// value.
    pub(crate) fn properties(&self) -> Vec<(u8, Vec<u8>)> {
        let at = match self.kind() {
            kind::CONNACK => 2,
            kind::DISCONNECT => 1,
            _ => 3,
        };
        self.body
            .get(at..)
            .filter(|rest| !rest.is_empty())
            .map_or_else(Vec::new, |rest| split_properties(after_properties(rest).0))
    }

    /// Reads a PUBLISH.
    pub(crate) fn delivery(&self, version: Version) -> Delivery {
        assert_eq!(self.kind(), kind::PUBLISH, "{self:?}");
        let length = usize::from(u16::from_be_bytes([self.body[0], self.body[1]]));
        let (topic, mut rest) = self.body[2..].split_at(length);
        let qos = (self.first >> 1) & 3;
        let id = (qos > 0).then(|| {
            let id = u16::from_be_bytes([rest[0], rest[1]]);
            rest = &rest[2..];
            id
        });
        let mut properties = Vec::new();
        if version.is_5() {
            let (of_packet, payload) = after_properties(rest);
            properties = split_properties(of_packet);
            rest = payload;
        }
        let topic = String::from_utf8(topic.to_vec()).expect("a topic in UTF-8");
        Delivery {
            topic,
            payload: rest.to_vec(),
            qos,
            id,
            properties,
        }
    }
}

/// The remaining length and the size of the fixed header, if both are there.
fn remaining_length(buffer: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (index, digit) in buffer.get(1..)?.iter().take(4).enumerate() {
        length |= usize::from(digit & 0x7F) << (7 * index);
        if digit & 0x80 == 0 {
            return Some((length, index + 2));
        }
    }
    assert!(
        buffer.len() < 5,
        "a remaining length of more than four bytes"
    );
    None
}

/// The properties at the start of `bytes`, and what follows them.
fn after_properties(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (mut length, mut used) = (0, 0);
    loop {
        let digit = bytes[used];
        length |= usize::from(digit & 0x7F) << (7 * used);
        used += 1;
        if digit & 0x80 == 0 {
            return bytes[used..].split_at(length);
        }
    }
}

/// Splits properties into id and value; strings come without their length.
fn split_properties(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut properties = Vec::new();
    while let Some((&id, rest)) = bytes.split_first() {
        let prefixed = |at: usize| 2 + usize::from(u16::from_be_bytes([rest[at], rest[at + 1]]));
        let (skip, length) = match id {
            // One byte; two; four; a variable byte integer; a pair; a string or binary data.
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2A => (0, 1),
            0x13 | 0x21..=0x23 => (0, 2),
            0x02 | 0x11 | 0x18 | 0x27 => (0, 4),
            0x0B => (
                0,
                1 + rest.iter().take_while(|&&digit| digit & 0x80 != 0).count(),
            ),
            0x26 => (0, prefixed(0) + prefixed(prefixed(0))),
            _ => (2, prefixed(0)),
        };
        properties.push((id, rest[skip..length].to_vec()));
        bytes = &rest[length..];
    }
    properties
}
