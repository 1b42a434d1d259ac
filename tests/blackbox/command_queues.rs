//! Commands that have to wait: queues, and who must not wait for whom.

use std::thread;

use crate::commands::{error, hand_over, with_sensor};
use crate::harness::Server;
use crate::harness::wait::until;
use crate::wire::encode::{acknowledgement, packet};
use crate::wire::{Client, Version, kind};

#[test]
fn commands_beyond_the_queue_are_refused_and_those_before_it_arrive_in_order() {
    let settings = "[limits]\nsend_maximum = 1\ncommand_queue = 3";
    let server = Server::builder().settings(settings).start_shared();
    let mut sensor = Client::device(&server, Version::V311, "sensor01");
    assert_eq!(sensor.subscribe("command/inbox//#", 1), 1);
    let mut accepted = Vec::new();
    for number in 0..10 {
        let name = format!("n{number}");
        let answer = hand_over(&server, &name);
        match answer.status {
            202 => accepted.push(format!("command/inbox//{name}")),
            _ => assert_eq!(error(answer, 409), "queue_full"),
        }
    }
    assert!((3..=5).contains(&accepted.len()), "{accepted:?}");
    for topic in &accepted {
        assert_eq!(&sensor.take_command().topic, topic);
    }
    sensor.ping();
    hand_over(&server, "again").expect_status(202);
    assert_eq!(sensor.take_command().topic, "command/inbox//again");
}

#[test]
fn publishes_of_a_full_window_do_not_hold_up_command_acknowledgements() {
    let (server, mut sensor) = with_sensor(Version::V5);
    thread::scope(|scope| {
        let sender = scope.spawn(|| server.command("sensor01", "x", b"").expect_status(200));
        let command = sensor.expect(kind::PUBLISH).delivery(Version::V5);
        // 100 publishes that stay in flight, as they are QoS 2 without PUBREL.
        for id in 1..=100 {
            let publish = crate::wire::Publish::new("t", b"1").qos(2, id);
            sensor.publish(&publish);
            assert_eq!(sensor.expect(kind::PUBREC).id(), id);
        }
        sensor.send(&acknowledgement(0x40, command.id.unwrap()));
        assert_eq!(sender.join().unwrap().json()["outcome"], "acknowledged");
    });
    sensor.ping();
}

/// A server whose gateway01 holds back its acknowledgement of a first command, so that all further
/// ones wait.
fn with_busy_gateway(queue: usize) -> (Server, Client, u16) {
    let settings = format!("[limits]\nsend_maximum = 1\ncommand_queue = {queue}");
    let server = Server::builder().settings(&settings).start_shared();
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    assert_eq!(gateway.subscribe("command/inbox/#", 1), 1);
    let answer = server.command_with("gateway01", "first", "&timeout=0", "text/plain", b"");
    answer.expect_status(202);
    let first = gateway.expect(kind::PUBLISH).delivery(Version::V5);
    (server, gateway, first.id.unwrap())
}

#[test]
fn a_gateway_that_loses_its_right_gets_nothing_that_was_handed_over_before() {
    let (server, mut gateway, first) = with_busy_gateway(32);
    let send = |device: &str, name: &str| {
        let answer = server.command_with(device, name, "&timeout=0", "text/plain", b"");
        answer.expect_status(202);
    };
    send("sensor02", "secret");
    send("gateway01", "own");
    let path = "/api/registry/v1alpha1/apps/app/devices/sensor02";
    let mut document = server.api().get(path).expect_status(200).json();
    document["spec"]["gatewaySelector"] = serde_json::json!({ "matchNames": [] });
    server.api().put_json(path, &document);
    gateway.send(&acknowledgement(0x40, first));
    assert_eq!(gateway.take_command().topic, "command/inbox//own");
    gateway.ping();
}

#[test]
fn a_command_that_its_subscription_was_taken_back_before_has_reached_nobody() {
    let (server, mut gateway, first) = with_busy_gateway(1);
    let send =
        |name: &str, query: &str| server.command_with("gateway01", name, query, "text/plain", b"");
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            until("room in the queue", || {
                let answer = send("waits", "&timeout=60");
                (answer.status != 409).then_some(answer)
            })
        });
        until("the command waits", || {
            (send("full", "&timeout=0.001").status == 409).then_some(())
        });
        let mut body = vec![0, 11, 0, 0, 15];
        body.extend(b"command/inbox/#");
        gateway.send(&packet(0xA2, &body));
        gateway.expect(11);
        gateway.send(&acknowledgement(0x40, first));
        assert_eq!(error(sender.join().unwrap(), 404), "not_connected");
    });
    gateway.ping();
}

#[test]
fn a_flood_of_commands_to_one_device_leaves_room_for_others_of_its_gateway() {
    let (server, mut gateway, first) = with_busy_gateway(3);
    let send = |device: &str, name: &str| {
        server
            .command_with(device, name, "&timeout=0", "text/plain", b"")
            .status
    };
    for _ in 0..3 {
        assert_eq!(send("sensor02", "flood"), 202);
    }
    assert_eq!(send("sensor02", "flood"), 409);
    assert_eq!(send("gateway01", "own"), 202);
    gateway.send(&acknowledgement(0x40, first));
    for _ in 0..3 {
        assert_eq!(gateway.take_command().topic, "command/inbox/sensor02/flood");
    }
    assert_eq!(gateway.take_command().topic, "command/inbox//own");
}
