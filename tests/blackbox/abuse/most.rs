//! Who asks for the most of everything that the protocol and the limits allow.

use super::*;
use crate::wire::{Publish, Received, Subscribe, kind};

/// A string property of MQTT 5, as often as it fits.
fn user_properties(bytes: usize) -> Vec<u8> {
    let one = [0x26, 0, 1, b'k', 0, 1, b'v'];
    one.repeat(bytes / one.len())
}

#[test]
fn the_largest_packets_delay_nobody() {
    let server = server("");
    let large = |gate: &Gate| {
        let mut bad = Client::accepted(&server, &connect(Version::V5, "bad", "large"));
        let topic = "t".repeat(60_000);
        let payload = vec![b'['; 60_000];
        let properties = user_properties(60_000);
        let mut turn = 0;
        gate.abuse(|| {
            turn += 1;
            let publish = match turn % 3 {
                0 => Publish::new(&topic, b"1"),
                1 => Publish::new("t", &payload),
                _ => Publish::new("t", b"1").properties(&properties),
            };
            bad.publish(&publish.qos(1, 1));
            bad.expect(kind::PUBACK);
        });
    };
    good_device_keeps_its_latency(&server, 2.0, &[&large]);
}

#[test]
fn a_thousand_subscriptions_delay_nobody_and_are_bounded() {
    let server = server("");
    let filters: Vec<String> = (0..1_000)
        .map(|n| format!("command/inbox/d{n}/#"))
        .collect();
    let asked: Vec<(&str, u8)> = filters.iter().map(|filter| (&**filter, 1)).collect();
    let subscribe = Subscribe {
        id: 9,
        filters: &asked,
        properties: &[0x0B, 7],
    };
    let bytes = subscribe.encode(Version::V5);
    let own: Vec<(&str, u8)> = vec![("command/inbox//#", 1); 1_000];
    let own = Subscribe {
        id: 9,
        filters: &own,
        properties: &[],
    }
    .encode(Version::V5);
    let abuse = |gate: &Gate| {
        let mut bad = Client::accepted(&server, &connect(Version::V5, "bad", "many"));
        gate.abuse(|| {
            for packet in [&bytes, &own] {
                bad.send(packet);
                let suback = bad.expect(kind::SUBACK);
                assert_eq!(suback.granted(Version::V5).len(), 1_000);
            }
        });
    };
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
    // None of the devices is its own to read, and one filter a thousand times is one.
    let mut bad = Client::accepted(&server, &connect(Version::V5, "bad", "count"));
    bad.send(&bytes);
    let suback = bad.expect(kind::SUBACK);
    assert!(suback.granted(Version::V5).iter().all(|code| *code >= 0x80));
}

#[test]
fn every_alias_set_again_and_again_delays_nobody_and_keeps_sixteen_topics() {
    let server = server("");
    let abuse = |gate: &Gate| {
        let mut bad = Client::accepted(&server, &connect(Version::V5, "bad", "alias"));
        let mut number = 0_u32;
        gate.abuse(|| {
            number += 1;
            for alias in 1..=16 {
                let topic = format!("{number:08}{}", "t".repeat(30_000));
                let publish = Publish::new(&topic, b"1").properties(&[0x23, 0, alias]);
                // The last waits for the log: it is aliases that are in question, and not how much
                // that takes.
                bad.publish(&publish.qos(u8::from(alias == 16), 1));
            }
            bad.expect(kind::PUBACK);
        });
    };
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
    let mut bad = Client::accepted(&server, &connect(Version::V5, "bad", "alias"));
    bad.publish(&Publish::new("t", b"1").properties(&[0x23, 0, 17]));
    match bad.receive() {
        Received::Packet(packet) => {
            assert_eq!((packet.kind(), packet.reason()), (kind::DISCONNECT, 0x94));
        }
        Received::Closed => panic!("closed without a word"),
    }
}
