//! A process that dies under connected devices: their wills and `false` events come once, when it is
//! started again, and before anything new is said of them.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::documents::{APP, password, user};
use crate::harness::wait::until;
use crate::harness::{Server, ports};
use crate::wire::encode::string_property;
use crate::wire::{Client, Connect, Version, Will};

/// What the log says of a device, in order, to whoever knows events by their ids: channels, and
/// connection events as `true` or `false`.
fn story(server: &Server, device: &str) -> Vec<String> {
    let mut known = HashSet::new();
    let mut events = server.all_events(APP);
    events.retain(|event| known.insert(event["id"].clone()));
    tell(&events, device)
}

fn tell(events: &[Value], device: &str) -> Vec<String> {
    let of_device = events.iter().filter(|event| event["device"] == device);
    of_device
        .map(|event| match &event["data"]["connected"] {
            Value::Bool(connected) => connected.to_string(),
            _ => event["subject"].as_str().expect("a subject").to_owned(),
        })
        .collect()
}

#[track_caller]
fn wait_story(server: &Server, device: &str, expected: &[&str]) {
    until(&format!("{expected:?} of {device}"), || {
        (story(server, device) == expected).then_some(())
    });
}

fn connect(server: &Server, device: &str, client_id: &str, will: Option<&str>) -> Client {
    let connect = Connect::new(Version::V5, client_id, &user(device), password(device));
    let connect = match will {
        Some(topic) => connect.will(Will::new(topic, b"{\"lost\":true}")),
        None => connect,
    };
    Client::accepted(server, &connect)
}

/// Kills the server under a connection of gateway01, and starts it again; what was due of all
/// devices is said when this returns.
fn crash(server: &mut Server) {
    let mut gateway = Client::device(server, Version::V5, "gateway01");
    gateway.publish_1("marker", b"1");
    server.kill();
    server.start_again();
    server.log().wait_for(0, &["former sessions is said"]);
}

#[test]
fn wills_and_false_events_of_a_process_that_died_come_once_and_in_order() {
    let mut server = Server::shared();
    let mut sensor = connect(&server, "sensor01", "c", Some("gone"));
    // The `true` events are in the log when this is acknowledged.
    sensor.publish_1("alive", b"1");
    server.kill();
    server.start_again();
    let told = ["true", "alive", "gone", "false"];
    wait_story(&server, "sensor01", &told);
    let will = &server.published(APP)[1];
    assert_eq!(will["data"]["lost"], true);
    // Not again at the next crash, nor at the one after it.
    for _ in 0..2 {
        crash(&mut server);
    }
    assert_eq!(story(&server, "sensor01"), told);
}

