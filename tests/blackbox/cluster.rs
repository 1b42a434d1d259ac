//! Several servers over one PostgreSQL and one NATS, which are one to devices and applications.

use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::Server;
use crate::harness::api::Answer;
use crate::harness::documents::{APP, password, user};
use crate::harness::recovery::Recovery;
use crate::harness::wait::until;
use crate::tools::nats::Nats;
use crate::tools::postgres::Postgres;
use crate::wire::encode::correlation;
use crate::wire::{Client, Connect, Publish, Version, kind};

/// What the instances share.
pub(crate) struct Fleet {
    pub(crate) nats: Nats,
    pub(crate) postgres: Postgres,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self {
            nats: Nats::start(),
            postgres: Postgres::start(),
        }
    }

    pub(crate) fn first(&self, name: &str) -> Server {
        let builder = self.postgres.instance(name);
        builder.settings(&self.nats.cluster()).start_shared()
    }

    pub(crate) fn further(&self, name: &str) -> Server {
        let builder = self.postgres.instance(name);
        builder.settings(&self.nats.cluster()).start()
    }

    pub(crate) fn pair(&self) -> (Server, Server) {
        let one = self.first("one");
        let two = self.further("two");
        await_other(&one);
        await_other(&two);
        (one, two)
    }
}

pub(crate) fn await_other(server: &Server) {
    server.log().wait_for(0, &["another instance is there"]);
}

pub(crate) fn subscribed(server: &Server, version: Version, device: &str) -> Client {
    let mut client = Client::device(server, version, device);
    assert_eq!(client.subscribe("command/inbox/#", 1), 1);
    client
}

pub(crate) fn error(answer: Answer, status: u16) -> String {
    let error = answer.expect_status(status).json();
    error["error"].as_str().expect("an error name").to_owned()
}

/// Who is connected to what, by the word of one instance.
fn connections(server: &Server) -> Vec<(String, String)> {
    let path = format!("/api/connections/v1alpha1/apps/{APP}");
    let Value::Array(list) = server.api().get(&path).expect_status(200).json() else {
        panic!("no list")
    };
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    list.iter()
        .map(|entry| (text(&entry["device"]), text(&entry["instance"])))
        .collect()
}

#[test]
fn a_command_reaches_its_device_wherever_it_is_handed_in() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    for version in Version::ALL {
        let mut sensor = subscribed(&two, version, "sensor01");
        thread::scope(|scope| {
            let sender = scope.spawn(|| one.command("sensor01", "set", b"21"));
            let command = sensor.take_command();
            assert_eq!(command.topic, "command/inbox//set");
            assert_eq!(command.payload, b"21");
            let outcome = sender.join().unwrap().expect_status(200).json();
            assert_eq!(outcome["outcome"], "acknowledged", "{outcome:#}");
            assert_eq!(outcome["deliveries"][0]["instance"], "two");
            assert_eq!(outcome["deliveries"][0]["via"], "sensor01");
        });
        let accepted = one.command_with("sensor01", "now", "&timeout=0", "text/plain", b"");
        assert_eq!(accepted.status, 202);
        assert_eq!(sensor.take_command().topic, "command/inbox//now");
        sensor.disconnect();
    }
}

#[test]
fn all_connections_on_all_instances_get_it_and_the_answer_names_them() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let client = |server, tag| {
        let mut client = Client::device_as(server, Version::V5, "gateway01", tag);
        assert_eq!(client.subscribe("command/inbox/#", 1), 1);
        client
    };
    let mut clients = [client(&one, "a"), client(&two, "b")];
    thread::scope(|scope| {
        let sender = scope.spawn(|| one.command("sensor02", "x", b""));
        for client in &mut clients {
            assert_eq!(client.take_command().topic, "command/inbox/sensor02/x");
        }
        let outcome = sender.join().unwrap().expect_status(200).json();
        let deliveries = outcome["deliveries"].as_array().unwrap();
        let mut instances: Vec<_> = deliveries
            .iter()
            .map(|delivery| delivery["instance"].as_str().unwrap())
            .collect();
        instances.sort_unstable();
        assert_eq!(instances, ["one", "two"], "{outcome:#}");
    });
}

