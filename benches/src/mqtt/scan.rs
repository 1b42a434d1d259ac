//! Finds the server's packets in a byte stream, whole or cut anywhere, at a few nanoseconds each.

use super::Version;
use crate::error::{Result, ServerFault};

/// Largest server packet that is taken; the tool never asks for more.
const MAX_PACKET: usize = 1 << 20;

/// Which acknowledgement came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the specification's names")]
pub(crate) enum Ack {
    /// QoS 1, final.
    PubAck,
    /// QoS 2, the server has taken the message.
    PubRec,
    /// QoS 2, towards a subscriber: the server releases the message.
    PubRel,
    /// QoS 2, final.
    PubComp,
}

/// A packet from the server, reduced to what a load client decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `code` 0 is accepted. `receive_maximum` is how many publishes above QoS 0 may be in flight
    /// [MQTT 5, 3.2.2.3.3]; 65,535 where the server sets none.
    ConnAck {
        code: u8,
        receive_maximum: u16,
    },
    /// `reason` 0x80 and above is a refusal; 0 where the version has none.
    Ack {
        ack: Ack,
        id: u16,
        reason: u8,
    },
    /// The first filter's code; 0x80 and above is a refusal.
    SubAck {
        code: u8,
    },
    /// A message delivered to a subscriber; `id` above QoS 0 only.
    Message {
        id: Option<u16>,
        qos: u8,
    },
    Pong,
    /// DISCONNECT, which only MQTT 5 servers send.
    Goodbye {
        reason: u8,
    },
}

/// The state between two reads: what is known of a packet that was cut.
#[derive(Default)]
pub(crate) struct Scanner {
    /// Start of a packet whose end has not come; empty between packets.
    cut: Vec<u8>,
}

impl Scanner {
    /// Calls `on` for each packet that ends in `bytes`, in order, and keeps a cut one for the next call.
    ///
    /// # Errors
    /// A packet that is malformed or over 1 MiB, or what `on` returns.
    pub(crate) fn feed(
        &mut self,
        version: Version,
        bytes: &[u8],
        mut on: impl FnMut(Reply) -> Result<()>,
    ) -> Result<()> {
        if self.cut.is_empty() {
            let rest = scan(version, bytes, &mut on)?;
            self.cut.extend_from_slice(rest);
            return Ok(());
        }
        self.cut.extend_from_slice(bytes);
        let rest = scan(version, &self.cut, &mut on)?.len();
        let done = self.cut.len() - rest;
        self.cut.drain(..done);
        Ok(())
    }
}

/// Scans whole packets and returns the bytes of the one that is cut.
fn scan<'a>(
    version: Version,
    mut bytes: &'a [u8],
    on: &mut impl FnMut(Reply) -> Result<()>,
) -> Result<&'a [u8]> {
    loop {
        // Nearly all that a publisher reads is this: a final acknowledgement without a reason.
        if let [first @ (0x40 | 0x50 | 0x70), 2, high, low, rest @ ..] = bytes {
            let ack = match first {
                0x40 => Ack::PubAck,
                0x50 => Ack::PubRec,
                _ => Ack::PubComp,
            };
            let id = u16::from_be_bytes([*high, *low]);
            on(Reply::Ack { ack, id, reason: 0 })?;
            bytes = rest;
            continue;
        }
        let Some((first, body, rest)) = split(bytes)? else {
            return Ok(bytes);
        };
        on(reply(version, first, body).ok_or(ServerFault::Malformed("unknown or too short"))?)?;
        bytes = rest;
    }
}

/// Header byte and body of a packet, and what follows it.
type Split<'a> = (u8, &'a [u8], &'a [u8]);

/// Takes the first packet off, or `None` if it is cut.
fn split(bytes: &[u8]) -> Result<Option<Split<'_>>> {
    let [first, rest @ ..] = bytes else {
        return Ok(None);
    };
    let Some((length, rest)) = variable_byte_integer(rest)? else {
        return Ok(None);
    };
    if length > MAX_PACKET {
        return Err(ServerFault::Malformed("over 1 MiB").into());
    }
    Ok(rest
        .split_at_checked(length)
        .map(|(body, rest)| (*first, body, rest)))
}

