//! The MQTT 5 client of the AWS IoT Device SDK for Python, by each of its ways to connect. What each
//! scenario does is in `tests/clients/aws.py`.

use serde_json::json;

use crate::harness::Server;
use crate::harness::documents::{APP, shared_devices};
use crate::harness::wait::until;
use crate::tools::authority::{Authority, Leaf};
use crate::tools::paho::run_with;

/// A server with the listeners `tls` and `wss`, whose application trusts an authority that has
/// issued a certificate to `sensor01`.
fn start() -> Server {
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost", "127.0.0.1"]);
    let device = authority.issue(&Leaf::device("sensor01"));
    let tls = "[listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
               client_certificates = true\n";
    let server = Server::builder()
        .file("ca.pem", &authority.pem)
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .file("device.pem", &device.chain)
        .file("device.key", &device.key)
        .also_listen("tls", tls)
        .also_listen("wss", &format!("transport = \"websocket\"\n{tls}"))
        .start_with(APP, &shared_devices());
    server.edit_app(|document| {
        document["spec"]["trustAnchors"] = json!({ "anchors": [{ "certificate": authority.pem }] });
    });
    server
}

#[track_caller]
fn run(server: &Server, scenario: &str) {
    let file = |name: &str| server.folder().join(name).display().to_string();
    let (tls, wss) = (
        server.port("tls").to_string(),
        server.port("wss").to_string(),
    );
    let settings = [
        ("CA", file("ca.pem")),
        ("CERTIFICATE", file("device.pem")),
        ("KEY", file("device.key")),
        ("TLS_PORT", tls),
        ("WSS_PORT", wss),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
    run_with(server, "aws", scenario, &settings);
}

#[test]
fn connects_by_mutual_tls_from_files() {
    let server = start();
    run(&server, "mutual_tls_from_files");
    assert_eq!(server.wait_published(APP, 1)[0]["device"], "sensor01");
}

#[test]
fn connects_by_user_name_and_password_whatever_an_authorizer_would_want() {
    let server = start();
    run(&server, "user_name_and_password");
    server.wait_published(APP, 3);
}

#[test]
fn connects_by_user_name_and_password_in_websocket() {
    run(&start(), "user_name_and_password_in_websocket");
}

#[test]
fn requests_signed_for_aws_log_nobody_in() {
    run(&start(), "requests_signed_for_aws_log_nobody_in");
}

#[test]
fn connects_through_an_http_proxy() {
    let server = start();
    run(&server, "through_an_http_proxy");
    server.wait_published(APP, 2);
}

#[test]
fn lifecycle_events_tell_the_negotiated_settings() {
    let server = start();
    run(&server, "the_lifecycle_tells_the_negotiated_settings");
    server.wait_connection_events(APP, "sensor01", &[true, false, true, false]);
}

#[test]
fn an_empty_client_id_is_replaced() {
    run(&start(), "the_server_assigns_a_client_id");
}

#[test]
fn a_session_to_be_joined_again_is_refused() {
    run(&start(), "a_session_to_be_joined_again_is_refused");
}

#[test]
fn every_acknowledgement_has_a_reason_code() {
    let server = start();
    run(&server, "every_acknowledgement_has_a_reason_code");
    server.wait_published(APP, 2);
}

#[test]
fn a_disconnect_with_will_publishes_it() {
    let server = start();
    run(&server, "disconnect_with_will_publishes_it");
    let will = until("the will", || server.published(APP).first().cloned());
    assert_eq!(will["subject"], "gone");
}

#[test]
fn what_the_server_ends_is_told_by_its_disconnect() {
    run(&start(), "what_the_server_ends_is_told_by_its_disconnect");
}

#[test]
fn shared_subscriptions_are_not_available() {
    run(
        &start(),
        "shared_subscriptions_and_retain_are_not_available",
    );
}
