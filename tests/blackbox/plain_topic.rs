//! The plain topic dialect, and payloads in Base64, with mosquitto's clients and a raw one.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::wait::until;
use crate::tools::mosquitto::{Subscriber, publish};
use crate::wire::{Client, Publish, Version};

/// A server whose application has this `spec.mqtt`.
fn start(mqtt: Value) -> Server {
    let server = Server::shared();
    server.edit_app(|document| document["spec"]["mqtt"] = mqtt);
    server
}

fn plain(device_prefix: bool) -> Value {
    json!({ "dialect": { "type": "plainTopic", "devicePrefix": device_prefix } })
}

/// Subject and device of each.
fn told(events: &[Value]) -> Vec<(&str, &str)> {
    let text = |value: &'_ Value| value.as_str().unwrap().to_owned().leak();
    events
        .iter()
        .map(|event| (&*text(&event["subject"]), &*text(&event["device"])))
        .collect()
}

#[test]
fn any_topic_is_the_channel() {
    let server = start(plain(false));
    let topics = [
        "a",
        "site/7/temperature",
        "/a//b/",
        "temp/sensor02",
        "a/$will",
    ];
    for (version, topic) in [Version::V31, Version::V311, Version::V5]
        .into_iter()
        .cycle()
        .zip(topics)
    {
        publish(
            &server,
            version,
            "sensor01",
            &["-t", topic, "-m", "1", "-q", "1"],
        )
        .success();
    }
    let events = server.wait_published(APP, topics.len());
    let expected: Vec<_> = topics.iter().map(|topic| (*topic, "sensor01")).collect();
    assert_eq!(told(&events), expected);
}

#[test]
fn with_device_prefix_the_first_level_is_always_the_device() {
    let server = start(plain(true));
    for topic in ["sensor02/a/b", "/a/b", "gateway01/c"] {
        publish(
            &server,
            Version::V311,
            "gateway01",
            &["-t", topic, "-m", "1", "-q", "1"],
        )
        .success();
    }
    let events = server.wait_published(APP, 3);
    assert_eq!(
        told(&events),
        [
            ("a/b", "sensor02"),
            ("a/b", "gateway01"),
            ("c", "gateway01")
        ]
    );
    assert!(events.iter().all(|event| event["sender"] == "gateway01"));
}

#[test]
fn with_device_prefix_the_gateway_rule_holds_and_one_level_is_no_topic() {
    let server = start(plain(true));
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    for (topic, reason) in [
        ("sensor03/a", 0x87),
        ("nobody/a", 0x87),
        ("sensor02", 0x90),
        ("sensor02/", 0x90),
        ("sensor02/a", 0),
    ] {
        assert_eq!(gateway.publish_1(topic, b"1").reason(), reason, "{topic}");
    }
    server.wait_published(APP, 1);
}

#[test]
fn commands_come_in_the_inbox_of_the_default_dialect() {
    let server = start(plain(true));
    let mut subscriber = Subscriber::start(
        &server,
        Version::V311,
        "sensor01",
        "command/inbox//#",
        &["-q", "1"],
    );
    assert_eq!(server.command("sensor01", "go", b"7").status, 200);
    assert_eq!(subscriber.message(), "command/inbox//go 1 7");
    subscriber.stop();
}

#[test]
fn base64_is_decoded_before_the_event_and_commands_are_encoded() {
    let server = start(json!({ "payloadEncoding": "base64" }));
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    // {"a":1}, and the bytes 0xff 0xfe.
    assert_eq!(sensor.publish_1("json", b"eyJhIjoxfQ==").reason(), 0);
    assert_eq!(sensor.publish_1("bytes", b"//4=").reason(), 0);
    assert_eq!(sensor.publish_1("empty", b"").reason(), 0);
    let events = server.wait_published(APP, 3);
    assert_eq!(events[0]["data"], json!({ "a": 1 }));
    assert_eq!(events[0]["datacontenttype"], "application/json");
    assert_eq!(events[1]["data_base64"], "//4=");
    assert!(events[2].get("data").is_none());

    assert_eq!(sensor.subscribe("command/inbox//#", 1), 1);
    let command = std::thread::scope(|scope| {
        let sent = scope.spawn(|| server.command("sensor01", "go", b"\xff\xfe").status);
        let command = sensor.take_command();
        assert_eq!(sent.join().unwrap(), 200);
        command
    });
    assert_eq!(command.payload, b"//4=");
}

#[test]
fn a_payload_that_is_not_base64_is_refused_and_the_setting_acts_at_once() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    assert_eq!(sensor.publish_1("a", b"{}").reason(), 0);
    server.edit_device("sensor01", |document| {
        document["spec"]["mqtt"] = json!({ "payloadEncoding": "base64" });
    });
    until("the new encoding", || {
        (sensor.publish_1("a", b"{}").reason() == 0x99).then_some(())
    });
    // At QoS 0 there is nobody to tell: dropped, counted.
    sensor.publish(&Publish::new("a", b"{}"));
    sensor.ping();
    let metrics = server.ops().get("/metrics").text();
    let refused = "landfall_publishes_refused_total{cause=\"bad_payload\"}";
    assert!(metrics.contains(refused), "{metrics}");
}