/// [MQTT 5, 1.5.5]
fn variable_byte_integer(bytes: &[u8]) -> Result<Option<(usize, &[u8])>> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, bytes.get(index + 1..).unwrap_or_default())));
        }
    }
    if bytes.len() < 4 {
        return Ok(None);
    }
    Err(ServerFault::Malformed("remaining length over four bytes").into())
}

fn reply(version: Version, first: u8, body: &[u8]) -> Option<Reply> {
    let ack = |ack| {
        let [high, low, rest @ ..] = body else {
            return None;
        };
        Some(Reply::Ack {
            ack,
            id: u16::from_be_bytes([*high, *low]),
            reason: rest.first().copied().unwrap_or(0),
        })
    };
    match first >> 4 {
        2 => {
            let [_, code, properties @ ..] = body else {
                return None;
            };
            let receive_maximum = match version {
                Version::V5 => receive_maximum(properties)?,
                Version::V31 | Version::V311 => u16::MAX,
            };
            Some(Reply::ConnAck {
                code: *code,
                receive_maximum,
            })
        }
        3 => message(first, body),
        4 => ack(Ack::PubAck),
        5 => ack(Ack::PubRec),
        6 => ack(Ack::PubRel),
        7 => ack(Ack::PubComp),
        // The codes stand last [MQTT 3.1.1 and 5, 3.9.3]; one filter was asked for.
        9 => body.last().map(|code| Reply::SubAck { code: *code }),
        13 => Some(Reply::Pong),
        14 => Some(Reply::Goodbye {
            reason: body.first().copied().unwrap_or(0),
        }),
        _ => None,
    }
}

fn message(first: u8, body: &[u8]) -> Option<Reply> {
    let qos = (first >> 1) & 3;
    if qos == 0 {
        return Some(Reply::Message { id: None, qos });
    }
    let (length, rest) = body.split_first_chunk::<2>()?;
    let (id, _) = rest
        .get(usize::from(u16::from_be_bytes(*length))..)?
        .split_first_chunk::<2>()?;
    Some(Reply::Message {
        id: Some(u16::from_be_bytes(*id)),
        qos,
    })
}

/// Walks a CONNACK's properties [MQTT 5, 3.2.2.3] to Receive Maximum.
fn receive_maximum(properties: &[u8]) -> Option<u16> {
    let (length, rest) = variable_byte_integer(properties).ok()??;
    let mut rest = rest.get(..length)?;
    while let [id, value @ ..] = rest {
        if *id == 0x21 {
            return value.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
        }
        rest = value.get(property_size(*id, value)?..)?;
    }
    Some(u16::MAX)
}

