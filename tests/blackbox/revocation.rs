//! Changes in the registry act on live connections.
//!
//! The contract says 'within one second'. A test on a shared machine cannot hold a clock to
//! that; it asserts that the end comes by itself, and in the right form.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, WRONG_PASSWORD, password, user};
use crate::wire::{Client, Connect, Version};

fn device_path(name: &str) -> String {
    format!("/api/registry/v1alpha1/apps/{APP}/devices/{name}")
}

fn one_of_each_version(server: &Server) -> Vec<Client> {
    let client = |version| Client::device_as(server, version, "sensor01", version);
    Version::ALL.map(client).into()
}

/// Reads a document, changes it, and puts it back.
fn edit(server: &Server, path: &str, change: impl FnOnce(&mut Value)) {
    let mut document = server.api().get(path).expect_status(200).json();
    change(&mut document);
    let answer = server.api().put_json(path, &document);
    assert!(
        (200..300).contains(&answer.status),
        "{}: {}",
        answer.status,
        answer.text()
    );
}

fn assert_cannot_connect(server: &Server) {
    let connect = Connect::new(
        Version::V5,
        "again",
        &user("sensor01"),
        password("sensor01"),
    );
    let (_, connack) = Client::connect(server, &connect);
    assert_eq!(connack.reason(), 0x86);
}

#[test]
fn a_deleted_device_is_disconnected() {
    let server = Server::shared();
    let mut clients = one_of_each_version(&server);
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    server.api().delete(&device_path("sensor01"));
    clients
        .iter_mut()
        .for_each(|client| client.expect_end(0x98));
    assert_cannot_connect(&server);
    gateway.ping();
}

#[test]
fn a_disabled_device_is_disconnected() {
    let server = Server::shared();
    let mut clients = one_of_each_version(&server);
    edit(&server, &device_path("sensor01"), |document| {
        document["spec"]["core"] = json!({ "disabled": true });
    });
    clients
        .iter_mut()
        .for_each(|client| client.expect_end(0x98));
    assert_cannot_connect(&server);
}

#[test]
fn a_disabled_application_disconnects_all_its_devices() {
    let server = Server::shared();
    let mut clients = one_of_each_version(&server);
    clients.push(Client::device(&server, Version::V5, "gateway01"));
    edit(
        &server,
        &format!("/api/registry/v1alpha1/apps/{APP}"),
        |document| {
            document["spec"]["core"] = json!({ "disabled": true });
        },
    );
    clients
        .iter_mut()
        .for_each(|client| client.expect_end(0x98));
    assert_cannot_connect(&server);
}

#[test]
fn a_deleted_application_disconnects_all_its_devices() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    server
        .api()
        .delete(&format!("/api/registry/v1alpha1/apps/{APP}"));
    sensor.expect_end(0x98);
    gateway.expect_end(0x98);
}

#[test]
fn a_revoked_credential_ends_the_connections_it_let_in() {
    let server = Server::shared();
    let mut clients = one_of_each_version(&server);
    edit(&server, &device_path("sensor01"), |document| {
        document["spec"]["authentication"]["credentials"] = json!([{ "pass": WRONG_PASSWORD }]);
    });
    clients
        .iter_mut()
        .for_each(|client| client.expect_end(0x98));
    assert_cannot_connect(&server);
    let connect = Connect::new(Version::V5, "again", &user("sensor01"), WRONG_PASSWORD);
    Client::accepted(&server, &connect).disconnect();
}

#[test]
fn a_change_that_keeps_the_credential_keeps_the_connection() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    edit(&server, &device_path("sensor01"), |document| {
        document["metadata"]["labels"] = json!({ "floor": "3" });
        let credentials = document["spec"]["authentication"]["credentials"].as_array_mut();
        credentials
            .unwrap()
            .push(json!({ "pass": "pw-second-19f0" }));
    });
    // The gateway's end shows that changes made later have been acted on.
    server.api().delete(&device_path("gateway01"));
    gateway.expect_end(0x98);
    sensor.ping();
    for password in [password("sensor01"), "pw-second-19f0"] {
        let connect = Connect::new(Version::V5, "x", &user("sensor01"), password);
        Client::accepted(&server, &connect).disconnect();
    }
}

#[test]
fn a_gateway_loses_its_right_with_the_selector() {
    let server = Server::shared();
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    assert_eq!(gateway.publish_1("t/sensor02", b"1").reason(), 0);
    edit(&server, &device_path("sensor02"), |document| {
        document["spec"]["gatewaySelector"] = json!({ "matchNames": [] });
    });
    crate::harness::wait::until("a refusal", || {
        (gateway.publish_1("t/sensor02", b"1").reason() == 0x87).then_some(())
    });
    edit(&server, &device_path("sensor02"), |document| {
        document["spec"]["gatewaySelector"] = json!({ "matchNames": ["gateway01"] });
    });
    crate::harness::wait::until("the right again", || {
        (gateway.publish_1("t/sensor02", b"1").reason() == 0).then_some(())
    });
}

#[test]
fn a_changed_dialect_is_used_by_the_next_publish() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    assert_eq!(sensor.publish_1("a/b/c", b"1").reason(), 0x90);
    edit(&server, &device_path("sensor01"), |document| {
        document["spec"]["mqtt"] = json!({ "dialect": { "type": "plainTopic" } });
    });
    crate::harness::wait::until("the plain topic dialect", || {
        (sensor.publish_1("a/b/c", b"1").reason() == 0).then_some(())
    });
    assert_eq!(server.wait_published(APP, 1)[0]["subject"], "a/b/c");
}
