//! Two servers over one PostgreSQL: what is written through one acts on the connections of the
//! other, and what goes on while the database is away.
//!
//! The contract says 'within one second'. A test on a shared machine cannot hold a clock to
//! that; it asserts that the change arrives by itself.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::harness::recovery::Recovery;
use crate::harness::wait::until;
use crate::tools::postgres::Postgres;
use crate::wire::{Client, Connect, Version, Will};

const ALLOWED: u8 = 0;
const REFUSED: u8 = 0x87;

/// Two instances; the shared devices are in the database of both.
fn pair() -> (Postgres, Server, Server) {
    let postgres = Postgres::start();
    let one = postgres.instance("one").start_shared();
    let two = postgres.instance("two").start();
    (postgres, one, two)
}

/// Reads a document at an instance, changes it, and puts it back there.
fn edit(server: &Server, device: &str, change: impl FnOnce(&mut Value)) {
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/{device}");
    let mut document = server.api().get(&path).expect_status(200).json();
    change(&mut document);
    let answer = server.api().put_json(&path, &document);
    assert!((200..300).contains(&answer.status), "{}", answer.text());
}

fn expect_publish(gateway: &mut Client, topic: &str, reason: u8) {
    until("the answer to a publish", || {
        (gateway.publish_1(topic, b"1").reason() == reason).then_some(())
    });
}

/// What CONNACK tells a shared device.
fn try_log_in(server: &Server, version: Version, device: &str) -> u8 {
    let connect = Connect::new(version, "try", &user(device), password(device));
    Client::connect(server, &connect).1.reason()
}

#[test]
fn a_change_of_either_document_acts_on_the_publishes_of_a_gateway_at_another_instance() {
    let (_postgres, one, two) = pair();
    let mut gateway = Client::device(&two, Version::V5, "gateway01");
    assert_eq!(gateway.publish_1("t/sensor02", b"1").reason(), ALLOWED);
    // The selecting device's document.
    edit(&one, "sensor02", |document| {
        document["spec"]["gatewaySelector"] = json!({ "matchNames": [] });
    });
    expect_publish(&mut gateway, "t/sensor02", REFUSED);
    edit(&one, "sensor02", |document| {
        document["spec"]["gatewaySelector"] = json!({ "matchLabels": { "site": "north" } });
    });
    assert_eq!(gateway.publish_1("t/sensor02", b"1").reason(), REFUSED);
    // The gateway's own.
    edit(&one, "gateway01", |document| {
        document["metadata"]["labels"] = json!({ "site": "north" });
    });
    expect_publish(&mut gateway, "t/sensor02", ALLOWED);
    edit(&one, "gateway01", |document| {
        document["metadata"]["labels"] = json!({ "site": "south" });
    });
    expect_publish(&mut gateway, "t/sensor02", REFUSED);
}

#[test]
fn a_device_that_is_new_or_gone_is_so_for_a_gateway_at_another_instance() {
    let (_postgres, one, two) = pair();
    let mut gateway = Client::device(&two, Version::V5, "gateway01");
    // That it does not exist is known from now on.
    assert_eq!(gateway.publish_1("t/sensor04", b"1").reason(), REFUSED);
    let document = crate::harness::documents::behind("sensor04", "gateway01");
    one.create_device(APP, &document).expect_status(201);
    expect_publish(&mut gateway, "t/sensor04", ALLOWED);
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/sensor04");
    assert_eq!(one.api().delete(&path).status, 204);
    expect_publish(&mut gateway, "t/sensor04", REFUSED);
}

#[test]
fn what_is_revoked_at_one_instance_ends_connections_at_the_other_with_their_wills() {
    let (_postgres, one, two) = pair();
    for version in Version::ALL {
        let connect = Connect::new(version, "c", &user("sensor01"), password("sensor01"));
        let connect = connect.will(Will::new("gone", b"1"));
        let mut sensor = Client::accepted(&two, &connect);
        edit(&one, "sensor01", |document| {
            document["spec"]["core"] = json!({ "disabled": true });
        });
        sensor.expect_end(0x98);
        edit(&one, "sensor01", |document| {
            document["spec"]["core"] = json!({ "disabled": false });
        });
        until("a device that is enabled again", || {
            (try_log_in(&two, version, "sensor01") == 0).then_some(())
        });
    }
    let wills = two.wait_published(APP, 3);
    assert!(wills.iter().all(|will| will["subject"] == "gone"));

    let mut gateway = Client::device(&two, Version::V5, "gateway01");
    let path = format!("/api/registry/v1alpha1/apps/{APP}");
    assert_eq!(one.api().delete(&path).status, 204);
    gateway.expect_end(0x98);
}

