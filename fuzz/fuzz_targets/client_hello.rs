//! Any bytes as the start of a TLS connection: no panic; pieces are judged like the whole, and records
//! of any size like one record.

#![no_main]

use landfall_preamble::hello::{self, HelloReader, MAX_BYTES};
use libfuzzer_sys::fuzz_target;

/// Content type, version, length.
const HEAD: usize = 5;

fuzz_target!(|input: &[u8]| {
    if input.len() >= MAX_BYTES {
        return;
    }
    let whole = hello::read(input);
    let mut reader = HelloReader::default();
    for end in 0..=input.len() {
        match reader.read(&input[..end]) {
            Ok(None) => assert!(end < input.len() || whole == Ok(None)),
            verdict => {
                assert_eq!(verdict, whole, "judged early, at {end}");
                break;
            }
        }
    }
    if let Ok(Some(found)) = whole {
        let again = hello::read(&in_records_of_a_byte(input));
        assert_eq!(again, Ok(Some(found)));
    }
});

/// The handshake records that the bytes begin with, cut into records of one byte.
fn in_records_of_a_byte(mut bytes: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    while bytes.len() > HEAD && bytes[0] == 22 {
        let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        let Some(fragment) = bytes.get(HEAD..HEAD + length) else {
            break;
        };
        for byte in fragment {
            records.extend([22, 3, bytes[2], 0, 1, *byte]);
        }
        bytes = &bytes[HEAD + length..];
    }
    records
}
