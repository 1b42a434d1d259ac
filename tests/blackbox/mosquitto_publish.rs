//! `mosquitto_pub` into the event log.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, WRONG_PASSWORD, user};
use crate::tools::mosquitto::{publish, publish_as_told};
use crate::wire::Version;

/// The published event of this channel.
fn of_channel<'e>(events: &'e [Value], channel: &str) -> &'e Value {
    events
        .iter()
        .find(|event| event["subject"] == channel)
        .expect("an event of the channel")
}

#[test]
fn every_version_and_qos_becomes_one_event_each() {
    let server = Server::shared();
    for version in Version::ALL {
        for qos in ["0", "1", "2"] {
            let channel = format!("{version:?}-{qos}");
            let arguments = ["-t", &channel, "-q", qos, "-m", r#"{"temp":21.5}"#];
            publish(&server, version, "sensor01", &arguments).success();
        }
    }
    let events = server.wait_published(APP, 9);
    for version in Version::ALL {
        for qos in 0..3 {
            let event = of_channel(&events, &format!("{version:?}-{qos}"));
            assert_eq!(event["device"], "sensor01");
            assert_eq!(event["data"], json!({ "temp": 21.5 }));
        }
    }
}

#[test]
fn a_gateway_speaks_for_a_device_that_selects_it() {
    let server = Server::shared();
    for version in Version::ALL {
        let channel = format!("{version:?}");
        let topic = format!("{channel}/sensor02");
        let arguments = ["-t", &topic, "-q", "1", "-m", "1"];
        publish(&server, version, "gateway01", &arguments).success();
    }
    for event in server.wait_published(APP, 3) {
        assert_eq!(event["device"], "sensor02");
        assert_eq!(event["sender"], "gateway01");
        assert_eq!(event["source"], "drogue://app/sensor02");
        assert_eq!(event["partitionkey"], "app/gateway01");
    }
}

#[test]
fn refuses_publish_for_a_device_that_does_not_select_the_gateway() {
    let server = Server::shared();
    for version in Version::ALL {
        for qos in ["0", "1", "2"] {
            let arguments = ["-t", "refused/sensor03", "-q", qos, "-m", "1"];
            let ended = publish(&server, version, "gateway01", &arguments);
            match (version, qos) {
                // Dropped and counted: the client cannot know.
                (_, "0") => assert_eq!(ended.code, 0, "{}", ended.output),
                // PUBACK and PUBREC carry 0x87.
                (Version::V5, _) => {
                    assert!(ended.output.contains("Not authorized"), "{}", ended.output);
                }
                // 3.x has no negative acknowledgement: the connection is closed.
                _ => assert_ne!(ended.code, 0, "{}", ended.output),
            }
        }
    }
    publish(
        &server,
        Version::V5,
        "gateway01",
        &["-t", "last", "-q", "1", "-m", "1"],
    )
    .success();
    let events = server.wait_published(APP, 1);
    assert_eq!(events[0]["subject"], "last");
}

#[test]
fn the_content_type_is_the_publishers_word_or_what_the_payload_is() {
    let server = Server::shared();
    let text = [
        "-D",
        "publish",
        "content-type",
        "text/plain",
        "-q",
        "1",
        "-m",
        "7",
        "-t",
        "told",
    ];
    publish(&server, Version::V5, "sensor01", &text).success();
    for (channel, payload) in [
        ("json", "[1, 2]"),
        ("bytes", "not json"),
        ("number", "21.5"),
    ] {
        let arguments = ["-t", channel, "-q", "1", "-m", payload];
        publish(&server, Version::V311, "sensor01", &arguments).success();
    }
    publish(
        &server,
        Version::V311,
        "sensor01",
        &["-t", "empty", "-q", "1", "-n"],
    )
    .success();

    let events = server.wait_published(APP, 5);
    let content_type = |channel| of_channel(&events, channel)["datacontenttype"].clone();
    assert_eq!(content_type("told"), "text/plain");
    assert_eq!(content_type("json"), "application/json");
    assert_eq!(content_type("number"), "application/json");
    assert_eq!(content_type("bytes"), "application/octet-stream");
    assert_eq!(of_channel(&events, "json")["data"], json!([1, 2]));
    assert_eq!(of_channel(&events, "told")["data_base64"], "Nw==");
    assert_eq!(of_channel(&events, "bytes")["data_base64"], "bm90IGpzb24=");
    assert!(of_channel(&events, "told").get("data").is_none());
}

#[test]
fn payload_that_is_not_the_json_its_content_type_says_is_refused() {
    let server = Server::shared();
    for content_type in [
        "application/json",
        "application/senml+json",
        "text/json; charset=utf-8",
    ] {
        let arguments = [
            "-D",
            "publish",
            "content-type",
            content_type,
            "-q",
            "1",
            "-m",
            "{nope",
            "-t",
            "bad",
        ];
        let ended = publish(&server, Version::V5, "sensor01", &arguments);
        assert!(
            ended.output.contains("Payload format invalid"),
            "{}",
            ended.output
        );
    }
    publish(
        &server,
        Version::V5,
        "sensor01",
        &["-t", "last", "-q", "1", "-m", "1"],
    )
    .success();
    assert_eq!(server.wait_published(APP, 1)[0]["subject"], "last");
}

#[test]
fn refuses_a_session_that_is_not_clean() {
    let server = Server::shared();
    for (version, code, text) in [
        (Version::V31, 3, "unavailable"),
        (Version::V311, 3, "unavailable"),
        (Version::V5, 0x83, "Implementation specific"),
    ] {
        let ended = publish(
            &server,
            version,
            "sensor01",
            &["-c", "-t", "x", "-q", "1", "-m", "1"],
        );
        assert_eq!(ended.code, code, "{version:?}: {}", ended.output);
        assert!(ended.output.contains(text), "{version:?}: {}", ended.output);
    }
}

#[test]
fn refuses_wrong_passwords_and_unknown_devices_alike() {
    let server = Server::shared();
    for (version, code) in [(Version::V31, 4), (Version::V311, 4), (Version::V5, 0x86)] {
        for device in ["sensor01", "nobody", "sensor02"] {
            let user = user(device);
            let arguments = [
                "-i",
                "x",
                "-u",
                &user,
                "-P",
                WRONG_PASSWORD,
                "-t",
                "x",
                "-q",
                "1",
                "-m",
                "1",
            ];
            let ended = publish_as_told(&server, version, &arguments);
            assert_eq!(ended.code, code, "{version:?} {device}: {}", ended.output);
        }
    }
}

#[test]
fn retained_publish_of_3_x_passes_on_as_an_extension() {
    let server = Server::shared();
    for version in [Version::V31, Version::V311] {
        publish(
            &server,
            version,
            "sensor01",
            &["-r", "-t", "kept", "-q", "1", "-m", "1"],
        )
        .success();
    }
    for event in server.wait_published(APP, 2) {
        assert_eq!(event["mqttretain"], true, "{event:#}");
    }
}

#[test]
fn user_properties_of_a_trace_become_extensions() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let server = Server::shared();
    let arguments = [
        "-D",
        "publish",
        "user-property",
        "traceparent",
        TRACE,
        "-D",
        "publish",
        "user-property",
        "tracestate",
        "vendor=1",
        "-D",
        "publish",
        "user-property",
        "dataschema",
        "urn:example:temp",
        "-D",
        "publish",
        "user-property",
        "other",
        "ignored",
        "-t",
        "traced",
        "-q",
        "1",
        "-m",
        "1",
    ];
    publish(&server, Version::V5, "sensor01", &arguments).success();
    let event = &server.wait_published(APP, 1)[0];
    assert_eq!(event["traceparent"], TRACE);
    assert_eq!(event["tracestate"], "vendor=1");
    assert_eq!(event["dataschema"], "urn:example:temp");
    assert!(event.get("other").is_none(), "{event:#}");
}
