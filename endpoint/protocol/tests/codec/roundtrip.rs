//! What holds of every packet, and of any bytes at all.

use landfall_protocol::{Packet, Version, codec};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    arbitrary::{Sent, sent},
    case::{self, Sender},
    describe::describe,
    notation::with_variable_length,
};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];
const SENDERS: [Sender; 3] = [Sender::Connecting, Sender::Client, Sender::Server];

pub(crate) fn encode(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    let written = codec::encode(packet, version, &mut out).unwrap();
    assert_eq!(written, out.len());
    out
}

/// A decoder that takes some bytes for a packet must write that packet so that it is read again,
/// in no more bytes than it came in.
fn is_stable(bytes: &[u8], sender: Sender, version: Version) {
    let Ok(Some(raw)) = codec::split(bytes, u32::MAX) else {
        return;
    };
    assert!(raw.size <= bytes.len());
    let Ok(packet) = sender.decode(&raw, version) else {
        return;
    };
    // Looks at all that is in the packet, lists included.
    let description = describe(&packet);
    let version = match &packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    let canonical = encode(&packet, version);
    assert!(canonical.len() <= raw.size, "{bytes:02X?} grew");
    let again = case::decode(&canonical, sender, version, u32::MAX).unwrap();
    assert_eq!(again, packet);
    assert_eq!(describe(&again), description);
    assert_eq!(encode(&again, version), canonical);
}

/// One change to the bytes of a packet.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Replace(Index, u8),
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    /// Repeats some bytes right behind themselves: what doubles properties and filters.
    Repeat(Index, Index),
    Truncate(Index),
}

pub(crate) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let interesting = prop_oneof![
        any::<u8>(),
        proptest::sample::select(vec![
            0x00, 0x01, 0x02, 0x03, 0x7F, 0x80, 0xFF, b'+', b'#', 0x26
        ]),
    ];
    vec(
        prop_oneof![
            4 => (any::<Index>(), interesting.clone()).prop_map(|(at, to)| Mutation::Replace(at, to)),
            4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
            1 => (any::<Index>(), interesting).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
            1 => any::<Index>().prop_map(Mutation::Remove),
            1 => any::<(Index, Index)>().prop_map(|(from, to)| Mutation::Repeat(from, to)),
            1 => any::<Index>().prop_map(Mutation::Truncate),
        ],
        1..3,
    )
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Replace(at, to) => bytes[at.index(length)] = *to,
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Self::Remove(at) => drop(bytes.remove(at.index(length))),
            Self::Repeat(one, other) => {
                let (from, to) = (one.index(length), other.index(length));
                let (from, to) = (from.min(to), from.max(to) + 1);
                let repeated = bytes[from..to].to_vec();
                bytes.splice(to..to, repeated);
            }
            Self::Truncate(at) => bytes.truncate(at.index(length)),
        }
    }
}

/// Changes a packet's body and sets its remaining length right, so that the change is not merely
/// one of length. One packet in eight has its first byte changed too.
pub(crate) fn mutate(bytes: &[u8], mutations: &[Mutation], first: Option<u8>) -> Vec<u8> {
    let raw = codec::split(bytes, u32::MAX).unwrap().unwrap();
    let mut body = raw.body.to_vec();
    for mutation in mutations {
        mutation.apply(&mut body);
    }
    let mut mutated = vec![first.unwrap_or(raw.first)];
    mutated.extend(with_variable_length(&body));
    mutated
}

pub(crate) fn mutated_first() -> impl Strategy<Value = Option<u8>> {
    proptest::option::weighted(0.125, any::<u8>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_500))]

    #[test]
    fn what_is_encoded_decodes_to_the_same(Sent { version, sender, packet } in sent()) {
        let bytes = encode(&packet, version);
        prop_assert_eq!(codec::encoded_len(&packet, version), Ok(bytes.len()));
        let decoded = case::decode(&bytes, sender, version, u32::MAX);
        prop_assert_eq!(decoded.as_ref(), Ok(&packet));
        let decoded = decoded.unwrap();
        // Not only equal by the packets' own word.
        prop_assert_eq!(describe(&decoded), describe(&packet));
        prop_assert_eq!(encode(&decoded, version), bytes);
    }

    #[test]
    fn packets_in_a_row_are_told_apart(packets in vec(sent(), 1..4)) {
        let mut stream = Vec::new();
        for Sent { version, packet, .. } in &packets {
            codec::encode(packet, *version, &mut stream).unwrap();
        }
        let mut rest = stream.as_slice();
        for Sent { version, sender, packet } in &packets {
            let raw = codec::split(rest, u32::MAX).unwrap().unwrap();
            let decoded = sender.decode(&raw, *version);
            prop_assert_eq!(decoded.as_ref(), Ok(packet));
            rest = &rest[raw.size..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn a_changed_packet_is_refused_or_another_packet(
        sent in sent(),
        mutations in mutations(),
        first in mutated_first(),
    ) {
        let bytes = mutate(&encode(&sent.packet, sent.version), &mutations, first);
        is_stable(&bytes, sent.sender, sent.version);
    }

    #[test]
    fn a_packet_read_as_another_version_or_sender_is_refused_or_another_packet(sent in sent()) {
        let bytes = encode(&sent.packet, sent.version);
        for version in VERSIONS {
            for sender in SENDERS {
                is_stable(&bytes, sender, version);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_a_packet(first: u8, body in vec(any::<u8>(), 0..60)) {
        let mut bytes = vec![first];
        bytes.extend(with_variable_length(&body));
        for version in VERSIONS {
            for sender in SENDERS {
                is_stable(&bytes, sender, version);
                is_stable(&body, sender, version);
            }
        }
    }
}
