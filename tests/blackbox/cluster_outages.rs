//! The line between instances is away, under load or without a word: none of what an instance does alone
//! waits for it.

use crate::cluster::{await_other, error, subscribed};
use crate::cluster_events::{World, reaches, sensor};
use crate::harness::documents::shared_devices;
use crate::harness::recovery::Recovery;
use crate::harness::{Server, ports};
use crate::tools::relay::Relay;
use crate::wire::encode::Subscribe;
use crate::wire::{Client, Version, kind};

/// More than the NATS client keeps for a connection that is away.
const MANY: u16 = 4_000;

/// Others are told of each subscription.
fn subscribe_many_times(client: &mut Client) {
    let all: Vec<u8> = (1..=MANY)
        .flat_map(|id| {
            let subscribe = Subscribe {
                id,
                filters: &[("command/inbox//#", 1)],
                properties: &[],
            };
            subscribe.encode(client.version())
        })
        .collect();
    client.send(&all);
    for id in 1..=MANY {
        assert_eq!(client.expect(kind::SUBACK).id(), id);
    }
}

/// A device comes, is sent a command, and is lost; a command for a device elsewhere is answered.
fn goes_on_alone(world: &World, server: &Server) {
    let mut client = sensor(server, "c");
    world.wait_story(&["true"]);
    assert_eq!(client.subscribe("command/inbox//#", 1), 1);
    reaches(server, "sensor01", "here", &mut client);
    assert_eq!(
        error(server.command("sensor03", "far", b""), 404),
        "not_connected"
    );
    client.cut();
    world.wait_story(&["true", "gone", "false"]);
}

#[test]
fn without_nats_under_load_log_ins_ends_and_commands_go_on() {
    let mut world = World::new();
    let (one, two) = world.pair();
    let mut gateway = Client::device(&one, Version::V5, "gateway01");
    let mark = one.log().mark();
    world.fleet.nats.kill();
    // Before the other instance is given up.
    subscribe_many_times(&mut gateway);
    goes_on_alone(&world, &one);
    one.log().wait_for(mark, &["another instance is gone"]);

    let mark = one.log().mark();
    world.fleet.nats.start_again();
    let recovery = Recovery::begin();
    one.log().wait_for(mark, &["another instance is there"]);
    reaches(&two, "gateway01", "again", &mut gateway);
    recovery.end("an outage of NATS under load");
}

/// An instance whose way to NATS can be cut by itself.
fn behind_a_relay(world: &World) -> (Server, Relay) {
    let port = ports::free();
    let relay = Relay::start(port, world.fleet.nats.port());
    let far = format!("[cluster]\nservers = [\"nats://127.0.0.1:{port}\"]");
    let one = world
        .builder_at("one", &far)
        .start_with("app", &shared_devices());
    (one, relay)
}

#[test]
fn on_a_line_that_fell_silent_log_ins_ends_and_commands_go_on_until_it_is_noticed() {
    let world = World::new();
    let (one, relay) = behind_a_relay(&world);
    let two = world.builder("two").start();
    await_other(&one);
    await_other(&two);
    let mut gateway = subscribed(&two, Version::V5, "gateway01");
    let mark = one.log().mark();
    relay.fall_silent();
    goes_on_alone(&world, &one);
    one.log().wait_for(mark, &["another instance is gone"]);

    // The old connection stays as it is.
    let mark = one.log().mark();
    relay.mend();
    let recovery = Recovery::begin();
    one.log().wait_for(mark, &["another instance is there"]);
    reaches(&one, "gateway01", "again", &mut gateway);
    recovery.end("a line between instances that fell silent");
}

/// Waits until an instance says this of each of these others.
fn await_word(server: &Server, mark: usize, word: &str, others: &[&str]) {
    for other in others {
        let instance = format!("instance=\"{other}\"");
        server.log().wait_for(mark, &[word, &instance]);
    }
}

#[test]
fn one_of_three_that_is_cut_off_from_nats_goes_on_alone_and_the_others_without_it() {
    let world = World::new();
    let (one, relay) = behind_a_relay(&world);
    let (two, three) = (world.builder("two").start(), world.builder("three").start());
    let each = [
        (&one, ["two", "three"]),
        (&two, ["one", "three"]),
        (&three, ["one", "two"]),
    ];
    for (server, others) in &each {
        await_word(server, 0, "another instance is there", others);
    }
    let mut gateway = subscribed(&two, Version::V5, "gateway01");
    reaches(&one, "gateway01", "before", &mut gateway);

    let marks = each.map(|(server, _)| server.log().mark());
    relay.cut();
    // What both of the others do for each other waits for nothing.
    reaches(&three, "gateway01", "meanwhile", &mut gateway);
    goes_on_alone(&world, &one);
    await_word(
        &one,
        marks[0],
        "another instance is gone",
        &["two", "three"],
    );
    await_word(&two, marks[1], "another instance is gone", &["one"]);
    await_word(&three, marks[2], "another instance is gone", &["one"]);
    reaches(&three, "gateway01", "later", &mut gateway);
    assert_eq!(
        error(one.command("gateway01", "far", b""), 404),
        "not_connected"
    );
    // Neither of the others has given up on the other.
    for (server, mark, other) in [(&two, marks[1], "three"), (&three, marks[2], "two")] {
        let word = format!("gone instance=\"{other}\"");
        let lines = server.log().lines();
        assert!(lines[mark..].iter().all(|line| !line.contains(&word)));
    }

    let marks = each.map(|(server, _)| server.log().mark());
    relay.mend();
    let recovery = Recovery::begin();
    await_word(
        &one,
        marks[0],
        "another instance is there",
        &["two", "three"],
    );
    reaches(&one, "gateway01", "again", &mut gateway);
    recovery.end("an outage of NATS for one instance");
    let mut sensor = subscribed(&one, Version::V5, "sensor01");
    reaches(&two, "sensor01", "two", &mut sensor);
    reaches(&three, "sensor01", "three", &mut sensor);
}
