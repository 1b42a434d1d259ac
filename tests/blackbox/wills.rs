//! Wills: an event of the will's topic, at every end but a goodbye.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::tools::mosquitto::Subscriber;
use crate::wire::{Client, Connect, Version, Will};

fn with_will(version: Version, device: &str, topic: &str) -> Connect {
    Connect::new(version, "c", &user(device), password(device))
        .will(Will::new(topic, b"{\"lost\":true}"))
}

fn assert_will(event: &Value, device: &str) {
    assert_eq!(event["subject"], "gone");
    assert_eq!(event["device"], device);
    assert_eq!(event["data"], json!({ "lost": true }));
}

#[test]
fn a_dropped_socket_publishes_the_will() {
    let server = Server::shared();
    for (version, count) in Version::ALL.into_iter().zip(1..) {
        Client::accepted(&server, &with_will(version, "sensor01", "gone")).cut();
        let events = server.wait_published(APP, count);
        assert_will(&events[count - 1], "sensor01");
    }
}

#[test]
fn a_goodbye_publishes_none() {
    let server = Server::shared();
    for (before, version) in Version::ALL.into_iter().enumerate() {
        Client::accepted(&server, &with_will(version, "sensor01", "gone")).disconnect();
        // A connection that comes before the last one has gone adds no events.
        server.wait_connection_events(APP, "sensor01", &[true, false].repeat(before + 1));
    }
    assert!(server.published(APP).is_empty());
}

#[test]
fn a_goodbye_with_will_publishes_it() {
    let server = Server::shared();
    let mut sensor = Client::accepted(&server, &with_will(Version::V5, "sensor01", "gone"));
    // DISCONNECT 0x04: disconnect with will message.
    sensor.send(&[0xE0, 1, 0x04]);
    sensor.expect_closed();
    assert_will(&server.wait_published(APP, 1)[0], "sensor01");
}

#[test]
fn silence_past_the_keep_alive_publishes_the_will() {
    let server = Server::shared();
    let connect = with_will(Version::V311, "sensor01", "gone").keep_alive(1);
    Client::accepted(&server, &connect).expect_closed();
    assert_will(&server.wait_published(APP, 1)[0], "sensor01");
}

#[test]
fn a_take_over_publishes_the_will_of_the_old_connection() {
    let server = Server::shared();
    let mut old = Client::accepted(&server, &with_will(Version::V5, "sensor01", "gone"));
    let new = Connect::new(Version::V5, "c", &user("sensor01"), password("sensor01"));
    let mut new = Client::accepted(&server, &new);
    old.expect_end(0x8E);
    assert_will(&server.wait_published(APP, 1)[0], "sensor01");
    new.ping();
}

#[test]
fn a_broken_rule_of_the_protocol_publishes_the_will() {
    let server = Server::shared();
    let mut sensor = Client::accepted(&server, &with_will(Version::V5, "sensor01", "gone"));
    // A packet of the reserved type 0.
    sensor.send(&[0x00, 0x00]);
    sensor.expect_end(0x81);
    assert_will(&server.wait_published(APP, 1)[0], "sensor01");
}

#[test]
fn a_stop_of_the_server_publishes_the_will() {
    let mut server = Server::shared();
    let mut sensor = Client::accepted(&server, &with_will(Version::V5, "sensor01", "gone"));
    server.terminate();
    sensor.expect_end(0x8B);
    assert!(server.wait().success());
    server.start_again();
    assert_will(&server.wait_published(APP, 1)[0], "sensor01");
}

#[test]
fn a_deleted_device_leaves_its_will() {
    let server = Server::shared();
    let mut sensor = Client::accepted(&server, &with_will(Version::V5, "sensor01", "gone"));
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/sensor01");
    server.api().delete(&path);
    sensor.expect_end(0x98);
    assert_will(&server.wait_published(APP, 1)[0], "sensor01");
}

#[test]
fn a_gateway_leaves_a_will_for_a_device_that_selects_it_only() {
    let server = Server::shared();
    Client::accepted(
        &server,
        &with_will(Version::V5, "gateway01", "gone/sensor03"),
    )
    .cut();
    server.wait_connection_events(APP, "gateway01", &[true, false]);
    Client::accepted(
        &server,
        &with_will(Version::V5, "gateway01", "gone/sensor02"),
    )
    .cut();
    let event = &server.wait_published(APP, 1)[0];
    assert_will(event, "sensor02");
    assert_eq!(event["sender"], "gateway01");
}

#[test]
fn a_will_that_the_dialect_cannot_place_is_refused_at_the_door() {
    let server = Server::shared();
    for (version, code) in [(Version::V31, 5), (Version::V311, 5), (Version::V5, 0x90)] {
        let (mut client, connack) =
            Client::connect(&server, &with_will(version, "sensor01", "a/b/c"));
        assert_eq!(connack.reason(), code, "{version:?}");
        client.expect_closed();
    }
}

#[test]
fn a_retained_will_is_refused_in_5_and_marked_in_3_x() {
    let server = Server::shared();
    let retained = |version| {
        let mut connect = with_will(version, "sensor01", "gone");
        connect.will.as_mut().unwrap().retain = true;
        connect
    };
    let (mut client, connack) = Client::connect(&server, &retained(Version::V5));
    assert_eq!(connack.reason(), 0x9A);
    client.expect_closed();

    Client::accepted(&server, &retained(Version::V311)).cut();
    let event = &server.wait_published(APP, 1)[0];
    assert_will(event, "sensor01");
    assert_eq!(event["mqttretain"], true);
}

#[test]
fn a_will_has_its_content_type_and_its_delay_counts_as_none() {
    let server = Server::shared();
    let mut connect = with_will(Version::V5, "sensor01", "gone");
    let mut properties = crate::wire::encode::string_property(0x03, "text/plain");
    // Will Delay Interval of an hour.
    properties.extend([0x18, 0, 0, 0x0E, 0x10]);
    connect.will.as_mut().unwrap().properties = properties;
    Client::accepted(&server, &connect).cut();
    let event = &server.wait_published(APP, 1)[0];
    assert_eq!(event["datacontenttype"], "text/plain");
}

#[test]
fn mosquitto_sub_leaves_its_will_when_it_is_killed() {
    let server = Server::shared();
    let will = [
        "--will-topic",
        "gone",
        "--will-payload",
        "{\"lost\":true}",
        "--will-qos",
        "1",
    ];
    for (version, count) in Version::ALL.into_iter().zip(1..) {
        let inbox = "command/inbox//#";
        Subscriber::start(&server, version, "sensor01", inbox, &will).kill();
        let events = server.wait_published(APP, count);
        assert_will(&events[count - 1], "sensor01");
    }
}

#[test]
fn mosquitto_sub_ends_with_or_without_its_will_as_it_says() {
    let server = Server::shared();
    let will = ["--will-topic", "gone", "--will-payload", "{\"lost\":true}"];
    let inbox = "command/inbox//#";
    for version in [Version::V31, Version::V311] {
        Subscriber::start(&server, version, "sensor01", inbox, &will).stop();
    }
    server.wait_connection_events(APP, "sensor01", &[true, false, true, false]);
    assert!(server.published(APP).is_empty());
    // With MQTT 5, mosquitto_sub ends with DISCONNECT 0x04.
    Subscriber::start(&server, Version::V5, "sensor01", inbox, &will).stop();
    assert_will(&server.wait_published(APP, 1)[0], "sensor01");
}
