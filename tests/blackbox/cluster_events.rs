//! Connection events and wills of devices that move between instances, as a consumer of all
//! instances' events sees them: a broker that each instance's sink publishes to.

use std::thread;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::cluster::{Fleet, await_other};
use crate::harness::documents::{password, shared_devices, user};
use crate::harness::recovery::Recovery;
use crate::harness::server::Builder;
use crate::harness::wait::until;
use crate::harness::{Server, ports};
use crate::rules::{Endpoint, set_rules};
use crate::tools::broker::{Broker, Reader};
use crate::tools::relay::Relay;
use crate::wire::{Client, Connect, Version, Will};

/// Instances that share everything, and the reader of their events.
pub(crate) struct World {
    pub(crate) fleet: Fleet,
    broker: Broker,
    reader: Reader,
}

impl World {
    pub(crate) fn new() -> Self {
        let broker = Broker::start("allow_anonymous true", &[]);
        let reader = broker.subscribe(&[]);
        Self {
            fleet: Fleet::new(),
            broker,
            reader,
        }
    }

    pub(crate) fn builder(&self, name: &str) -> Builder {
        self.builder_at(name, &self.fleet.nats.cluster())
    }

    /// With this line to the other instances.
    pub(crate) fn builder_at(&self, name: &str, cluster: &str) -> Builder {
        let sink = format!(
            "[[sinks]]\nname = \"all\"\ntype = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{}\"",
            self.broker.port()
        );
        let builder = self.fleet.postgres.instance(name);
        builder.settings(cluster).settings(&sink)
    }

    pub(crate) fn pair(&self) -> (Server, Server) {
        let one = self.builder("one").start_with("app", &shared_devices());
        let two = self.builder("two").start();
        await_other(&one);
        await_other(&two);
        (one, two)
    }

    /// What was said of sensor01, in order: channels, and connection events as `true` or `false`.
    fn story(&self) -> Vec<String> {
        let messages = self.reader.messages();
        let said = messages.iter().filter_map(|message| {
            let topic = message["topic"].as_str()?;
            let channel = topic.strip_prefix("events/app/sensor01/")?;
            Some(match &message["payload"]["connected"] {
                Value::Bool(connected) => connected.to_string(),
                _ => channel.to_owned(),
            })
        });
        said.collect()
    }

    #[track_caller]
    pub(crate) fn wait_story(&self, expected: &[&str]) {
        until(&format!("{expected:?}, not {:?}", self.story()), || {
            (self.story() == expected).then_some(())
        });
    }

    /// What was said before this is there when it returns.
    fn pass(&self, server: &Server) {
        let count = || {
            let messages = self.reader.messages();
            let of_gateway = messages
                .iter()
                .filter(|message| message["topic"] == "events/app/gateway01/connection");
            of_gateway.count()
        };
        let before = count();
        Client::device_as(server, Version::V5, "gateway01", "pass").disconnect();
        until("the gateway's events", || {
            (count() == before + 2).then_some(())
        });
    }
}

pub(crate) fn sensor(server: &Server, client_id: &str) -> Client {
    let connect = Connect::new(
        Version::V5,
        client_id,
        &user("sensor01"),
        password("sensor01"),
    );
    let connect = connect.will(Will::new("gone", b"{\"lost\":true}"));
    Client::accepted(server, &connect)
}

#[test]
fn a_take_over_says_gone_before_it_says_connected() {
    let world = World::new();
    let (one, two) = world.pair();
    let mut old = sensor(&one, "c");
    let mut new = sensor(&two, "c");
    old.expect_end(0x8E);
    new.ping();
    world.wait_story(&["true", "gone", "false", "true"]);
    let mut back = sensor(&one, "c");
    new.expect_end(0x8E);
    back.ping();
    back.disconnect();
    world.wait_story(&[
        "true", "gone", "false", "true", "gone", "false", "true", "false",
    ]);
}

#[test]
fn a_device_is_connected_from_its_first_connection_to_its_last_wherever_they_are() {
    let world = World::new();
    let (one, two) = world.pair();
    let first = sensor(&one, "1");
    let second = sensor(&two, "2");
    first.disconnect();
    world.pass(&one);
    world.pass(&two);
    world.wait_story(&["true"]);
    let third = sensor(&one, "3");
    second.disconnect();
    world.pass(&two);
    world.wait_story(&["true"]);
    third.disconnect();
    world.wait_story(&["true", "false"]);
}

