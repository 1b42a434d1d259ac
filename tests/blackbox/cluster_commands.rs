//! What senders are told of commands for devices of another instance.

use std::collections::BTreeSet;
use std::thread;

use crate::cluster::{Fleet, await_other, subscribed};
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
