//! Health and metrics.

use crate::harness::Server;
use crate::harness::wait;
use crate::wire::{Client, Version};

/// The sum of all samples of a metric whose name contains `part`.
fn sum(metrics: &str, part: &str) -> f64 {
    metrics
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(part))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn a_running_server_is_live_and_ready() {
    let server = Server::builder().start();
    server.ops().get("/health/live").expect_status(200);
    server.ops().get("/health/ready").expect_status(200);
    server.ops().get("/elsewhere").expect_status(404);
}

#[test]
fn what_has_started_stays_started() {
    let server = Server::builder().start();
    let started = server.ops().get("/health/startup").expect_status(200);
    assert_eq!(started.json()["status"], "started");
    for question in ["live", "ready", "startup"] {
        let url = format!("http://127.0.0.1:{}", server.ops_port());
        let asked = server.cli(&["health", question, "--url", &url]);
        assert!(asked.status.success(), "{question}: {asked:?}");
    }
    let asked = server.cli(&["health", "--url", "http://127.0.0.1:1"]);
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
}

#[test]
fn the_log_level_changes_while_the_server_runs() {
    let server = Server::shared();
    let path = "/api/log/v1alpha1/level";
    let level = |wanted: &str| {
        let body = serde_json::json!({ "level": wanted });
        server.api().put_json(path, &body)
    };
    let now = server.api().get(path).expect_status(200).json();
    assert_eq!(now["level"], "info");
    drop(Client::device(&server, Version::V5, "sensor01"));
    server.log().wait_for(0, &["connection ended", "sensor01"]);
    let told = server.log().lines().join("\n");
    assert!(!told.contains("DEBUG"), "{told}");

    let changed = level("landfall=debug").expect_status(200).json();
    assert_eq!(changed["level"], "landfall=debug");
    assert_eq!(changed["configured"], "info");
    let mark = server.log().mark();
    drop(Client::device(&server, Version::V5, "sensor01"));
    server
        .log()
        .wait_for(mark, &["DEBUG", "connected", "sensor01"]);

    level("landfall=loud").expect_status(400);
    level("").expect_status(400);
    let now = server.api().get(path).expect_status(200).json();
    assert_eq!(now["level"], "landfall=debug");
}

#[test]
fn metrics_follow_what_happens() {
    let server = Server::shared();
    let metrics = || server.ops().get("/metrics").expect_status(200).text();
    let before = metrics();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    for _ in 0..10 {
        sensor.publish_1("t", b"1");
    }
    assert_eq!(sensor.publish_1("a/b/c", b"1").reason(), 0x90);
    wait::until(
        "metrics of ten publishes, one refusal and one connection",
        || {
            let now = metrics();
            let grown = |part: &str| sum(&now, part) - sum(&before, part);
            let all = grown("publishes_taken") == 10.0
                && grown("publishes_refused") == 1.0
                && grown("landfall_connections{") >= 1.0
                && grown("landfall_publish_acknowledge_seconds_count") >= 1.0
                && grown("landfall_packets_received_total{type=\"publish\"}") == 11.0
                // CONNACK is before a client's first turn, and is not counted.
                && grown("landfall_packets_sent_total") >= 11.0
                && grown("landfall_bytes_received_total") > 11.0 * 6.0
                && grown("landfall_bytes_sent_total") > 11.0 * 4.0
                && grown("landfall_log_ins_total{method=\"password\",outcome=\"accepted\"}") == 1.0
                && grown("landfall_sink_commit_seconds_count") >= 1.0
                && grown("landfall_sink_events_accepted_total") >= 10.0;
            all.then_some(())
        },
    );
}

#[test]
fn metrics_have_no_names_of_devices_or_applications() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    sensor.publish_1("secret-channel", b"1");
    let text = server.ops().get("/metrics").text();
    for name in ["sensor01", "secret-channel"] {
        assert!(!text.contains(name), "unbounded labels: {text}");
    }
}
