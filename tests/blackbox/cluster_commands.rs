//! What senders are told of commands for devices of another instance.

use std::collections::BTreeSet;
use std::thread;

use crate::cluster::{Fleet, await_other, subscribed};
use crate::harness::ports;
use crate::tools::relay::Relay;
use crate::wire::Version;

/// More than fit.
const SENDERS: usize = 24;

#[test]
fn of_many_commands_at_once_those_that_do_not_fit_elsewhere_are_told_so() {
    let fleet = Fleet::new();
    let one = fleet.first("one");
    let settings = "[limits]\nsend_maximum = 1\ncommand_queue = 2";
    let two = fleet.postgres.instance("two");
    let two = two.settings(&fleet.nats.cluster()).settings(settings);
    let two = two.start();
    await_other(&one);
    await_other(&two);
    // It acknowledges nothing.
    let _sensor = subscribed(&two, Version::V5, "sensor01");
    let send = || one.command_with("sensor01", "x", "&timeout=2", "text/plain", b"");
    let told: BTreeSet<u16> = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        let told = senders.into_iter().map(|sender| sender.join().unwrap());
        told.map(|answer| answer.status).collect()
    });
    assert_eq!(told, BTreeSet::from([409, 504]));
}

/// Milliseconds until an instance that starts has NATS, at least.
const DELAY: u64 = 100;

#[test]
fn an_instance_that_has_just_started_finds_devices_elsewhere() {
    let fleet = Fleet::new();
    let port = ports::free();
    let relay = Relay::start(port, fleet.nats.port());
    let far = format!("[cluster]\nservers = [\"nats://127.0.0.1:{port}\"]");
    let mut one = fleet.postgres.instance("one").settings(&far).start_shared();
    let two = fleet.further("two");
    await_other(&one);
    await_other(&two);
    let mut sensor = subscribed(&two, Version::V5, "sensor01");
    one.kill();
    relay.delay(DELAY);
    one.start_again();
    thread::scope(|scope| {
        let sender = scope.spawn(|| one.command("sensor01", "first", b""));
        assert_eq!(sensor.take_command().topic, "command/inbox//first");
        sender.join().unwrap().expect_status(200);
    });
}
