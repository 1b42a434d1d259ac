//! What needs more than a script.

use landfall_protocol::codec::{AckKind, encode_ack};
use landfall_protocol::{Limits, PacketId, QoS, ReasonCode, Version};
use proptest::prelude::*;

use crate::notation;
use crate::peer::{Peer, packets};

fn connected(version: Version, limits: Limits) -> Peer {
    let mut peer = Peer::new(limits);
    let head = match version {
        Version::V31 => "\"MQIsdp\" 03",
        Version::V311 => "\"MQTT\" 04",
        Version::V5 => "\"MQTT\" 05",
    };
    let connect = format!("10 * {head} 02 0000 5({{}}) \"dev\"");
    peer.send(&notation::bytes(&connect, version, &[]));
    peer.accept(None);
    peer.received();
    peer.events.clear();
    peer
}

#[test]
fn ten_thousand_publishes_are_acknowledged_in_order_with_window_sized_memory() {
    let mut peer = connected(Version::V311, Limits::default());
    let mut expected = Vec::new();
    for n in 1..=10_000_u16 {
        let publish = format!("32 * \"t\" {n:04X} 'x'");
        peer.send(&notation::bytes(&publish, Version::V311, &[]));
        let id = PacketId::new(n).unwrap();
        encode_ack(
            AckKind::PubAck,
            id,
            ReasonCode::SUCCESS,
            Version::V311,
            &mut expected,
        );
        if n % 50 == 0 {
            peer.accepted(u64::from(n));
        }
        assert!(peer.session.waiting() <= 50);
    }
    assert_eq!(peer.received(), expected);
}

#[test]
fn nothing_waits_for_a_publish_that_the_caller_never_saw() {
    for unknown_alias in ["32 * \"\" 0005 { 23 0001 }", "34 * \"\" 0005 { 23 0001 }"] {
        let mut peer = connected(Version::V5, Limits::default());
        peer.send(&notation::bytes(unknown_alias, Version::V5, &[]));
        assert!(peer.session.closed().is_some());
        assert_eq!(peer.session.waiting(), 0, "{unknown_alias}");
    }
}

#[test]
fn packet_ids_of_deliveries_wrap_around_and_skip_those_in_use() {
    let mut peer = connected(Version::V311, Limits::default());
    assert_eq!(peer.deliver("held", b"", QoS::AtLeastOnce, 0), "Ok(())");
    for token in 1..=70_000_u64 {
        assert_eq!(peer.deliver("t", b"", QoS::AtLeastOnce, token), "Ok(())");
        let sent = peer.received();
        let packets = packets(&sent, Version::V311);
        assert_eq!(packets.len(), if token == 1 { 2 } else { 1 });
        let id = &sent[sent.len() - 2..];
        assert!(id != [0, 0] && id != [0, 1], "in use: {id:?}");
        peer.send(&[0x40, 0x02, id[0], id[1]]);
        assert_eq!(peer.events.pop().unwrap(), format!("ACKNOWLEDGED {token}"));
    }
    peer.send(&[0x40, 0x02, 0, 1]);
    assert_eq!(peer.events.pop().unwrap(), "ACKNOWLEDGED 0");
}

/// What a client or the caller does next, in a form that proptest can shrink.
#[derive(Clone, Debug)]
enum Act {
    Bytes(Vec<u8>),
    Publish { qos: u8, id: u16, dup: bool },
    Release(u8),
    Ack(u8),
    Accepted(u64),
    Refuse(u64),
    Deliver,
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Act::Bytes),
        8 => (0..3_u8, 1..6_u16, any::<bool>()).prop_map(|(qos, id, dup)| Act::Publish { qos, id, dup }),
        4 => (1..6_u8).prop_map(Act::Release),
        2 => (1..4_u8).prop_map(Act::Ack),
        6 => (0..40_u64).prop_map(Act::Accepted),
        2 => (0..40_u64).prop_map(Act::Refuse),
        3 => Just(Act::Deliver),
        1 => (0..40_000_u64).prop_map(Act::Wait),
    ]
}

proptest! {
    /// Whatever client and caller do, output is whole packets, each publish is acknowledged at most
    /// once, in order, and never before the caller's word.
    #[test]
    fn acknowledgements_follow_the_callers_word(
        acts in prop::collection::vec(act(), 1..60),
        version in prop::sample::select(vec![Version::V31, Version::V311, Version::V5]),
    ) {
        let mut peer = connected(version, Limits::default());
        let mut published: Vec<(u64, u16, u8)> = Vec::new();
        let (mut word, mut refused) = (0, Vec::new());
        let mut first_acks = Vec::new();
        for act in acts {
            match act {
                Act::Bytes(bytes) => peer.send(&bytes),
                Act::Publish { qos, id, dup } => {
                    let first = 0x30 | (qos << 1) | (u8::from(dup && qos > 0) << 3);
                    let id_field = if qos > 0 { format!("{id:04X}") } else { String::new() };
                    let text = format!("{first:02X} * \"t\" {id_field} 5({{}})");
                    let before = peer.session.last_sequence();
                    peer.send(&notation::bytes(&text, version, &[]));
                    if peer.session.last_sequence() == before + 1 && qos > 0 {
                        published.push((before + 1, id, qos));
                    }
                }
                Act::Release(id) => peer.send(&[0x62, 2, 0, id]),
                Act::Ack(id) => peer.send(&[0x40, 2, 0, id]),
                Act::Accepted(up_to) => {
                    word = word.max(up_to);
                    peer.accepted(word);
                }
                Act::Refuse(sequence) => {
                    if sequence > word {
                        refused.push(sequence);
                    }
                    peer.session.refuse_publish(sequence, ReasonCode::NOT_AUTHORIZED, None);
                }
                Act::Deliver => { peer.deliver("d", b"x", QoS::AtLeastOnce, 1); }
                Act::Wait(time) => peer.wait(time),
            }
            let sent = peer.received();
            let mut rest = &sent[..];
            while !rest.is_empty() {
                let raw = landfall_protocol::codec::split(rest, u32::MAX).unwrap().expect("whole");
                landfall_protocol::codec::decode_from_server(&raw, version).unwrap();
                if raw.first == 0x40 || raw.first == 0x50 {
                    first_acks.push((raw.first, u16::from_be_bytes([raw.body[0], raw.body[1]])));
                }
                rest = &rest[raw.size..];
            }
        }
        let due = |sequence: u64| sequence <= word || refused.contains(&sequence);
        let mut left = published.iter().filter(|(sequence, ..)| due(*sequence)).peekable();
        for (kind, id) in first_acks {
            let expected = |p: &&&(u64, u16, u8)| (p.1, if p.2 == 1 { 0x40 } else { 0x50 }) == (id, kind);
            // A repeated PUBREC answers a repeated QoS 2 publish; every other one is the next due.
            if left.peek().filter(expected).is_some() {
                left.next();
            } else {
                prop_assert_eq!(kind, 0x50, "an acknowledgement out of order");
            }
        }
    }
}
