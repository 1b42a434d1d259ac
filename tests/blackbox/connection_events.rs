//! `io.drogue.connection.v1`: true with a device's first connection, false with its last, at
//! every way to end.

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::wire::{Client, Connect, Version};

fn sensor(server: &Server, version: Version, client_id: &str) -> Client {
    let connect = Connect::new(version, client_id, &user("sensor01"), password("sensor01"));
    Client::accepted(server, &connect)
}

#[test]
fn a_goodbye_ends_a_connection() {
    let server = Server::shared();
    for (version, expected) in Version::ALL.into_iter().zip([2, 4, 6]) {
        sensor(&server, version, "c").disconnect();
        let expected: Vec<bool> = [true, false].into_iter().cycle().take(expected).collect();
        server.wait_connection_events(APP, "sensor01", &expected);
    }
}

#[test]
fn an_event_has_the_form_that_consumers_know() {
    let server = Server::shared();
    sensor(&server, Version::V5, "c").disconnect();
    server.wait_connection_events(APP, "sensor01", &[true, false]);
    for event in server.all_events(APP) {
        assert_eq!(event["type"], "io.drogue.connection.v1");
        assert_eq!(event["subject"], "connection");
        assert_eq!(event["source"], "drogue://app/sensor01");
        assert_eq!(event["datacontenttype"], "application/json");
        assert_eq!(event["sender"], "sensor01");
        assert_eq!(event["partitionkey"], "app/sensor01");
        assert!(event["data"]["connected"].is_boolean(), "{event:#}");
    }
}

#[test]
fn a_dropped_socket_ends_a_connection() {
    let server = Server::shared();
    sensor(&server, Version::V311, "c").cut();
    server.wait_connection_events(APP, "sensor01", &[true, false]);
}

#[test]
fn silence_past_the_keep_alive_ends_a_connection() {
    let server = Server::shared();
    for version in Version::ALL {
        let connect = Connect::new(version, "c", &user("gateway01"), password("gateway01"));
        let mut silent = Client::accepted(&server, &connect.keep_alive(1));
        silent.expect_end(0x8D);
    }
    server.wait_connection_events(APP, "gateway01", &[true, false, true, false, true, false]);
}

#[test]
fn only_the_first_and_the_last_connection_of_a_device_count() {
    let server = Server::shared();
    let mut first = sensor(&server, Version::V5, "1");
    let second = sensor(&server, Version::V5, "2");
    second.disconnect();
    // What came before this publish is in the log before it.
    first.publish_1("marker", b"1");
    assert_eq!(server.connection_events(APP, "sensor01"), [true]);
    first.disconnect();
    server.wait_connection_events(APP, "sensor01", &[true, false]);
}

#[test]
fn a_take_over_does_not_look_like_an_end() {
    let server = Server::shared();
    let mut old = sensor(&server, Version::V5, "same");
    let mut new = sensor(&server, Version::V5, "same");
    old.expect_end(0x8E);
    new.publish_1("marker", b"1");
    assert_eq!(
        server.connection_events(APP, "sensor01").first(),
        Some(&true)
    );
    new.disconnect();
    crate::harness::wait::until("a last event that says false", || {
        let events = server.connection_events(APP, "sensor01");
        // However the two overlap, the events alternate, and the last one is the end.
        let alternate = events.windows(2).all(|pair| pair[0] != pair[1]);
        assert!(alternate, "{events:?}");
        (events.last() == Some(&false)).then_some(())
    });
}

#[test]
fn a_refused_log_in_leaves_no_event() {
    let server = Server::shared();
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), "nonsense");
    let (_, connack) = Client::connect(&server, &connect);
    assert_eq!(connack.reason(), 0x86);
    sensor(&server, Version::V5, "c").disconnect();
    server.wait_connection_events(APP, "sensor01", &[true, false]);
}

#[test]
fn a_stop_of_the_server_ends_all_connections() {
    let mut server = Server::shared();
    let mut first = sensor(&server, Version::V5, "1");
    let mut second = sensor(&server, Version::V311, "2");
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    server.terminate();
    first.expect_end(0x8B);
    second.expect_closed();
    gateway.expect_end(0x8B);
    assert!(server.wait().success());
    server.start_again();
    assert_eq!(server.connection_events(APP, "sensor01"), [true, false]);
    assert_eq!(server.connection_events(APP, "gateway01"), [true, false]);
}
