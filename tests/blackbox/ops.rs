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
                && grown("landfall_connections") >= 1.0;
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
