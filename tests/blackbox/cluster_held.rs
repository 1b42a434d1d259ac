//! Commands that one instance holds for devices that come to another one.

use crate::cluster::{Fleet, await_other, subscribed};
use crate::harness::documents::APP;
use crate::harness::recovery::Recovery;
use crate::harness::wait::until;
use crate::harness::{Server, ports};
use crate::tools::relay::Relay;
use crate::wire::{Client, Version};

fn hold(server: &Server, device: &str, name: &str) {
    let held = server.command_with(device, name, "&ttl=3600", "text/plain", b"");
    assert_eq!(held.expect_status(202).json()["outcome"], "held");
}

fn wait_until_nothing_is_held(server: &Server, device: &str) {
    let path = format!("/api/command/v1alpha1/apps/{APP}/devices/{device}/held");
    until("the end of what was held", || {
        let held = server.api().get(&path).expect_status(200).json();
        held.as_array().unwrap().is_empty().then_some(())
    });
}

#[test]
fn a_device_that_subscribed_while_the_holder_was_down_gets_what_it_holds_when_it_is_back() {
    let fleet = Fleet::new();
    let (mut one, two) = fleet.pair();
    hold(&one, "sensor01", "early");
    one.kill();
    let mut sensor = subscribed(&two, Version::V5, "sensor01");
    one.start_again();
    let recovery = Recovery::begin();
    assert_eq!(sensor.take_command().topic, "command/inbox//early");
    recovery.end("the death of an instance that held commands");
    wait_until_nothing_is_held(&one, "sensor01");
}

#[test]
fn a_device_that_subscribed_while_the_holder_was_cut_off_gets_what_it_holds_afterwards() {
    let fleet = Fleet::new();
    let port = ports::free();
    let relay = Relay::start(port, fleet.nats.port());
    let far = format!("[cluster]\nservers = [\"nats://127.0.0.1:{port}\"]");
    let one = fleet.postgres.instance("one").settings(&far).start_shared();
    let two = fleet.further("two");
    await_other(&one);
    await_other(&two);
    hold(&one, "sensor01", "early");
    relay.cut();
    let mut sensor = subscribed(&two, Version::V5, "sensor01");
    relay.mend();
    assert_eq!(sensor.take_command().topic, "command/inbox//early");
    wait_until_nothing_is_held(&one, "sensor01");
}

#[test]
fn an_instance_that_looks_up_who_subscribed_elsewhere_hears_the_others_meanwhile() {
    let fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let mut sensor = subscribed(&one, Version::V5, "sensor01");
    let mut gateway = Client::device(&one, Version::V5, "gateway01");
    let reach = |sensor: &mut Client| {
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| two.command("sensor01", "set", b""));
            assert_eq!(sensor.take_command().topic, "command/inbox//set");
            sender.join().unwrap().expect_status(200);
        });
    };
    reach(&mut sensor);
    hold(&two, "sensor02", "far");
    let mut signs = fleet.nats.watch("landfall.all.presence");
    let held = fleet.postgres.hold_documents();
    // Whose device that is, the second instance has to look up.
    assert_eq!(gateway.subscribe("command/inbox/#", 1), 1);
    let mut seen = 0;
    // Longer than an instance is not given up: each gives a sign twice a second.
    until("signs of life", || {
        seen += fleet.nats.seen(&mut signs);
        (seen >= 14).then_some(())
    });
    let lines = two.log().lines().join("\n");
    assert!(!lines.contains("another instance is gone"), "{lines}");
    reach(&mut sensor);
    drop(held);
    assert_eq!(gateway.take_command().topic, "command/inbox/sensor02/far");
    wait_until_nothing_is_held(&two, "sensor02");
}