#[test]
fn of_clients_that_connect_to_two_instances_at_once_one_says_connected() {
    let world = World::new();
    let port = ports::free();
    let relay = Relay::start(port, world.fleet.nats.port());
    let far = format!("[cluster]\nservers = [\"nats://127.0.0.1:{port}\"]");
    let one = world.builder("one").start_with("app", &shared_devices());
    let two = world.builder_at("two", &far).start();
    await_other(&one);
    await_other(&two);
    // Each is asked about the other's client while its own is arriving.
    relay.delay(DELAY);
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| sensor(&one, "1"));
        let second = sensor(&two, "2");
        (first.join().unwrap(), second)
    });
    relay.delay(0);
    world.pass(&one);
    world.pass(&two);
    world.wait_story(&["true"]);
    first.disconnect();
    world.pass(&one);
    world.wait_story(&["true"]);
    second.disconnect();
    world.wait_story(&["true", "false"]);
}

/// Two instances, and the port of the endpoint that is asked about wills: it is not there yet.
fn with_absent_endpoint(world: &World) -> (Server, Server, u16) {
    let one = world.builder("one").start_with("app", &shared_devices());
    let port = ports::free();
    let url = format!("http://127.0.0.1:{port}/check");
    let ask = json!({ "validate": { "endpoint": { "url": url } } });
    set_rules(
        &one,
        &json!([{ "when": { "isChannel": "gone" }, "then": [ask] }]),
    );
    let two = world.builder("two").start();
    await_other(&one);
    await_other(&two);
    (one, two, port)
}

fn accept(port: u16) -> Endpoint {
    Endpoint::start_at(port, |_, _| StatusCode::OK.into_response())
}

#[test]
fn a_will_that_is_too_late_for_a_take_over_is_not_said() {
    let world = World::new();
    let (one, two, port) = with_absent_endpoint(&world);
    let mut old = sensor(&two, "c");
    let mut new = sensor(&one, "c");
    old.expect_end(0x8E);
    new.ping();
    world.wait_story(&["true", "true"]);
    let _endpoint = accept(port);
    two.log().wait_for(0, &["will dropped", "superseded"]);
    world.pass(&two);
    world.wait_story(&["true", "true"]);
    new.disconnect();
    world.pass(&one);
    world.wait_story(&["true", "true", "false"]);
}

#[test]
fn a_device_is_not_gone_that_came_to_another_instance_while_its_last_will_waited() {
    let world = World::new();
    let (one, two, port) = with_absent_endpoint(&world);
    sensor(&two, "1").cut();
    let second = sensor(&one, "2");
    let _endpoint = accept(port);
    world.wait_story(&["true", "gone"]);
    world.pass(&two);
    world.wait_story(&["true", "gone"]);
    second.disconnect();
    world.wait_story(&["true", "gone", "false"]);
}

#[test]
fn an_instance_that_stops_says_gone_before_another_says_connected() {
    let world = World::new();
    let (mut one, two) = world.pair();
    let mut old = sensor(&one, "c");
    one.terminate();
    old.expect_end(0x8B);
    let new = sensor(&two, "c");
    world.wait_story(&["true", "gone", "false", "true"]);
    assert!(one.wait().success());
    new.disconnect();
    world.wait_story(&["true", "gone", "false", "true", "false"]);
}

#[test]
fn what_a_dead_instance_left_is_said_when_it_is_back_unless_the_device_has_gone_on() {
    let world = World::new();
    let (mut one, two) = world.pair();
    let mut lost = sensor(&one, "c");
    lost.publish_1("alive", b"1");
    one.kill();
    one.start_again();
    world.wait_story(&["true", "alive", "gone", "false"]);

    // Now it is at another instance by the time the dead one is back.
    await_other(&one);
    let mut lost = sensor(&one, "c");
    lost.publish_1("alive", b"1");
    one.kill();
    let new = sensor(&two, "c");
    one.start_again();
    one.log().wait_for(0, &["will dropped", "superseded"]);
    world.pass(&one);
    world.pass(&two);
    let told = ["true", "alive", "gone", "false", "true", "alive", "true"];
    world.wait_story(&told);
    new.disconnect();
    world.wait_story(&[&told[..], &["false"]].concat());
}