/// Bytes of a CONNACK property's value.
fn property_size(id: u8, value: &[u8]) -> Option<usize> {
    let text = |at: usize| {
        let length = value.get(at..)?.first_chunk()?;
        Some(at + 2 + usize::from(u16::from_be_bytes(*length)))
    };
    match id {
        0x24 | 0x25 | 0x28 | 0x29 | 0x2A => Some(1),
        0x13 | 0x22 => Some(2),
        0x11 | 0x27 => Some(4),
        0x12 | 0x15 | 0x16 | 0x1A | 0x1C | 0x1F => text(0),
        0x26 => text(text(0)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn all(version: Version, bytes: &[u8]) -> Vec<Reply> {
        let mut replies = Vec::new();
        Scanner::default()
            .feed(version, bytes, |reply| {
                replies.push(reply);
                Ok(())
            })
            .unwrap();
        replies
    }

    fn puback(id: u16) -> Reply {
        Reply::Ack {
            ack: Ack::PubAck,
            id,
            reason: 0,
        }
    }

    const MIXED: &[u8] = b"\x20\x02\x00\x00\x40\x02\x00\x01\x40\x02\x01\x00\x50\x02\x00\x03\x70\x02\x00\x03\
        \xD0\x00\x90\x03\x00\x01\x80\x32\x07\x00\x01t\x00\x09hi\x30\x03\x00\x01t\x62\x02\x00\x09\x40\x02\xFF\xFF";

    fn mixed() -> Vec<Reply> {
        vec![
            Reply::ConnAck {
                code: 0,
                receive_maximum: u16::MAX,
            },
            puback(1),
            puback(256),
            Reply::Ack {
                ack: Ack::PubRec,
                id: 3,
                reason: 0,
            },
            Reply::Ack {
                ack: Ack::PubComp,
                id: 3,
                reason: 0,
            },
            Reply::Pong,
            Reply::SubAck { code: 0x80 },
            Reply::Message {
                id: Some(9),
                qos: 1,
            },
            Reply::Message { id: None, qos: 0 },
            Reply::Ack {
                ack: Ack::PubRel,
                id: 9,
                reason: 0,
            },
            puback(u16::MAX),
        ]
    }

    #[test]
    fn packets_glued_together_are_all_found() {
        assert_eq!(all(Version::V311, MIXED), mixed());
    }

    #[test]
    fn packets_cut_at_every_boundary_are_all_found() {
        for cut in 0..=MIXED.len() {
            let mut scanner = Scanner::default();
            let mut replies = Vec::new();
            for part in [&MIXED[..cut], &MIXED[cut..]] {
                scanner
                    .feed(Version::V311, part, |reply| {
                        replies.push(reply);
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(replies, mixed(), "cut at {cut}");
        }
    }

    #[test]
    fn packets_that_come_byte_by_byte_are_all_found() {
        let mut scanner = Scanner::default();
        let mut replies = Vec::new();
        for byte in MIXED {
            scanner
                .feed(Version::V311, &[*byte], |reply| {
                    replies.push(reply);
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(replies, mixed());
        assert!(scanner.cut.is_empty());
    }

    #[test]
    fn mqtt_5_reasons_are_read() {
        assert_eq!(
            all(
                Version::V5,
                b"\x40\x03\x00\x01\x10\x40\x04\x00\x02\x87\x00\xE0\x01\x8B\xE0\x00"
            ),
            [
                Reply::Ack {
                    ack: Ack::PubAck,
                    id: 1,
                    reason: 0x10
                },
                Reply::Ack {
                    ack: Ack::PubAck,
                    id: 2,
                    reason: 0x87
                },
                Reply::Goodbye { reason: 0x8B },
                Reply::Goodbye { reason: 0 },
            ]
        );
    }

    #[test]
    fn the_receive_maximum_is_found_among_other_properties() {
        let connack = b"\x20\x17\x00\x00\x14\x22\x00\x0A\x12\x00\x02id\x26\x00\x01k\x00\x01v\x21\x00\x14\x25\x00";
        assert_eq!(
            all(Version::V5, connack),
            [Reply::ConnAck {
                code: 0,
                receive_maximum: 20
            }]
        );
        assert_eq!(
            all(Version::V5, b"\x20\x03\x00\x87\x00"),
            [Reply::ConnAck {
                code: 0x87,
                receive_maximum: u16::MAX
            }]
        );
    }

    #[test]
    fn malformed_packets_are_the_servers_fault() {
        for bytes in [
            &b"\x40\x01\x00"[..],
            b"\x20\x00",
            b"\x10\x00",
            b"\x30\xFF\xFF\xFF\xFF\x01",
            b"\x30\xFF\xFF\xFF\x7F",
            b"\x32\x02\x00\x09",
        ] {
            let result = Scanner::default().feed(Version::V311, bytes, |_| Ok(()));
            assert!(
                matches!(result, Err(Error::Server(ServerFault::Malformed(_)))),
                "{bytes:02x?}"
            );
        }
    }
}
