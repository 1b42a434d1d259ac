//! An instance hangs, and has no part in what happens between the others: it holds them up no longer than
//! need be.

use std::thread;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::cluster::{Fleet, await_other};
use crate::cluster_events::{World, sensor};
use crate::harness::Server;
use crate::harness::wait::until;
use crate::wire::{Client, Version};

/// Until instances know all sessions of the others: then a command for sensor01 is offered to so many.
fn wait_until_all_is_known(fleet: &Fleet, offered: &[(&Server, usize)], sensor: &mut Client) {
    assert_eq!(sensor.subscribe("command/inbox/#", 1), 1);
    let mut offers = fleet.nats.watch("landfall.to.*.command");
    let mut offers_through = |server: &Server| {
        fleet.nats.seen(&mut offers);
        thread::scope(|scope| {
            let sender = scope.spawn(|| server.command("sensor01", "set", b""));
            sensor.take_command();
            sender.join().unwrap().expect_status(200);
        });
        fleet.nats.seen(&mut offers)
    };
    until("lists of all sessions", || {
        let known = |(server, most): &(&Server, usize)| offers_through(server) == *most;
        offered.iter().all(known).then_some(())
    });
}

#[test]
fn a_take_over_is_told_in_order_and_does_not_wait_for_a_third_instance_that_hangs() {
    let world = World::new();
    let (one, two) = world.pair();
    let mut three = world.builder("three").start();
    for server in [&one, &two] {
        server
            .log()
            .wait_for(0, &["another instance is there", "three"]);
    }
    await_other(&three);
    let mut old = sensor(&two, "c");
    old.publish_1("alive", b"1");
    wait_until_all_is_known(&world.fleet, &[(&one, 1), (&two, 0)], &mut old);

    three.signal(Signal::SIGSTOP);
    let began = Instant::now();
    let (mut new, taken_over, given_up) = thread::scope(|scope| {
        // Nobody is known to have this device: all are asked, and waited for.
        let other = scope.spawn(|| {
            Client::device(&one, Version::V5, "gateway01").disconnect();
            began.elapsed()
        });
        let new = sensor(&one, "c");
        (new, began.elapsed(), other.join().unwrap())
    });
    assert!(
        taken_over * 2 < given_up,
        "{taken_over:?}, and {given_up:?} until the one that hangs is not waited for"
    );
    old.expect_end(0x8E);
    new.ping();
    world.wait_story(&["true", "alive", "gone", "false", "true"]);
    three.signal(Signal::SIGCONT);
    new.disconnect();
    world.wait_story(&["true", "alive", "gone", "false", "true", "false"]);
}
