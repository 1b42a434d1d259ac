//! Many connections at once: silent ones delay nobody, and cost little.

use std::time::{Duration, Instant};

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::wire::{Client, Version};

const SILENT: usize = 2_000;
const ROUNDS: usize = 500;

/// The median time from a publish to its acknowledgement.
fn median_round_trip(sensor: &mut Client) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(sensor.publish_1("t", b"1").reason(), 0);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

#[test]
fn two_thousand_silent_connections_do_not_delay_a_good_device() {
    let server = Server::builder()
        .settings("[limits]\nconnect_timeout = \"5m\"")
        .start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    median_round_trip(&mut sensor);
    let alone = median_round_trip(&mut sensor);
    let crowd: Vec<Client> = (0..SILENT)
        .map(|_| Client::open(server.mqtt(), Version::V5))
        .collect();
    let among_silent = median_round_trip(&mut sensor);
    println!("median round trip: {alone:?} alone, {among_silent:?} among {SILENT} silent peers");
    // A ratio, so that the machine's speed does not matter; and generous, as its load may change.
    assert!(
        among_silent < alone * 4 + Duration::from_millis(1),
        "{alone:?} to {among_silent:?}"
    );
    drop(crowd);
    server.wait_published(APP, 3 * ROUNDS);
}

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a Linux system");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("its memory");
    let kib: usize = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib * 1024
}

#[test]
fn promises_of_large_packets_take_no_memory() {
    let server = Server::builder()
        .settings("[limits]\nconnect_timeout = \"5m\"")
        .start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let before = resident(server.pid());
    // The largest CONNECT that is not refused at once: 64 KiB are promised, ten bytes come.
    let crowd: Vec<Client> = (0..SILENT)
        .map(|_| {
            let mut client = Client::open(server.mqtt(), Version::V5);
            client.send(&[0x10, 0xFC, 0xFF, 0x03, 0, 4, b'M', b'Q', b'T', b'T']);
            client
        })
        .collect();
    // All of them have been accepted when a later one is.
    sensor.ping();
    Client::device(&server, Version::V311, "gateway01").disconnect();
    let each = resident(server.pid()).saturating_sub(before) / SILENT;
    println!("{each} bytes for each connection that promised 64 KiB");
    assert!(
        each < 16 * 1024,
        "{each} bytes for each connection that promised 64 KiB"
    );
    drop(crowd);
}