#[test]
fn a_command_does_not_wait_for_what_its_instance_looks_up_for_others() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let mut sensor = subscribed(&two, Version::V5, "sensor01");
    let mut deliver = || {
        thread::scope(|scope| {
            let sender = scope.spawn(|| one.command("sensor01", "set", b""));
            assert_eq!(sensor.take_command().topic, "command/inbox//set");
            sender.join().unwrap().expect_status(200);
        });
    };
    deliver();
    // The first instance knows this device, and the second has to look.
    Client::device(&one, Version::V5, "gateway01").disconnect();
    let held = fleet.postgres.hold_documents();
    thread::scope(|scope| {
        let other = scope.spawn(|| one.command("gateway01", "set", b""));
        while !other.is_finished() {
            deliver();
        }
        assert_eq!(error(other.join().unwrap(), 404), "not_connected");
    });
    drop(held);
}

#[test]
fn an_answer_comes_back_through_the_other_instance() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let mut sensor = subscribed(&two, Version::V5, "sensor01");
    thread::scope(|scope| {
        let sender = scope
            .spawn(|| one.command_with("sensor01", "get", "&response=true", "text/plain", b""));
        let command = sensor.take_command();
        let data = command.property(0x09).expect("correlation data");
        let answer = Publish::new("command/response//get", b"\xff21").qos(1, 1);
        sensor.publish(&answer.properties(&correlation(data)));
        assert_eq!(sensor.expect(kind::PUBACK).reason(), 0);
        let answer = sender.join().unwrap().expect_status(200);
        assert_eq!(answer.body, b"\xff21");
        assert_eq!(answer.header("landfall-via"), Some("sensor01"));
    });
}

#[test]
fn failures_elsewhere_are_told_as_those_here() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let send =
        |query: &str, body: &[u8]| one.command_with("sensor01", "x", query, "text/plain", body);
    assert_eq!(error(send("", b""), 404), "not_connected");
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), password("sensor01"));
    // Maximum Packet Size of 100 bytes.
    let connect = Connect {
        properties: vec![0x27, 0, 0, 0, 100],
        ..connect
    };
    let mut sensor = Client::accepted(&two, &connect);
    assert_eq!(error(send("", b""), 404), "not_subscribed");
    assert_eq!(sensor.subscribe("command/inbox/#", 1), 1);
    assert_eq!(error(send("", &[b'x'; 100]), 413), "too_large");
    assert_eq!(error(send("&timeout=0.5", b""), 504), "no_acknowledgement");
}

#[test]
fn a_device_that_connects_elsewhere_takes_over_from_its_old_connection() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    for version in Version::ALL {
        let mut old = Client::device(&one, version, "sensor01");
        let mut new = Client::device(&two, version, "sensor01");
        old.expect_end(0x8E);
        new.ping();
        let mut back = Client::device(&one, version, "sensor01");
        new.expect_end(0x8E);
        back.ping();
        back.disconnect();
    }
    let mut other = Client::device_as(&one, Version::V5, "sensor01", "other");
    let mut same = Client::device_as(&two, Version::V5, "sensor01", "one");
    same.ping();
    other.ping();
}

#[test]
fn any_instance_lists_the_connections_of_all() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let _sensor = Client::device(&one, Version::V5, "sensor01");
    let _gateway = Client::device(&two, Version::V5, "gateway01");
    let pair = |device: &str, instance: &str| (device.to_owned(), instance.to_owned());
    let expected = [pair("gateway01", "two"), pair("sensor01", "one")];
    for server in [&one, &two] {
        assert_eq!(connections(server), expected);
    }
    let path = format!("/api/connections/v1alpha1/apps/{APP}?limit=1");
    let page = one.api().get(&path).expect_status(200);
    assert_eq!(page.header("landfall-continue"), Some("gateway01"));
    let page = one.api().get(&format!("{path}&continue=gateway01"));
    assert_eq!(page.json()[0]["device"], "sensor01");
    assert_eq!(page.header("landfall-continue"), None);
}

#[test]
fn what_is_held_here_is_delivered_where_the_device_subscribes() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let held = one.command_with("sensor02", "far", "&ttl=3600", "text/plain", b"");
    assert_eq!(held.expect_status(202).json()["outcome"], "held");
    let mut gateway = subscribed(&two, Version::V5, "gateway01");
    assert_eq!(gateway.take_command().topic, "command/inbox/sensor02/far");
    let path = format!("/api/command/v1alpha1/apps/{APP}/devices/sensor02/held");
    until("the end of what was held", || {
        let held = one.api().get(&path).expect_status(200).json();
        held.as_array().unwrap().is_empty().then_some(())
    });
}

