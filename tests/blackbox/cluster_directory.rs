//! Which instances a command is offered to.

use std::thread;

use crate::cluster::{Fleet, error, subscribed};
use crate::harness::Server;
use crate::harness::wait::until;
use crate::wire::{Client, Version};

#[test]
fn a_command_is_offered_only_where_its_device_may_be() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let three = fleet.further("three");
    let mut offers = fleet.nats.watch("landfall.to.*.command");
    let mut offers_of_command = |devices: &mut [&mut Client], server: &Server| {
        fleet.nats.seen(&mut offers);
        thread::scope(|scope| {
            let sender = scope.spawn(|| server.command("sensor01", "set", b""));
            for device in devices {
                device.take_command();
            }
            sender.join().unwrap().expect_status(200);
        });
        fleet.nats.seen(&mut offers)
    };
    let mut sensor = subscribed(&two, Version::V5, "sensor01");
    // Whoever starts asks the others for lists, and meanwhile about every command.
    until("lists of all sessions", || {
        let at_most = [(&one, 1), (&two, 0), (&three, 1)];
        let mut offers = |server| offers_of_command(&mut [&mut sensor], server);
        let settled = at_most.map(|(server, most)| offers(server) == most);
        settled.iter().all(|settled| *settled).then_some(())
    });
    // Known everywhere as soon as the device is let in, and no longer than until its end is told.
    let mut sensor = subscribed(&three, Version::V5, "sensor01");
    assert_eq!(offers_of_command(&mut [&mut sensor], &one), 1);
    let mut other = Client::device_as(&one, Version::V5, "sensor01", "other");
    assert_eq!(other.subscribe("command/inbox//#", 1), 1);
    assert_eq!(offers_of_command(&mut [&mut sensor, &mut other], &two), 2);
    other.disconnect();
    until("the end of a session", || {
        (offers_of_command(&mut [&mut sensor], &two) == 1).then_some(())
    });
    // Before nobody is said to be there, everybody is asked.
    fleet.nats.seen(&mut offers);
    let nobody = error(one.command("gateway01", "set", b""), 404);
    assert_eq!(nobody, "not_connected");
    assert_eq!(fleet.nats.seen(&mut offers), 2);
}

#[test]
fn who_came_while_nats_was_away_is_known_when_it_is_back() {
    let mut fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let mut offers = fleet.nats.watch("landfall.to.*.command");
    fleet.nats.kill();
    let mut sensor = subscribed(&two, Version::V5, "sensor01");
    fleet.nats.start_again();
    let mut offers_of_command = |server: &Server| {
        fleet.nats.seen(&mut offers);
        thread::scope(|scope| {
            let device = scope.spawn(|| sensor.take_command());
            until("a delivery", || {
                let outcome = server.command("sensor01", "set", b"");
                (outcome.status == 200).then_some(())
            });
            device.join().unwrap();
        });
        fleet.nats.seen(&mut offers)
    };
    offers_of_command(&one);
    until("lists of all sessions", || {
        (offers_of_command(&two) == 0 && offers_of_command(&one) == 1).then_some(())
    });
}