#[test]
fn an_instance_that_hung_says_nothing_of_a_session_that_was_taken_over_meanwhile() {
    let world = World::new();
    let (mut one, two) = world.pair();
    let mut old = sensor(&one, "c");
    old.publish_1("alive", b"1");
    one.signal(Signal::SIGSTOP);
    let mut new = sensor(&two, "c");
    new.publish_1("moved", b"1");
    one.signal(Signal::SIGCONT);
    old.expect_end(0x8E);
    one.log().wait_for(0, &["will dropped", "superseded"]);
    world.pass(&one);
    let told = ["true", "alive", "true", "moved"];
    world.wait_story(&told);
    new.disconnect();
    world.wait_story(&[&told[..], &["false"]].concat());
}

#[test]
fn after_a_partition_the_later_session_stays_and_is_not_contradicted() {
    let mut world = World::new();
    let (one, two) = world.pair();
    let (mark_one, mark_two) = (one.log().mark(), two.log().mark());
    world.fleet.nats.kill();
    one.log().wait_for(mark_one, &["another instance is gone"]);
    two.log().wait_for(mark_two, &["another instance is gone"]);
    let mut old = sensor(&one, "c");
    old.publish_1("one", b"1");
    let mut new = sensor(&two, "c");
    new.publish_1("two", b"1");
    let apart = ["true", "one", "true", "two"];
    world.wait_story(&apart);
    world.fleet.nats.start_again();
    old.expect_end(0x8E);
    one.log().wait_for(0, &["will dropped", "superseded"]);
    world.pass(&one);
    world.wait_story(&apart);
    new.ping();
    new.disconnect();
    world.wait_story(&[&apart[..], &["false"]].concat());
}

/// Milliseconds that bytes between the one instance and NATS are under way, and up to half as long
/// again: a claim, with what it waits for, has four such ways to go in its second.
const DELAY: u64 = 100;
/// There and back it takes longer than an instance is waited for.
const TOO_LONG: u64 = 700;

#[test]
fn a_slow_line_between_instances_delays_commands_and_take_overs_and_breaks_none() {
    let world = World::new();
    let port = ports::free();
    let relay = Relay::start(port, world.fleet.nats.port());
    relay.delay(DELAY);
    let far = format!("[cluster]\nservers = [\"nats://127.0.0.1:{port}\"]");
    let one = world.builder("one").start_with("app", &shared_devices());
    let two = world.builder_at("two", &far).start();
    await_other(&one);
    await_other(&two);

    let mut old = sensor(&one, "c");
    let mut new = sensor(&two, "c");
    old.expect_end(0x8E);
    new.ping();
    let mut told = vec!["true", "gone", "false", "true"];
    world.wait_story(&told);
    let mut back = sensor(&one, "c");
    new.expect_end(0x8E);
    back.ping();
    told.extend(["gone", "false", "true"]);
    world.wait_story(&told);

    assert_eq!(back.subscribe("command/inbox/#", 1), 1);
    let mut gateway = Client::device(&two, Version::V5, "gateway01");
    assert_eq!(gateway.subscribe("command/inbox//#", 1), 1);
    // From either end.
    let mut tries = 0;
    for number in 0..3 {
        let name = format!("c{number}");
        tries += reaches(&one, "gateway01", &name, &mut gateway);
        tries += reaches(&two, "sensor01", &name, &mut back);
    }
    assert!(tries <= 9, "{tries} tries for six commands");
    for server in [&one, &two] {
        let lines = server.log().lines().join("\n");
        assert!(!lines.contains("another instance is gone"), "{lines}");
    }

    // Beyond what is waited for: nobody has it, now or later.
    relay.delay(TOO_LONG);
    let lost = one.command("gateway01", "lost", b"");
    assert_eq!(lost.status, 404, "{}", lost.text());
    relay.delay(0);
    let recovery = Recovery::begin();
    reaches(&one, "gateway01", "again", &mut gateway);
    recovery.end("a slow line between instances");
}

/// A command that is handed in at this instance is the next that the device gets, wherever it is.
///
/// On a machine that is busy on top of the slow line, its sender may be told that nobody has it, and
/// tries again: then nobody had it. Returns how often it was handed in.
#[track_caller]
pub(crate) fn reaches(server: &Server, device: &str, name: &str, client: &mut Client) -> usize {
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut tries = 0;
            until("a command that arrives", || {
                let status = server.command(device, name, b"").status;
                assert!([200, 404].contains(&status), "{status}");
                tries += 1;
                (status == 200).then_some(tries)
            })
        });
        let topic = format!("command/inbox//{name}");
        assert_eq!(client.take_command().topic, topic);
        sender.join().unwrap()
    })
}