#[test]
fn one_of_three_is_killed_one_frozen_and_one_restarted() {
    let fleet = Fleet::new();
    let one = fleet.first("one");
    let mut two = fleet.further("two");
    let mut three = fleet.further("three");
    await_other(&two);
    await_other(&three);
    let _sensor = subscribed(&two, Version::V5, "sensor01");
    let mut gateway = subscribed(&three, Version::V5, "gateway01");
    until("both others", || {
        (connections(&one).len() == 2).then_some(())
    });

    // A crash: nobody has to wait for it, and its device is reached on its next connection.
    two.kill();
    until("the end of the killed one", || {
        let answer = one.command("sensor01", "x", b"");
        (answer.status == 404).then_some(())
    });
    let mut sensor = subscribed(&one, Version::V5, "sensor01");

    // Frozen: it holds up nobody for long, and is asked again when it goes on.
    let mark = one.log().mark();
    three.signal(Signal::SIGSTOP);
    let list = format!("/api/connections/v1alpha1/apps/{APP}");
    let list = one.api().get(&list).expect_status(200);
    // The other one may not have been given up yet.
    let missing = list.header("landfall-incomplete").expect("who is missing");
    assert!(missing.contains("three"), "{missing}");
    // Whether or not it has been given up on: nobody has this command, now or later.
    assert_eq!(
        error(one.command("gateway01", "lost", b""), 404),
        "not_connected"
    );
    one.log()
        .wait_for(mark, &["another instance is gone", "\"three\""]);
    assert_eq!(
        error(one.command("gateway01", "x", b""), 404),
        "not_connected"
    );
    thread::scope(|scope| {
        let sender = scope.spawn(|| one.command("sensor01", "here", b""));
        assert_eq!(sensor.take_command().topic, "command/inbox//here");
        assert_eq!(sender.join().unwrap().status, 200);
    });
    let mark = one.log().mark();
    three.signal(Signal::SIGCONT);
    let recovery = Recovery::begin();
    one.log()
        .wait_for(mark, &["another instance is there", "\"three\""]);
    thread::scope(|scope| {
        let sender = scope.spawn(|| one.command("gateway01", "again", b""));
        assert_eq!(gateway.take_command().topic, "command/inbox//again");
        assert_eq!(sender.join().unwrap().status, 200);
    });
    recovery.end("an instance that was frozen");

    // Restarted: it is found, and finds the others.
    let recovery = Recovery::begin();
    two.start_again();
    two.log()
        .wait_for(0, &["another instance is there", "\"three\""]);
    thread::scope(|scope| {
        let sender = scope.spawn(|| two.command("gateway01", "from-two", b""));
        assert_eq!(gateway.take_command().topic, "command/inbox//from-two");
        assert_eq!(sender.join().unwrap().status, 200);
    });
    recovery.end("an instance that was killed");
}

#[test]
fn without_nats_each_instance_goes_on_alone_until_it_is_back() {
    let mut fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let mut sensor = subscribed(&one, Version::V5, "sensor01");
    let mut gateway = subscribed(&two, Version::V5, "gateway01");
    let mark = one.log().mark();
    fleet.nats.kill();
    one.log().wait_for(mark, &["another instance is gone"]);
    thread::scope(|scope| {
        let sender = scope.spawn(|| one.command("sensor01", "here", b""));
        assert_eq!(sensor.take_command().topic, "command/inbox//here");
        assert_eq!(sender.join().unwrap().status, 200);
    });
    assert_eq!(
        error(one.command("gateway01", "x", b""), 404),
        "not_connected"
    );
    let mark = one.log().mark();
    fleet.nats.start_again();
    let recovery = Recovery::begin();
    one.log().wait_for(mark, &["another instance is there"]);
    thread::scope(|scope| {
        let sender = scope.spawn(|| one.command("gateway01", "again", b""));
        assert_eq!(gateway.take_command().topic, "command/inbox//again");
        assert_eq!(sender.join().unwrap().status, 200);
    });
    recovery.end("instances that were cut off from each other");
}
