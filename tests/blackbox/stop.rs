//! SIGTERM: what was acknowledged is stored, everybody is told, and the process ends by itself.

use std::collections::HashSet;

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::wire::{Client, Connect, Publish, Received, Subscribe, Version, kind};

#[test]
fn every_client_is_told_and_the_exit_is_a_success() {
    let mut server = Server::shared();
    let mut clients: Vec<Client> = Version::ALL
        .into_iter()
        .map(|version| {
            let id = format!("{version:?}");
            let connect = Connect::new(version, &id, &user("sensor01"), password("sensor01"));
            Client::accepted(&server, &connect)
        })
        .collect();
    let subscribe = Subscribe {
        id: 1,
        filters: &[("command/inbox/#", 1)],
        properties: &[],
    };
    clients[2].send(&subscribe.encode(Version::V5));
    clients[2].expect(kind::SUBACK);
    server.terminate();
    clients
        .iter_mut()
        .for_each(|client| client.expect_end(0x8B));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn devices_are_sent_to_the_server_that_is_configured() {
    let reference = "other.example:8883";
    let limits = format!("[limits]\nserver_reference = \"{reference}\"");
    let mut server = Server::builder().settings(&limits).start_shared();
    let mut new = Client::device(&server, Version::V5, "sensor01");
    let mut old = Client::device(&server, Version::V311, "gateway01");
    server.terminate();
    let goodbye = new.expect(kind::DISCONNECT);
    assert_eq!(goodbye.reason(), 0x9C);
    // Server Reference (MQTT 5, 3.14.2.2.5).
    let named = (0x1C, reference.as_bytes().to_vec());
    assert!(goodbye.properties().contains(&named), "{goodbye:?}");
    old.expect_closed();
    assert!(server.wait().success());
}

#[test]
fn goodbyes_are_spread_over_time() {
    let limits = "[limits]\nconnections_per_device = 20\ndrain_spread = \"4s\"";
    let mut server = Server::builder().settings(limits).start_shared();
    let mut clients: Vec<Client> = (0..8)
        .map(|name| Client::device_as(&server, Version::V5, "sensor01", name))
        .collect();
    server.terminate();
    // Whether one is served after another was told goodbye.
    let mut served_later = false;
    let mut told = 0;
    while !clients.is_empty() {
        clients.retain_mut(|client| {
            client.send(&[0xC0, 0]);
            match client.receive() {
                Received::Packet(packet) if packet.kind() == kind::PINGRESP => {
                    served_later |= told > 0;
                    true
                }
                Received::Packet(packet) => {
                    assert_eq!(packet.reason(), 0x8B);
                    told += 1;
                    false
                }
                Received::Closed => false,
            }
        });
    }
    assert!(served_later && told > 0);
    assert!(server.wait().success());
}

#[test]
fn what_was_acknowledged_before_the_goodbye_is_stored() {
    let mut server = Server::shared();
    let mut sensors: Vec<Client> = [Version::V311, Version::V5]
        .map(|v| Client::device_as(&server, v, "sensor01", v))
        .into();
    let mut acknowledged = HashSet::new();
    // The window of 100 is full all the time, so that the stop comes in the middle of it.
    for (name, sensor) in sensors.iter_mut().enumerate() {
        for id in 1..=100 {
            publish_numbered(sensor, name, id);
        }
    }
    for (name, sensor) in sensors.iter_mut().enumerate() {
        for id in 101..=200 {
            acknowledged.insert((name, sensor.expect(kind::PUBACK).id()));
            publish_numbered(sensor, name, id);
        }
    }
    server.terminate();
    for (name, sensor) in sensors.iter_mut().enumerate() {
        while let Received::Packet(packet) = sensor.receive() {
            match packet.kind() {
                kind::PUBACK => drop(acknowledged.insert((name, packet.id()))),
                kind::DISCONNECT => assert_eq!(packet.reason(), 0x8B),
                other => panic!("a packet of type {other}"),
            }
        }
    }
    assert!(server.wait().success());
    server.start_again();

    let stored: HashSet<(usize, u16)> = server
        .published(APP)
        .iter()
        .map(|event| serde_json::from_value(event["data"].clone()).expect("a pair of numbers"))
        .collect();
    assert!(acknowledged.len() >= 200);
    let missing: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(
        missing.is_empty(),
        "acknowledged, but not stored: {missing:?}"
    );
}

fn publish_numbered(sensor: &mut Client, name: usize, id: u16) {
    let payload = format!("[{name},{id}]");
    sensor.publish(&Publish::new("numbered", payload.as_bytes()).qos(1, id));
}

#[test]
fn the_log_and_the_registry_are_as_they_were_after_a_stop() {
    let mut server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    sensor.publish_1("before", b"1");
    let page = server.page(APP, None, 100);
    server.terminate();
    server.wait();
    server.start_again();

    assert!(
        server.page(APP, Some(&page.next), 100).events.len() <= 1,
        "but the end of sensor01"
    );
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    sensor.publish_1("after", b"2");
    let events = server.wait_published(APP, 2);
    assert_eq!(events[0]["subject"], "before");
    assert_eq!(events[1]["subject"], "after");
}

#[test]
fn a_stopping_server_lets_nobody_in() {
    let mut server = Server::shared();
    server.terminate();
    server.wait();
    let address = server.mqtt();
    assert!(std::net::TcpStream::connect(address).is_err());
}
