//! Any bytes, framed and decoded as any version from either side: no panic, nothing read outside
//! the frame, and what is decoded is written so that it is read again.
//!
//! The first byte of the input chooses version and sender, what follows is a stream of packets.

#![no_main]

use landfall_protocol::{
    Packet, PeerError, Version,
    codec::{self, RawPacket},
};
use libfuzzer_sys::fuzz_target;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

type Decode = for<'a> fn(&RawPacket<'a>, Version) -> Result<Packet<'a>, PeerError>;

const DECODERS: [Decode; 3] = [
    |raw, _| codec::decode_connect(raw).map(Packet::Connect),
    |raw, version| codec::decode_from_client(raw, version),
    |raw, version| codec::decode_from_server(raw, version),
];

/// Small enough for the fuzzer to reach it.
const MAXIMUM_PACKET_SIZE: u32 = 4_096;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, stream)) = input.split_first() else {
        return;
    };
    let version = VERSIONS[usize::from(choice) % 3];
    let decode = DECODERS[usize::from(choice) / 3 % 3];
    let mut rest = stream;
    loop {
        header_is_read_the_same_from_any_prefix(rest);
        let Ok(Some(raw)) = codec::split(rest, MAXIMUM_PACKET_SIZE) else {
            return;
        };
        assert!(raw.size <= MAXIMUM_PACKET_SIZE as usize);
        if let Ok(packet) = decode(&raw, version) {
            is_stable(&packet, &raw, version, decode);
        }
        rest = &rest[raw.size..];
    }
});

/// Bytes that have not arrived yet change no verdict, they only put it off.
fn header_is_read_the_same_from_any_prefix(bytes: &[u8]) {
    let whole = codec::split(bytes, MAXIMUM_PACKET_SIZE);
    for length in 0..bytes.len().min(6) {
        match codec::split(&bytes[..length], MAXIMUM_PACKET_SIZE) {
            Ok(None) => {}
            Ok(Some(early)) => assert_eq!(Ok(Some(early)), whole),
            Err(error) => assert_eq!(Err(error), whole),
        }
    }
}

fn is_stable(packet: &Packet<'_>, raw: &RawPacket<'_>, version: Version, decode: Decode) {
    let version = match packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    let mut canonical = Vec::new();
    let written = codec::encode(packet, version, &mut canonical).expect("a decoded packet encodes");
    assert_eq!(written, canonical.len());
    assert_eq!(codec::encoded_len(packet, version), Ok(written));
    assert!(written <= raw.size, "it grew");

    let again = codec::split(&canonical, MAXIMUM_PACKET_SIZE)
        .expect("a canonical frame")
        .expect("a whole packet");
    assert_eq!(again.size, written);
    let decoded = decode(&again, version).expect("a canonical packet decodes");
    assert_eq!(&decoded, packet);
}
