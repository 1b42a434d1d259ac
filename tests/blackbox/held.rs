//! Commands that are held for devices that are not there.

use std::thread;

use serde_json::Value;

use crate::harness::Server;
use crate::harness::api::Answer;
use crate::harness::documents::{self, APP, SENSOR_PASSWORD};
use crate::harness::wait::until;
use crate::wire::{Client, Version, kind};

/// Hands in a command to be held.
fn hold(server: &Server, device: &str, name: &str, query: &str) -> Answer {
    server.command_with(device, name, query, "text/plain", name.as_bytes())
}

/// Hands in a command that is held, as nobody is there; its number.
fn held(server: &Server, device: &str, name: &str) -> String {
    let answer = hold(server, device, name, "&ttl=3600")
        .expect_status(202)
        .json();
    assert_eq!(answer["outcome"], "held", "{answer:#}");
    answer["held"]["id"].as_str().expect("a number").to_owned()
}

fn path(device: &str) -> String {
    format!("/api/command/v1alpha1/apps/{APP}/devices/{device}/held")
}

/// The names of the commands that are held for a device.
fn waiting(server: &Server, device: &str) -> Vec<String> {
    let Value::Array(list) = server.api().get(&path(device)).expect_status(200).json() else {
        panic!("no list")
    };
    let name = |held: &Value| held["command"].as_str().expect("a name").to_owned();
    list.iter().map(name).collect()
}

fn wait_until_nothing_is_held(server: &Server, device: &str) {
    until("the last held command's end", || {
        waiting(server, device).is_empty().then_some(())
    });
}

fn subscribed(server: &Server, version: Version, device: &str) -> Client {
    let mut client = Client::device(server, version, device);
    assert_eq!(client.subscribe("command/inbox/#", 1), 1);
    client
}

#[test]
fn held_commands_are_delivered_in_order_when_the_device_subscribes() {
    let server = Server::shared();
    for version in Version::ALL {
        for name in ["one", "two", "three"] {
            held(&server, "sensor01", name);
        }
        assert_eq!(waiting(&server, "sensor01"), ["one", "two", "three"]);
        let mut sensor = subscribed(&server, version, "sensor01");
        for name in ["one", "two", "three"] {
            let command = sensor.take_command();
            assert_eq!(command.topic, format!("command/inbox//{name}"));
            assert_eq!(command.payload, name.as_bytes());
        }
        wait_until_nothing_is_held(&server, "sensor01");
        sensor.ping();
        sensor.disconnect();
    }
}

#[test]
fn what_is_held_is_there_after_a_crash() {
    let mut server = Server::shared();
    held(&server, "sensor01", "one");
    held(&server, "sensor01", "two");
    server.kill();
    server.start_again();
    assert_eq!(waiting(&server, "sensor01"), ["one", "two"]);
    held(&server, "sensor01", "three");
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    for name in ["one", "two", "three"] {
        assert_eq!(sensor.take_command().payload, name.as_bytes());
    }
    wait_until_nothing_is_held(&server, "sensor01");
}

#[test]
fn a_connected_device_takes_it_at_once_and_the_sender_learns() {
    let server = Server::shared();
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    thread::scope(|scope| {
        let sender = scope.spawn(|| hold(&server, "sensor01", "now", "&ttl=60"));
        let command = sensor.take_command();
        // Message Expiry Interval: what is left of its time.
        let expiry = command.property(0x02).expect("an expiry");
        let expiry = u32::from_be_bytes(expiry.try_into().unwrap());
        assert!((1..=60).contains(&expiry), "{expiry}");
        let answer = sender.join().unwrap().expect_status(200).json();
        assert_eq!(answer["outcome"], "acknowledged", "{answer:#}");
    });
    assert!(waiting(&server, "sensor01").is_empty());
}

#[test]
fn what_a_device_does_not_acknowledge_stays_and_comes_again_on_its_next_connection_alone() {
    let server = Server::shared();
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    let answer = hold(&server, "sensor01", "one", "&ttl=3600&timeout=0.3").expect_status(202);
    assert_eq!(answer.json()["outcome"], "held");
    held_next(&server);
    assert_eq!(
        sensor.expect(kind::PUBLISH).delivery(Version::V5).payload,
        b"one"
    );
    // Neither again nor the next one before it is acknowledged.
    assert_eq!(sensor.subscribe("command/inbox//#", 1), 1);
    sensor.ping();
    assert_eq!(waiting(&server, "sensor01"), ["one", "two"]);
    sensor.cut();

    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    assert_eq!(sensor.take_command().payload, b"one");
    assert_eq!(sensor.take_command().payload, b"two");
    wait_until_nothing_is_held(&server, "sensor01");
}

