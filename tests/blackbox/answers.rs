//! Commands whose senders wait for the device's answer.

use std::thread::{self, ScopedJoinHandle};

use serde_json::json;

use crate::harness::Server;
use crate::harness::api::Answer;
use crate::harness::documents::APP;
use crate::wire::encode::{acknowledgement, correlation, string_property};
use crate::wire::packet::Delivery;
use crate::wire::{Client, Publish, Version, kind};

const TAKEN: u8 = 0;
/// No matching subscribers: nobody waits for it.
const UNWANTED: u8 = 0x10;

const RESPONSE_TOPIC: u8 = 0x08;
const CORRELATION_DATA: u8 = 0x09;

/// Asks a device, and waits in a thread.
fn ask<'s>(
    scope: &'s thread::Scope<'s, '_>,
    server: &'s Server,
    device: &'static str,
    query: &'static str,
) -> ScopedJoinHandle<'s, Answer> {
    scope.spawn(move || {
        let query = format!("&response=true{query}");
        server.command_with(device, "get", &query, "text/plain", b"what")
    })
}

fn error(answer: Answer, status: u16) -> String {
    let error = answer.expect_status(status).json();
    error["error"].as_str().expect("an error name").to_owned()
}

/// The answer that MQTT 5 asks for: to the response topic, with the correlation data.
fn reply(command: &Delivery, payload: &[u8], id: u16) -> Publish {
    let topic = command.property(RESPONSE_TOPIC).expect("a response topic");
    let data = command
        .property(CORRELATION_DATA)
        .expect("correlation data");
    Publish::new(std::str::from_utf8(topic).unwrap(), payload)
        .qos(1, id)
        .properties(&correlation(data))
}

/// Publishes, and returns what the acknowledgement says.
fn publish(client: &mut Client, publish: &Publish) -> u8 {
    client.publish(publish);
    client.expect(kind::PUBACK).reason()
}

fn subscribed(server: &Server, version: Version, device: &str) -> Client {
    let mut client = Client::device(server, version, device);
    assert_eq!(client.subscribe("command/inbox/#", 1), 1);
    client
}

#[test]
fn the_answer_of_an_mqtt_5_device_reaches_the_sender_with_its_content_type() {
    let server = Server::shared();
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    for (properties, payload, content_type) in [
        (string_property(0x03, "text/csv"), &b"1,2"[..], "text/csv"),
        (Vec::new(), b"{\"t\":21}", "application/json"),
        (Vec::new(), b"\xff\x00", "application/octet-stream"),
    ] {
        thread::scope(|scope| {
            let sender = ask(scope, &server, "sensor01", "");
            let command = sensor.take_command();
            assert_eq!(command.payload, b"what");
            let mut answer = reply(&command, payload, 7);
            assert_eq!(answer.topic, "command/response//get");
            answer.properties.extend(properties);
            assert_eq!(publish(&mut sensor, &answer), TAKEN);
            let answer = sender.join().unwrap().expect_status(200);
            assert_eq!(answer.body, payload);
            assert_eq!(answer.header("content-type"), Some(content_type));
            assert_eq!(answer.header("landfall-via"), Some("sensor01"));
        });
    }
    assert!(server.published(APP).is_empty(), "answers are no events");
}

#[test]
fn a_3_x_device_answers_on_the_topic_with_response_in_the_place_of_inbox() {
    let server = Server::shared();
    for version in [Version::V31, Version::V311] {
        let mut sensor = subscribed(&server, version, "sensor01");
        for qos in [0, 1] {
            thread::scope(|scope| {
                let sender = ask(scope, &server, "sensor01", "");
                let topic = sensor.take_command().topic.replace("inbox", "response");
                sensor.publish(&Publish::new(&topic, b"21").qos(qos, u16::from(qos)));
                if qos > 0 {
                    sensor.expect(kind::PUBACK);
                }
                assert_eq!(sender.join().unwrap().expect_status(200).body, b"21");
            });
        }
        sensor.disconnect();
    }
    assert!(server.published(APP).is_empty());
}

#[test]
fn an_answer_at_qos_2_is_acknowledged_in_full() {
    let server = Server::shared();
    let mut sensor = subscribed(&server, Version::V311, "sensor01");
    thread::scope(|scope| {
        let sender = ask(scope, &server, "sensor01", "");
        sensor.take_command();
        sensor.publish(&Publish::new("command/response//get", b"2").qos(2, 9));
        assert_eq!(sensor.expect(kind::PUBREC).id(), 9);
        sensor.send(&acknowledgement(0x62, 9));
        assert_eq!(sensor.expect(kind::PUBCOMP).id(), 9);
        assert_eq!(sender.join().unwrap().expect_status(200).body, b"2");
    });
}

#[test]
fn a_gateway_answers_for_the_device() {
    let server = Server::shared();
    for version in [Version::V311, Version::V5] {
        let mut gateway = subscribed(&server, version, "gateway01");
        thread::scope(|scope| {
            let sender = ask(scope, &server, "sensor02", "");
            let command = gateway.take_command();
            let answer = match version.is_5() {
                true => reply(&command, b"on", 3),
                false => Publish::new("command/response/sensor02/get", b"on").qos(1, 3),
            };
            assert_eq!(answer.topic, "command/response/sensor02/get");
            assert_eq!(publish(&mut gateway, &answer), TAKEN);
            let answer = sender.join().unwrap().expect_status(200);
            assert_eq!(answer.body, b"on");
            assert_eq!(answer.header("landfall-via"), Some("gateway01"));
        });
    }
}

