//! Who sends as fast as it can, and who never reads.

use std::io::ErrorKind;

use nix::sys::socket::{setsockopt, sockopt};

use super::*;
use crate::harness::documents::APP;
use crate::wire::{Publish, Received, kind};

#[test]
fn a_device_that_floods_with_qos_1_delays_others_by_its_own_window_only() {
    let server = server("");
    let flood = |gate: &Gate| {
        let mut bad = Client::accepted(&server, &connect(Version::V5, "bad", "bad"));
        let mut next = 0_u16;
        gate.abuse(|| {
            let mut bytes = Vec::new();
            for _ in 0..90 {
                next = next % 60_000 + 1;
                bytes.extend(
                    Publish::new("flood", &[b'1'; 200])
                        .qos(1, next)
                        .encode(Version::V5),
                );
            }
            bad.send(&bytes);
            for _ in 0..90 {
                assert_eq!(bad.expect(kind::PUBACK).reason(), 0);
            }
        });
    };
    good_device_keeps_its_latency(&server, 2.0, &[&flood]);
}

#[test]
fn a_device_that_floods_with_qos_0_delays_nobody_if_its_rate_is_bounded() {
    let server = server("[limits]\npublish_rate = 5000");
    let flood = |gate: &Gate| {
        let mut bad = Client::accepted(&server, &connect(Version::V5, "bad", "bad"));
        // A kernel wakes a writer when a third of what it keeps has left.
        setsockopt(&bad.stream(), sockopt::SndBuf, &16_384).unwrap();
        let publish = Publish::new("flood", &[b'1'; 64]).encode(Version::V5);
        let bytes = publish.repeat(100);
        gate.abuse(|| bad.try_send(&bytes).expect("a connection that stays"));
    };
    good_device_keeps_its_latency(&server, 2.0, &[&flood]);
}

#[test]
fn a_device_that_never_reads_its_commands_delays_nobody() {
    let server = server("");
    let mut deaf = Client::accepted(&server, &connect(Version::V5, "bad", "deaf"));
    // The kernel of a test machine may keep tens of megabytes for a reader: this one keeps little.
    setsockopt(&deaf.stream(), sockopt::RcvBuf, &16_384).unwrap();
    assert_eq!(deaf.subscribe("command/inbox/#", 0), 0);
    let payload = vec![b'x'; 30_000];
    let command = |gate: &Gate| {
        let path = format!("/api/command/v1alpha1/apps/{APP}/devices/bad?command=x&timeout=0");
        gate.abuse(|| {
            let headers = [("content-type", "application/octet-stream")];
            let answer = server.api().send("POST", &path, &headers, Some(&payload));
            // Taken, or refused as its queue is full; once it is sent away, nobody is there.
            assert!(
                matches!(answer.status, 200..=299 | 404 | 409 | 504),
                "{}",
                answer.text()
            );
        });
    };
    good_device_keeps_its_latency(&server, 2.0, &[&command]);
    // It was not waited for with more than a queue and the sockets' buffers.
    let mut read = 0;
    deaf.stream()
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    while let Some(Received::Packet(packet)) = deaf.receive_or_silence() {
        read += packet.body.len();
    }
    assert!(read < 16 << 20, "{read} bytes waited for it");
}

#[test]
fn connections_that_come_and_go_delay_nobody() {
    let server = server("");
    let churn = |gate: &Gate| {
        let mut number = 0;
        gate.abuse(|| {
            number += 1;
            let id = format!("churn{}", number % 3);
            let (client, connack) = Client::connect(&server, &connect(Version::V311, "bad", &id));
            assert_eq!(connack.reason(), 0);
            client.cut();
        });
    };
    good_device_keeps_its_latency(&server, 2.0, &[&churn]);
}

#[test]
fn a_publisher_that_never_reads_its_acknowledgements_delays_nobody() {
    let server = server("");
    let deaf = |gate: &Gate| {
        let mut number = 0;
        let mut stream = None::<Client>;
        gate.abuse(|| {
            let client = stream.get_or_insert_with(|| {
                number += 1;
                let id = format!("deaf{number}");
                let client = Client::accepted(&server, &connect(Version::V311, "bad", &id));
                let patience = Some(Duration::from_millis(100));
                client.stream().set_write_timeout(patience).unwrap();
                client
            });
            let pings = [0xC0, 0].repeat(10_000);
            let mut socket = client.stream();
            if let Err(error) = std::io::Write::write_all(&mut socket, &pings) {
                assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::WouldBlock
                            | ErrorKind::TimedOut
                            | ErrorKind::BrokenPipe
                            | ErrorKind::ConnectionReset
                    ),
                    "{error}"
                );
                stream = None;
            }
        });
    };
    good_device_keeps_its_latency(&server, 2.0, &[&deaf]);
}