/// A second command, behind one that waits for its acknowledgement.
fn held_next(server: &Server) {
    let answer = hold(server, "sensor01", "two", "&ttl=3600&timeout=0").expect_status(202);
    assert_eq!(answer.json()["outcome"], "held");
}

#[test]
fn a_command_that_is_not_acknowledged_in_its_time_makes_way_for_the_next() {
    let server = Server::shared();
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    // Handed in while the first is on its way.
    for (name, life) in [("one", 3), ("two", 8), ("three", 3600)] {
        let query = format!("&ttl={life}&timeout=0");
        let answer = hold(&server, "sensor01", name, &query).expect_status(202);
        assert_eq!(answer.json()["outcome"], "held");
    }
    for name in ["one", "two", "three"] {
        let delivery = sensor.expect(kind::PUBLISH).delivery(Version::V5);
        assert_eq!(delivery.payload, name.as_bytes());
    }
    assert_eq!(waiting(&server, "sensor01"), ["three"]);
}

#[test]
fn a_command_whose_time_is_over_is_not_delivered() {
    let server = Server::shared();
    let answer = hold(&server, "sensor01", "old", "&ttl=1").expect_status(202);
    assert_eq!(answer.json()["outcome"], "held");
    wait_until_nothing_is_held(&server, "sensor01");
    held(&server, "sensor01", "new");
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    assert_eq!(sensor.take_command().payload, b"new");
}

#[test]
fn a_revoked_command_is_not_delivered() {
    let server = Server::shared();
    let one = held(&server, "sensor01", "one");
    held(&server, "sensor01", "two");
    let revoke = |device: &str, id: &str| {
        let path = format!("{}/{id}", path(device));
        server.api().delete(&path).status
    };
    assert_eq!(revoke("sensor02", &one), 404, "other");
    assert_eq!(revoke("sensor01", "none"), 404);
    assert_eq!(revoke("sensor01", &one), 204);
    assert_eq!(revoke("sensor01", &one), 404);
    assert_eq!(waiting(&server, "sensor01"), ["two"]);
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    assert_eq!(sensor.take_command().payload, b"two");
}

#[test]
fn a_gateway_takes_what_is_held_for_the_devices_that_select_it() {
    let server = Server::shared();
    held(&server, "sensor02", "far");
    held(&server, "sensor03", "elsewhere");
    let mut gateway = subscribed(&server, Version::V5, "gateway01");
    assert_eq!(gateway.take_command().topic, "command/inbox/sensor02/far");
    wait_until_nothing_is_held(&server, "sensor02");
    gateway.ping();
    assert_eq!(waiting(&server, "sensor03"), ["elsewhere"]);
}

#[test]
fn a_device_that_is_created_anew_gets_nothing_that_was_held_for_the_old_one() {
    let server = Server::shared();
    held(&server, "sensor01", "old");
    let device = format!("/api/registry/v1alpha1/apps/{APP}/devices/sensor01");
    assert_eq!(server.api().delete(&device).status, 204);
    assert_eq!(server.api().get(&path("sensor01")).status, 404);
    let document = documents::device("sensor01", SENSOR_PASSWORD);
    server.create_device(APP, &document).expect_status(201);
    assert!(waiting(&server, "sensor01").is_empty());
    held(&server, "sensor01", "new");
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    assert_eq!(sensor.take_command().payload, b"new");
}

#[test]
fn as_many_are_held_as_the_limits_say() {
    let server = Server::builder()
        .settings("[limits]\nheld_commands = 2")
        .start_shared();
    held(&server, "sensor01", "one");
    held(&server, "sensor01", "two");
    let full = hold(&server, "sensor01", "three", "&ttl=60").expect_status(409);
    assert_eq!(full.json()["error"], "queue_full");
    held(&server, "sensor02", "other");
}

#[test]
fn what_can_never_be_delivered_is_not_held() {
    let server = Server::shared();
    let refused = |device: &str, name: &str, status: u16, error: &str| {
        let answer = hold(&server, device, name, "&ttl=60").expect_status(status);
        assert_eq!(answer.json()["error"], error);
    };
    refused("nobody", "x", 404, "unknown_device");
    refused("sensor01", "a%2Fb", 400, "bad_command_name");
    let answer = hold(&server, "sensor01", "x", "&ttl=60&response=true");
    answer.expect_status(400);
}
