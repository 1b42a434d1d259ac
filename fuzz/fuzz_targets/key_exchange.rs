//! Any bytes as a TLS 1.2 ClientKeyExchange: no panic; pieces are judged like the whole, and an
//! identity is part of what came.

#![no_main]

use landfall_preamble::key_exchange::{IdentityReader, MAX_BYTES};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if input.len() >= MAX_BYTES {
        return;
    }
    let whole = IdentityReader::default().read(input);
    let mut reader = IdentityReader::default();
    for end in 0..=input.len() {
        match reader.read(&input[..end]) {
            Ok(None) => assert!(end < input.len() || whole == Ok(None)),
            verdict => {
                assert_eq!(verdict, whole, "judged early, at {end}");
                break;
            }
        }
    }
    if let Ok(Some(identity)) = whole {
        assert!(identity.len() < input.len());
    }
});
