//! Any bytes as a PROXY header: no panic; pieces are judged like the whole, nothing behind the header
//! is taken, and an address survives being written again.

#![no_main]

use landfall_preamble::proxy::{self, MAX_HEADER, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let whole = proxy::read(input);
    for end in 0..input.len().min(MAX_HEADER + 1) {
        match proxy::read(&input[..end]) {
            Ok(None) => {}
            verdict => {
                assert_eq!(verdict, whole, "judged early, at {end}");
                break;
            }
        }
    }
    match whole {
        Ok(Some((size, source))) => {
            assert!(size <= input.len().min(MAX_HEADER));
            if let Some(length) = proxy::length_v2(input) {
                assert_eq!(length, size);
            }
            survives(source);
        }
        Ok(None) => assert!(input.len() < MAX_HEADER, "a header is never longer"),
        Err(_) => {}
    }
});

/// Written as version 1, the client's address is read as the same.
fn survives(source: Source) {
    let Source::Client(client) = source else {
        return;
    };
    let (family, own) = match client.is_ipv4() {
        true => ("TCP4", "127.0.0.1"),
        false => ("TCP6", "::1"),
    };
    let (address, port) = (client.ip(), client.port());
    let line = format!("PROXY {family} {address} {own} {port} 1883\r\n");
    assert_eq!(proxy::read(line.as_bytes()), Ok(Some((line.len(), source))));
}