#[test]
fn what_is_said_again_after_a_crash_has_the_ids_that_it_had() {
    // A sink that takes nothing: what the log has accepted stays due.
    let away = format!(
        "[[sinks]]\nname = \"away\"\ntype = \"http\"\nurl = \"http://127.0.0.1:{}/in\"",
        ports::free()
    );
    let mut server = Server::builder().settings(&away).unready().start_shared();
    connect(&server, "sensor01", "c", Some("gone")).cut();
    wait_story(&server, "sensor01", &["true", "gone", "false"]);
    server.kill();
    server.start_again();
    let again = ["true", "gone", "false", "gone", "false"];
    until("what is said again", || {
        (tell(&server.all_events(APP), "sensor01") == again).then_some(())
    });
    connect(&server, "sensor01", "c", Some("gone")).cut();
    wait_story(
        &server,
        "sensor01",
        &["true", "gone", "false", "true", "gone", "false"],
    );

    let ids: Vec<String> = server
        .all_events(APP)
        .iter()
        .filter(|event| event["device"] == "sensor01")
        .map(|event| event["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids[1..3], ids[3..5], "the will, and that it is gone");
    // Whoever knows events by their ids sees six, in order.
    let known = [&ids[..3], &ids[5..]].concat();
    assert!(known.is_sorted_by(|one, next| one < next), "{known:?}");
}

#[test]
fn a_device_that_comes_back_first_is_told_gone_before_it_is_told_connected() {
    let mut server = Server::shared();
    let mut sensor = connect(&server, "sensor01", "c", Some("gone"));
    sensor.publish_1("alive", b"1");
    for _ in 0..3 {
        server.kill();
        server.start_again();
        sensor = connect(&server, "sensor01", "c", Some("gone"));
        sensor.publish_1("alive", b"1");
    }
    let mut expected = vec!["true", "alive"];
    expected.extend(["gone", "false", "true", "alive"].repeat(3));
    assert_eq!(story(&server, "sensor01"), expected);
}

#[test]
fn sessions_that_ended_before_the_crash_are_over() {
    let mut server = Server::shared();
    for version in Version::ALL {
        let connect = Connect::new(version, "c", &user("sensor01"), password("sensor01"));
        let connect = connect.will(Will::new("gone", b"1"));
        Client::accepted(&server, &connect).disconnect();
    }
    let goodbyes = ["true", "false"].repeat(3);
    wait_story(&server, "sensor01", &goodbyes);
    connect(&server, "sensor01", "c", Some("gone")).cut();
    let mut all = goodbyes.clone();
    all.extend(["true", "gone", "false"]);
    wait_story(&server, "sensor01", &all);
    crash(&mut server);
    assert_eq!(story(&server, "sensor01"), all);
}

#[test]
fn a_session_whose_will_a_rule_drops_is_over_with_it() {
    let mut server = Server::shared();
    let rule = json!({ "when": { "isChannel": "noise" }, "then": ["drop"] });
    server.edit_app(|app| app["spec"]["publish"] = json!({ "rules": [rule] }));
    let mut other = connect(&server, "sensor01", "other", None);
    connect(&server, "sensor01", "c", Some("noise")).cut();
    until("the end of the first", || {
        let path = format!("/api/connections/v1alpha1/apps/{APP}");
        let connected = server.api().get(&path).json();
        (connected.as_array()?.len() == 1).then_some(())
    });
    other.publish_1("alive", b"1");
    other.disconnect();
    let all = ["true", "alive", "false"];
    wait_story(&server, "sensor01", &all);
    crash(&mut server);
    assert_eq!(story(&server, "sensor01"), all);
}

#[test]
fn of_several_connections_each_leaves_its_will_and_the_device_one_event() {
    let mut server = Server::shared();
    let _first = connect(&server, "sensor01", "1", Some("gone-1"));
    let _second = connect(&server, "sensor01", "2", None);
    let mut third = connect(&server, "sensor01", "3", Some("gone-3"));
    third.publish_1("alive", b"1");
    server.kill();
    server.start_again();
    wait_story(
        &server,
        "sensor01",
        &["true", "alive", "gone-1", "gone-3", "false"],
    );
}

#[test]
fn a_take_over_before_the_crash_leaves_one_will_of_each_session() {
    let mut server = Server::shared();
    let mut old = connect(&server, "sensor01", "c", Some("gone-old"));
    let mut new = connect(&server, "sensor01", "c", Some("gone-new"));
    old.expect_end(0x8E);
    server.wait_published(APP, 1);
    new.publish_1("alive", b"1");
    server.kill();
    server.start_again();
    let expected = ["true", "gone-old", "alive", "gone-new", "false"];
    wait_story(&server, "sensor01", &expected);
}

#[test]
fn a_will_keeps_its_properties_and_its_gateway_its_right() {
    let mut server = Server::shared();
    let mut gateway = Connect::new(Version::V5, "g", &user("gateway01"), password("gateway01"));
    let mut will = Will::new("gone/sensor02", b"away");
    will.properties = string_property(0x03, "text/plain");
    // A user property: two strings behind its identifier.
    will.properties.extend(*b"\x26\0\x0btraceparent\0\x0400-x");
    gateway = gateway.will(will);
    let foreign = Connect::new(Version::V5, "f", &user("gateway01"), password("gateway01"))
        .will(Will::new("gone/sensor03", b"1"));
    let _gateway = Client::accepted(&server, &gateway);
    let mut foreign = Client::accepted(&server, &foreign);
    foreign.publish_1("alive", b"1");
    server.kill();
    server.start_again();
    wait_story(&server, "gateway01", &["true", "alive", "false"]);
    let published = server.published(APP);
    assert_eq!(published.len(), 2, "{published:#?}");
    assert_eq!(published[1]["device"], "sensor02");
    assert_eq!(published[1]["sender"], "gateway01");
    assert_eq!(published[1]["datacontenttype"], "text/plain");
    assert_eq!(published[1]["traceparent"], "00-x");
}

#[test]
fn without_records_nothing_is_said_after_a_crash() {
    let builder = Server::builder().environment("LANDFALL__SESSION_RECORDS", "false");
    let mut server = builder.start_shared();
    let mut sensor = connect(&server, "sensor01", "c", Some("gone"));
    sensor.publish_1("alive", b"1");
    server.kill();
    server.start_again();
    let mut sensor = connect(&server, "sensor01", "c", None);
    sensor.publish_1("back", b"1");
    assert_eq!(
        story(&server, "sensor01"),
        ["true", "alive", "true", "back"]
    );
    assert!(!server.folder().join("data/sessions.db").exists());
}
