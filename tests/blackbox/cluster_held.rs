//! Commands that one instance holds: for devices that come to another one, and seen and revoked through
//! any.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::{Fleet, await_other, error, subscribed};
use crate::harness::api::Answer;
use crate::harness::documents::APP;
use crate::harness::recovery::Recovery;
use crate::harness::wait::until;
use crate::harness::{Server, ports};
use crate::tools::relay::Relay;
use crate::wire::{Client, Version};

/// Hands in a command that is held; its number.
fn hold(server: &Server, device: &str, name: &str) -> String {
    let held = server.command_with(device, name, "&ttl=3600", "text/plain", b"");
    let held = held.expect_status(202).json();
    assert_eq!(held["outcome"], "held");
    held["held"]["id"].as_str().expect("a number").to_owned()
}

fn path(device: &str) -> String {
    format!("/api/command/v1alpha1/apps/{APP}/devices/{device}/held")
}

fn revoke(server: &Server, device: &str, id: &str) -> Answer {
    server.api().delete(&format!("{}/{id}", path(device)))
}

/// What is held for a device, by the word of one instance: instances and names; and who is missing.
fn listed(server: &Server, device: &str) -> (Vec<String>, Option<String>) {
    let answer = server.api().get(&path(device)).expect_status(200);
    let missing = answer.header("landfall-incomplete").map(str::to_owned);
    let Value::Array(list) = answer.json() else {
        panic!("no list")
    };
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let entry = |held: &Value| format!("{} {}", text(&held["instance"]), text(&held["command"]));
    (list.iter().map(entry).collect(), missing)
}

fn wait_until_nothing_is_held(server: &Server, device: &str) {
    until("the end of what was held", || {
        listed(server, device).0.is_empty().then_some(())
    });
}

/// Three instances that know each other.
fn three() -> (Fleet, [Server; 3]) {
    let fleet = Fleet::new();
    let names = ["one", "two", "three"];
    let servers = [
        fleet.first(names[0]),
        fleet.further(names[1]),
        fleet.further(names[2]),
    ];
    for (server, own) in servers.iter().zip(names) {
        for other in names.iter().filter(|name| **name != own) {
            let told = ["another instance is there", &format!("\"{other}\"")];
            server.log().wait_for(0, &told);
        }
    }
    (fleet, servers)
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

#[test]
fn what_the_instances_hold_is_listed_in_order_and_revoked_through_any() {
    let (_fleet, servers) = three();
    let [one, two, three] = &servers;
    let mut held = Vec::new();
    for (server, name) in [(one, "a"), (three, "b"), (two, "c"), (one, "d")] {
        held.push(hold(server, "sensor01", name));
    }
    hold(two, "sensor02", "other");
    let all = ["one a", "three b", "two c", "one d"].map(str::to_owned);
    for server in &servers {
        assert_eq!(listed(server, "sensor01"), (all.to_vec(), None));
    }

    assert_eq!(revoke(two, "sensor01", &held[1]).status, 204);
    for server in &servers {
        let again = revoke(server, "sensor01", &held[1]);
        assert_eq!(error(again, 404), "unknown_command");
        let of_another_device = revoke(server, "sensor02", &held[0]);
        assert_eq!(error(of_another_device, 404), "unknown_command");
        assert_eq!(
            error(revoke(server, "sensor01", "1"), 404),
            "unknown_command"
        );
    }
    assert_eq!(revoke(two, "sensor01", &held[2]).status, 204);
    let left = ["one a", "one d"].map(str::to_owned);
    assert_eq!(listed(three, "sensor01"), (left.to_vec(), None));
    let mut sensor = subscribed(two, Version::V5, "sensor01");
    for name in ["a", "d"] {
        let topic = format!("command/inbox//{name}");
        assert_eq!(sensor.take_command().topic, topic);
    }
    wait_until_nothing_is_held(three, "sensor01");
    assert_eq!(listed(one, "sensor02").0, ["two other"]);
}

#[test]
fn what_a_hung_instance_holds_is_missed_and_not_said_to_be_unknown() {
    let (_fleet, [one, two, mut three]) = three();
    let ids = [&one, &two, &three].map(|server| hold(server, "sensor01", "x"));
    let last = hold(&three, "sensor01", "y");
    three.signal(Signal::SIGSTOP);
    let named = Some("three".to_owned());
    let without = vec!["one x".to_owned(), "two x".to_owned()];
    let look = || {
        assert_eq!(listed(&one, "sensor01"), (without.clone(), named.clone()));
        let refused = revoke(&one, "sensor01", &ids[2]);
        assert_eq!(refused.json()["missing"], serde_json::json!(["three"]));
        assert_eq!(error(refused, 503), "holder_unavailable");
    };
    look();
    one.log()
        .wait_for(0, &["another instance is gone", "\"three\""]);
    look();
    // Those that answer know theirs for certain.
    assert_eq!(revoke(&one, "sensor01", &ids[1]).status, 204);
    assert_eq!(
        error(revoke(&one, "sensor01", &ids[1]), 404),
        "unknown_command"
    );
    assert_eq!(revoke(&one, "sensor01", &ids[0]).status, 204);

    three.signal(Signal::SIGCONT);
    let recovery = Recovery::begin();
    // What it was asked while it hung it does when it goes on.
    until("the list of all", || {
        (listed(&one, "sensor01") == (vec!["three y".to_owned()], None)).then_some(())
    });
    recovery.end("an instance that held commands and hung");
    assert_eq!(revoke(&one, "sensor01", &last).status, 204);
    assert_eq!(listed(&two, "sensor01"), (Vec::new(), None));
}

#[test]
fn what_an_instance_holds_that_is_down_is_missed_until_it_is_back() {
    let fleet = Fleet::new();
    let (one, mut two) = fleet.pair();
    let id = hold(&two, "sensor01", "x");
    two.kill();
    one.log().wait_for(0, &["another instance is gone"]);
    let named = Some("two".to_owned());
    assert_eq!(listed(&one, "sensor01"), (Vec::new(), named));
    assert_eq!(
        error(revoke(&one, "sensor01", &id), 503),
        "holder_unavailable"
    );
    two.start_again();
    let recovery = Recovery::begin();
    until("the list of both", || {
        (listed(&one, "sensor01") == (vec!["two x".to_owned()], None)).then_some(())
    });
    recovery.end("an instance that held commands and was down");
    assert_eq!(revoke(&one, "sensor01", &id).status, 204);

    // Who holds nothing is not missed.
    let mark = one.log().mark();
    let (mut signs, mut seen) = (fleet.nats.watch("landfall.all.presence"), 0);
    // At least one of each instance's.
    until("signs of life", || {
        seen += fleet.nats.seen(&mut signs);
        (seen >= 5).then_some(())
    });
    two.kill();
    one.log().wait_for(mark, &["another instance is gone"]);
    assert_eq!(listed(&one, "sensor01"), (Vec::new(), None));
}

#[test]
fn an_instance_that_is_cut_off_knows_its_own_commands_alone_and_says_so() {
    let mut fleet = Fleet::new();
    let (one, two) = fleet.pair();
    let (own, far) = (hold(&one, "sensor01", "x"), hold(&two, "sensor01", "y"));
    fleet.nats.kill();
    one.log().wait_for(0, &["another instance is gone"]);
    let all_others = Some("*".to_owned());
    assert_eq!(
        listed(&one, "sensor01"),
        (vec!["one x".to_owned()], all_others)
    );
    assert_eq!(
        error(revoke(&one, "sensor01", &far), 503),
        "holder_unavailable"
    );
    assert_eq!(revoke(&one, "sensor01", &own).status, 204);
}
