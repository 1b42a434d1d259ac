//! Which reason codes each packet has (MQTT 5, 2.4 and each packet's own table).

use crate::{Malformed, ReasonCode};

use super::{AckKind, Sender};

/// Takes a reason code if `packet_has` it.
pub(super) fn parse(code: u8, packet_has: impl Fn(u8) -> bool) -> Result<ReasonCode, Malformed> {
    if packet_has(code) {
        Ok(ReasonCode(code))
    } else {
        Err(Malformed::ReasonCode(code))
    }
}

/// CONNACK (MQTT 5, table 3-1).
pub(super) const fn of_connack(code: u8) -> bool {
    matches!(
        code,
        0x00 | 0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F
    )
}

/// PUBACK and PUBREC (tables 3-4 and 3-5), PUBREL and PUBCOMP (tables 3-6 and 3-7).
pub(super) const fn of_ack(kind: AckKind, code: u8) -> bool {
    match kind {
        AckKind::PubAck | AckKind::PubRec => matches!(
            code,
            0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99
        ),
        AckKind::PubRel | AckKind::PubComp => matches!(code, 0x00 | 0x92),
    }
}

/// SUBACK (table 3-8).
pub(super) const fn of_suback(code: u8) -> bool {
    matches!(
        code,
        0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2
    )
}

/// UNSUBACK (table 3-9).
pub(super) const fn of_unsuback(code: u8) -> bool {
    matches!(code, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91)
}

/// DISCONNECT (table 3-10, column "sent by"; 0x8C stands only in table 2-6).
pub(super) const fn of_disconnect(sender: Sender, code: u8) -> bool {
    match code {
        0x00 | 0x80..=0x83 | 0x90 | 0x93..=0x99 => true,
        0x04 => matches!(sender, Sender::Client),
        0x87 | 0x89 | 0x8B..=0x8F | 0x9A..=0xA2 => matches!(sender, Sender::Server),
        _ => false,
    }
}

/// AUTH (table 3-11, column "sent by").
pub(super) const fn of_auth(sender: Sender, code: u8) -> bool {
    match code {
        0x18 => true,
        0x00 => matches!(sender, Sender::Server),
        0x19 => matches!(sender, Sender::Client),
        _ => false,
    }
}