#[test]
fn a_late_answer_reaches_nobody_and_ends_no_connection() {
    let server = Server::shared();
    for version in [Version::V311, Version::V5] {
        let mut sensor = subscribed(&server, version, "sensor01");
        let command = thread::scope(|scope| {
            let sender = ask(scope, &server, "sensor01", "&timeout=0.5");
            let command = sensor.take_command();
            assert_eq!(error(sender.join().unwrap(), 504), "no_answer");
            command
        });
        let late = match version.is_5() {
            true => reply(&command, b"late", 1),
            false => Publish::new("command/response//get", b"late").qos(1, 1),
        };
        let told = publish(&mut sensor, &late);
        assert_eq!(told, if version.is_5() { UNWANTED } else { 0 });
        sensor.ping();
        sensor.disconnect();
    }
    assert!(server.published(APP).is_empty());
}

#[test]
fn of_two_answers_the_first_counts() {
    let server = Server::shared();
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    thread::scope(|scope| {
        let sender = ask(scope, &server, "sensor01", "");
        let command = sensor.take_command();
        assert_eq!(publish(&mut sensor, &reply(&command, b"1", 1)), TAKEN);
        assert_eq!(publish(&mut sensor, &reply(&command, b"2", 2)), UNWANTED);
        assert_eq!(sender.join().unwrap().expect_status(200).body, b"1");
    });
}

#[test]
fn nobody_else_can_answer() {
    let server = Server::shared();
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    thread::scope(|scope| {
        let sender = ask(scope, &server, "sensor01", "");
        let command = sensor.take_command();
        let stolen = reply(&command, b"false", 1);
        assert_eq!(publish(&mut gateway, &stolen), UNWANTED);
        let named = Publish {
            topic: "command/response/sensor01/get".to_owned(),
            ..stolen
        };
        assert_eq!(publish(&mut gateway, &named), UNWANTED);
        // Nor does the device's own answer to another request count.
        let other = Publish::new("command/response//get", b"false").qos(1, 2);
        let other = other.properties(&correlation(b"another request"));
        assert_eq!(publish(&mut sensor, &other), UNWANTED);
        assert_eq!(publish(&mut sensor, &reply(&command, b"true", 3)), TAKEN);
        assert_eq!(sender.join().unwrap().expect_status(200).body, b"true");
    });
}

#[test]
fn several_requests_at_once_are_told_apart() {
    let server = Server::shared();
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    thread::scope(|scope| {
        let send = |body: &'static [u8]| {
            let server = &server;
            scope.spawn(move || {
                server.command_with("sensor01", "get", "&response=true", "text/plain", body)
            })
        };
        let senders = [send(b"a"), send(b"b"), send(b"c")];
        let mut commands: Vec<_> = (0..3).map(|_| sensor.take_command()).collect();
        commands.reverse();
        for (command, id) in commands.iter().zip(1..) {
            let answer = reply(command, &command.payload, id);
            assert_eq!(publish(&mut sensor, &answer), TAKEN);
        }
        for (sender, body) in senders.into_iter().zip([b"a", b"b", b"c"]) {
            assert_eq!(sender.join().unwrap().expect_status(200).body, body);
        }
    });
}

#[test]
fn in_the_plain_topic_dialect_only_correlation_data_makes_an_answer() {
    let server = Server::shared();
    let path = format!("/api/registry/v1alpha1/apps/{APP}");
    let mut document = server.api().get(&path).expect_status(200).json();
    document["spec"]["mqtt"] = json!({ "dialect": { "type": "plainTopic" } });
    server.api().put_json(&path, &document);

    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    thread::scope(|scope| {
        let sender = ask(scope, &server, "sensor01", "");
        let command = sensor.take_command();
        let event = Publish::new("command/response//get", b"an event").qos(1, 1);
        assert_eq!(publish(&mut sensor, &event), TAKEN);
        assert_eq!(publish(&mut sensor, &reply(&command, b"1", 2)), TAKEN);
        assert_eq!(sender.join().unwrap().expect_status(200).body, b"1");
    });
    let events = server.wait_published(APP, 1);
    assert_eq!(events[0]["subject"], "command/response//get");
    sensor.disconnect();

    let mut old = subscribed(&server, Version::V311, "sensor01");
    let answer = server.command_with("sensor01", "get", "&response=true", "text/plain", b"");
    assert_eq!(error(answer, 409), "cannot_answer");
    old.ping();
}

#[test]
fn a_connection_that_is_lost_ends_the_wait() {
    let server = Server::shared();
    let mut sensor = subscribed(&server, Version::V5, "sensor01");
    thread::scope(|scope| {
        let sender = ask(scope, &server, "sensor01", "&timeout=60");
        sensor.take_command();
        sensor.ping();
        sensor.cut();
        assert_eq!(error(sender.join().unwrap(), 504), "no_answer");
    });
}
