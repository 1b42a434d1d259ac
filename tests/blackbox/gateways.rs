//! Who may speak for whom, and that a change of either document acts on the next publish.

use serde_json::json;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::wait::until;
use crate::wire::{Client, Version};

/// Publishes for `sensor03` until the answer is this one.
fn expect_publish(gateway: &mut Client, reason: u8) {
    until("the answer to a publish", || {
        (gateway.publish_1("t/sensor03", b"1").reason() == reason).then_some(())
    });
}

const ALLOWED: u8 = 0;
const REFUSED: u8 = 0x87;

#[test]
fn labels_select_gateways_and_changes_of_either_document_act() {
    let server = Server::shared();
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    assert_eq!(gateway.publish_1("t/sensor03", b"1").reason(), REFUSED);

    server.edit_device("sensor03", |document| {
        document["spec"]["gatewaySelector"] =
            json!({ "matchLabels": { "site": "north", "role": "gateway" } });
    });
    server.edit_device("gateway01", |document| {
        document["metadata"]["labels"] = json!({ "site": "north", "role": "gateway" });
    });
    expect_publish(&mut gateway, ALLOWED);
    // One label is not all of them.
    server.edit_device("gateway01", |document| {
        document["metadata"]["labels"] = json!({ "site": "north" });
    });
    expect_publish(&mut gateway, REFUSED);
    server.edit_device("sensor03", |document| {
        document["spec"]["gatewaySelector"] = json!({ "matchLabels": { "site": "north" } });
    });
    expect_publish(&mut gateway, ALLOWED);
    server.edit_device("sensor03", |document| {
        document["spec"]["gatewaySelector"] = json!({ "matchLabels": { "site": "south" } });
    });
    expect_publish(&mut gateway, REFUSED);
}

#[test]
fn nobody_speaks_for_a_device_that_is_disabled_or_gone() {
    let server = Server::shared();
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    let selector = json!({ "matchNames": ["gateway01"] });
    server.edit_device("sensor03", |document| {
        document["spec"]["gatewaySelector"] = selector.clone();
    });
    expect_publish(&mut gateway, ALLOWED);
    server.edit_device("sensor03", |document| {
        document["spec"]["core"] = json!({ "disabled": true });
    });
    expect_publish(&mut gateway, REFUSED);
    server.edit_device("sensor03", |document| {
        document["spec"]["core"] = json!({ "disabled": false });
    });
    expect_publish(&mut gateway, ALLOWED);
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/sensor03");
    server.api().delete(&path);
    expect_publish(&mut gateway, REFUSED);
    let again = json!({
        "metadata": { "name": "sensor03", "application": APP },
        "spec": { "gatewaySelector": selector },
    });
    server.create_device(APP, &again);
    expect_publish(&mut gateway, ALLOWED);
}

#[test]
fn an_applications_dialect_acts_on_the_next_publish_and_a_devices_own_wins() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let plain = json!({ "dialect": { "type": "plainTopic" } });
    server.edit_app(|document| document["spec"]["mqtt"] = plain);
    until("the plain topic dialect", || {
        (sensor.publish_1("a/b/c", b"1").reason() == 0).then_some(())
    });
    server.edit_device("sensor01", |document| {
        document["spec"]["mqtt"] = json!({ "dialect": { "type": "drogue/v1" } });
    });
    until("the device's own dialect", || {
        (sensor.publish_1("a/b/c", b"1").reason() == 0x90).then_some(())
    });
}
