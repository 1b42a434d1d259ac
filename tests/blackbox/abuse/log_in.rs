//! Who guesses passwords.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::harness::documents::{WRONG_PASSWORD, user};
use crate::wire::client::tcp;

/// Guessers of each of two kinds: so many that a slow hash keeps few of them waiting.
const GUESSERS: usize = 10;
/// Attempts a second of each.
const RATE: u32 = 50;
/// Attempts in each window: about one for each of the good device's round trips, or more.
const LEAST_GUESSES: u64 = 300;

/// Guesses at this rate, as far as the machine allows.
fn guess(server: &Server, gate: &Gate, device: impl Fn(u32) -> String) {
    let mut next = Instant::now();
    let mut number = 0;
    gate.abuse(|| {
        let now = Instant::now();
        next = next.max(now.checked_sub(Duration::from_millis(50)).unwrap_or(now));
        if next > now {
            thread::park_timeout(next - now);
        }
        next += Duration::from_secs(1) / RATE;
        number += 1;
        let connect = Connect::new(Version::V5, "guess", &user(&device(number)), WRONG_PASSWORD);
        let mut stream = tcp(server.mqtt());
        stream
            .write_all(&connect.encode())
            .expect("a listening server");
        let mut connack = [0; 4];
        // Refused by a CONNACK, or closed for coming too often.
        if stream.read_exact(&mut connack).is_ok() {
            assert_eq!(connack[0], 0x20);
            assert_ne!(connack[3], 0, "a wrong password was good");
        }
    });
}

#[test]
fn a_thousand_wrong_passwords_a_second_delay_no_good_device() {
    let server = server("");
    let one = |gate: &Gate| guess(&server, gate, |_| "bad".to_owned());
    let many = |gate: &Gate| guess(&server, gate, |number| format!("nobody{number}"));
    let guessers: Vec<&(dyn Fn(&Gate) + Sync)> =
        [&one as &(dyn Fn(&Gate) + Sync), &many].repeat(GUESSERS);
    good_device_keeps_its_latency_under(&server, 2.0, LEAST_GUESSES, &guessers);
}