#[test]
fn a_dialect_changed_at_one_instance_is_used_by_the_next_publish_at_the_other() {
    let (_postgres, one, two) = pair();
    let mut sensor = Client::device(&two, Version::V5, "sensor01");
    assert_eq!(sensor.publish_1("a/b/c", b"1").reason(), 0x90);
    edit(&one, "sensor01", |document| {
        document["spec"]["mqtt"] = json!({ "dialect": { "type": "plainTopic" } });
    });
    expect_publish(&mut sensor, "a/b/c", ALLOWED);
}

#[test]
fn a_revocation_that_the_database_holds_up_acts_when_it_answers_again() {
    let postgres = Postgres::start();
    let one = postgres.instance("one").start_shared();
    let mut two = postgres
        .instance("two")
        .environment("LANDFALL__REGISTRY__QUERY_TIMEOUT", "1s")
        .start();
    let mut sensor = Client::device(&two, Version::V5, "sensor01");
    // Two learns of the change when the document can no longer be read.
    two.signal(Signal::SIGSTOP);
    edit(&one, "sensor01", |document| {
        document["spec"]["core"] = json!({ "disabled": true });
    });
    let mark = two.log().mark();
    let held = postgres.hold_documents();
    two.signal(Signal::SIGCONT);
    two.log().wait_for(mark, &["could not be followed"]);
    drop(held);
    sensor.expect_end(0x98);
}

#[test]
fn while_the_database_is_away_who_is_known_goes_on_and_others_are_told_to_wait() {
    let (postgres, one, two) = pair();
    let mut gateway = Client::device(&two, Version::V5, "gateway01");
    assert_eq!(gateway.publish_1("t/sensor02", b"1").reason(), ALLOWED);
    postgres.stop();
    two.wait_not_ready("the registry's store is unavailable");
    one.wait_not_ready("the registry's store is unavailable");

    // Live connections, also for a device that the gateway has spoken for before.
    assert_eq!(gateway.publish_1("t", b"1").reason(), ALLOWED);
    assert_eq!(gateway.publish_1("t/sensor02", b"1").reason(), ALLOWED);
    // A device in memory, and one that this instance has never seen.
    assert_eq!(try_log_in(&two, Version::V5, "gateway01"), 0);
    assert_eq!(try_log_in(&two, Version::V5, "sensor01"), 0x88);
    assert_eq!(try_log_in(&two, Version::V311, "sensor01"), 0x03);
    assert_eq!(try_log_in(&two, Version::V31, "sensor01"), 0x03);
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/sensor01");
    let answer = two.api().get(&path).expect_status(503);
    assert_eq!(answer.json()["error"], "unavailable");

    let recovery = Recovery::begin();
    postgres.start_again();
    two.wait_ready();
    assert_eq!(try_log_in(&two, Version::V5, "sensor01"), 0);
    recovery.end("a restart of PostgreSQL");
    gateway.ping();
    // And changes arrive again.
    one.wait_ready();
    edit(&one, "sensor02", |document| {
        document["spec"]["gatewaySelector"] = json!({ "matchNames": [] });
    });
    expect_publish(&mut gateway, "t/sensor02", REFUSED);
}

#[test]
fn after_the_grace_time_devices_in_memory_are_told_to_wait_too() {
    let postgres = Postgres::start();
    let server = postgres
        .instance("one")
        .environment("LANDFALL__REGISTRY__GRACE", "0s")
        .start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    postgres.stop();
    server.wait_not_ready("the registry's store is unavailable");
    assert_eq!(try_log_in(&server, Version::V5, "sensor01"), 0x88);
    assert_eq!(try_log_in(&server, Version::V311, "sensor01"), 0x03);
    assert_eq!(sensor.publish_1("t", b"1").reason(), ALLOWED);
    postgres.start_again();
    server.wait_ready();
    assert_eq!(try_log_in(&server, Version::V5, "sensor01"), 0);
}

#[test]
fn an_api_token_made_at_one_instance_is_good_at_the_other_until_it_is_revoked() {
    let (_postgres, one, two) = pair();
    let token = json!({ "name": "ci", "roles": ["registry"] });
    let path = "/api/tokens/v1alpha1/tokens";
    let made = one.api().post_json(path, &token).expect_status(201).json();
    let api = two.api().with_token(made["secret"].as_str());
    let status = || api.get("/api/registry/v1alpha1/apps").status;
    until("the token's being good", || (status() == 200).then_some(()));
    assert_eq!(one.api().delete(&format!("{path}/ci")).status, 204);
    until("the token's end", || (status() == 401).then_some(()));
}
