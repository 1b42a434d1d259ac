//! Sinks beside the embedded log, and what of a 3.x client's refused publishes.

use serde_json::Value;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::wire::{Client, Version};

const STDOUT: &str = "[[sinks]]\nname = \"out\"\ntype = \"stdout\"\n";
const BLACKHOLE: &str = "[[sinks]]\nname = \"gone\"\ntype = \"blackhole\"\n";

#[test]
fn stdout_has_one_line_of_json_for_each_event() {
    let server = Server::builder()
        .without_log_sink()
        .settings(STDOUT)
        .start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    assert_eq!(
        sensor
            .publish_1("t", b"{\"text\":\"two\\nlines\"}")
            .reason(),
        0
    );
    let line = server.log().wait_for(0, &["io.drogue.event.v1"]);
    let event: Value = serde_json::from_str(&line).expect("one JSON object");
    assert_eq!(event["data"]["text"], "two\nlines");
    assert_eq!(event["device"], "sensor01");
}

#[test]
fn several_required_sinks_all_get_each_event() {
    let server = Server::builder()
        .settings(STDOUT)
        .settings(BLACKHOLE)
        .start_shared();
    let mut sensor = Client::device(&server, Version::V311, "sensor01");
    for number in 0..20 {
        sensor.publish_1("t", format!("{number}").as_bytes());
    }
    server.wait_published(APP, 20);
    server
        .log()
        .wait_for(0, &["io.drogue.event.v1", "\"data\":19"]);
}

#[test]
fn a_blackhole_acknowledges_everything() {
    let server = Server::builder()
        .without_log_sink()
        .settings(BLACKHOLE)
        .start_shared();
    for version in Version::ALL {
        let mut sensor = Client::device(&server, version, "sensor01");
        assert_eq!(sensor.publish_1("t", b"1").reason(), 0);
        sensor.disconnect();
    }
    let answer = server
        .api()
        .get(&format!("/api/events/v1alpha1/apps/{APP}"));
    assert!(
        answer.status >= 400,
        "there is no log to read: {}",
        answer.text()
    );
}

#[test]
fn refused_publishes_of_3_x_close_or_by_option_are_acknowledged_and_dropped() {
    let strict = Server::shared();
    let settings = "[limits]\nacknowledge_refused = true";
    let lenient = Server::builder().settings(settings).start_shared();
    for version in [Version::V31, Version::V311] {
        let mut gateway = Client::device(&strict, version, "gateway01");
        gateway.publish(&crate::wire::Publish::new("t/sensor03", b"1").qos(1, 1));
        gateway.expect_closed();

        let mut gateway = Client::device(&lenient, version, "gateway01");
        gateway.publish_1("t/sensor03", b"1");
        gateway.publish_1("a/b/c", b"1");
        gateway.ping();
    }
    let mut gateway = Client::device(&lenient, Version::V5, "gateway01");
    assert_eq!(gateway.publish_1("t/sensor03", b"1").reason(), 0x87);
    assert!(strict.published(APP).is_empty());
    assert!(lenient.published(APP).is_empty());
}
