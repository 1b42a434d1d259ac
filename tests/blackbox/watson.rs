//! Devices and gateways of IBM Watson IoT Platform, as its "MQTT connectivity for gateways" has
//! them: paho-mqtt on their own topics. What each scenario does is in `tests/clients/watson.py`.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, WATSON_TOKEN};
use crate::tools::paho::run_with;

/// A server whose application is an organization: two gateways, a device behind the first one, and
/// devices that are no business of theirs.
fn start(auto_register: Option<Value>) -> Server {
    let with = |name: &str, mut spec: Value| {
        spec["authentication"] = json!({ "credentials": [{ "pass": WATSON_TOKEN }] });
        json!({ "metadata": { "name": name, "application": APP }, "spec": spec })
    };
    let devices = [
        with("gate:g1", json!({})),
        with("gate:g2", json!({})),
        with(
            "mydevice:device1",
            json!({ "gatewaySelector": { "matchNames": ["gate:g1"] } }),
        ),
        with("mydevice:byhand", json!({})),
        with(
            "other:o1",
            json!({ "mqtt": { "dialect": { "type": "drogue/v1" } } }),
        ),
    ];
    let server = Server::builder()
        .settings("[limits]\nmaximum_packet_size = \"256KiB\"")
        .start_with(APP, &devices);
    let mut dialect = json!({ "type": "watsonIoT" });
    if let Some(options) = auto_register {
        dialect["autoRegister"] = options;
    }
    server.edit_app(|document| document["spec"]["mqtt"] = json!({ "dialect": dialect }));
    server
}

#[track_caller]
fn run(server: &Server, scenario: &str) {
    run_with(
        server,
        "watson",
        scenario,
        &[("WATSON_TOKEN", WATSON_TOKEN)],
    );
}

fn gateways(server: &Server, device: &str) -> Value {
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/{device}");
    let document = server.api().get(&path).expect_status(200).json();
    document["spec"]["gatewaySelector"]["matchNames"].clone()
}

#[test]
fn devices_log_in_by_client_id_and_token() {
    run(&start(None), "log_ins_by_client_id_and_token");
}

#[test]
fn a_session_that_is_not_clean_is_refused() {
    run(&start(None), "a_session_that_is_not_clean_is_refused");
}

#[test]
fn events_have_the_format_of_their_topic() {
    let server = start(None);
    run(&server, "events_of_itself_and_of_devices");
    let events = server.wait_published(APP, 5);
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            assert_eq!(event["subject"], "status");
            let text = |name: &str| event[name].as_str().unwrap();
            (
                text("device"),
                text("sender"),
                text("format"),
                text("datacontenttype"),
            )
        })
        .collect();
    let (own, gate) = ("mydevice:device1", "gate:g1");
    assert_eq!(
        told,
        [
            (own, own, "json", "application/json"),
            (own, own, "bin", "application/octet-stream"),
            (own, own, "mine", "application/octet-stream"),
            (gate, gate, "txt", "text/plain"),
            (own, gate, "json", "application/json"),
        ]
    );
    assert_eq!(events[0]["data"], json!({ "a": 1 }));
}

#[test]
fn payloads_are_limited_to_131072_bytes() {
    let server = start(None);
    run(&server, "payloads_have_a_limit");
    server.wait_published(APP, 1);
}

#[test]
fn refusals_are_told_by_code_and_counted() {
    let server = start(None);
    run(&server, "refusals_are_told_by_code");
    let metrics = server.ops().get("/metrics").text();
    for (cause, count) in [
        ("bad_topic", 4),
        ("gateway_not_selected", 1),
        ("bad_payload", 1),
    ] {
        let line = format!("landfall_publishes_refused_total{{cause=\"{cause}\"}} {count}");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

#[test]
fn commands_come_on_the_topics_of_the_device_and_of_its_gateway() {
    run(&start(None), "commands_for_itself_and_for_devices");
}

#[test]
fn a_gateway_is_notified_of_every_documented_cause() {
    let server = start(Some(
        json!({ "maxActive": 2, "maxDevices": 8, "retryPause": "1h" }),
    ));
    run(&server, "a_notification_for_every_cause");
    let metrics = server.ops().get("/metrics").text();
    for (outcome, count) in [("registered", 3), ("too_many", 1)] {
        let line = format!("landfall_device_registrations_total{{outcome=\"{outcome}\"}} {count}");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

#[test]
fn without_notifications_a_refusal_ends_the_connection() {
    run(
        &start(None),
        "without_notifications_a_refusal_ends_the_connection",
    );
}

#[test]
fn devices_are_registered_when_a_gateway_first_speaks_for_them() {
    let server = start(Some(json!({})));
    run(&server, "devices_are_registered_when_first_spoken_for");
    server.wait_published(APP, 2);
    for device in ["mydevice:new1", "mydevice:new2", "mydevice:new3"] {
        assert_eq!(gateways(&server, device), json!(["gate:g1"]), "{device}");
    }
}

#[test]
fn the_devices_of_one_subscribe_are_registered_several_at_once() {
    let server = start(Some(json!({ "maxPending": 3, "maxActive": 20 })));
    run(&server, "many_devices_in_one_subscribe");
    for (device, status) in [("many0", 200), ("many19", 200), ("many20", 404)] {
        let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/mydevice:{device}");
        assert_eq!(server.api().get(&path).status, status, "{device}");
    }
}

#[test]
fn a_gateway_that_floods_with_unknown_devices_is_told_and_held_back() {
    let server = start(Some(json!({ "maxActive": 5 })));
    run(&server, "a_flood_of_unknown_devices");
    server.wait_published(APP, 6);
    let metrics = server.ops().get("/metrics").text();
    for line in [
        "landfall_device_registrations_total{outcome=\"registered\"} 5",
        "landfall_publishes_refused_total{cause=\"too_many_active_devices\"} 295",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let logged = server.log().lines();
    let warned = logged
        .iter()
        .filter(|line| line.contains("publish refused"));
    assert_eq!(warned.count(), 1, "one warning for a connection");
}

#[test]
fn without_opting_in_no_device_is_registered() {
    let server = start(None);
    run(&server, "refusals_are_told_by_code");
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/mydevice:unknown");
    assert_eq!(server.api().get(&path).status, 404);
}

#[test]
fn a_registered_device_roams_if_the_application_says_so() {
    let server = start(Some(json!({ "roaming": true })));
    run(&server, "devices_roam");
    server.wait_published(APP, 3);
    assert_eq!(
        gateways(&server, "mydevice:roamer"),
        json!(["gate:g1", "gate:g2"])
    );
    let server = start(Some(json!({})));
    run(&server, "devices_do_not_roam");
    assert_eq!(gateways(&server, "mydevice:settled"), json!(["gate:g1"]));
}

#[test]
fn manage_and_unmanage_are_answered_and_are_events() {
    let server = start(None);
    run(&server, "managed_devices_are_answered");
    let events = server.wait_published(APP, 12);
    assert_eq!(events[0]["subject"], "iotdevice-1/mgmt/manage");
    assert_eq!(events[1]["subject"], "iotdevice-1/mgmt/unmanage");
    assert_eq!(events[0]["data"]["reqId"], "id-manage");
    let behind = |event: &&Value| event["device"] != event["sender"];
    assert_eq!(events.iter().filter(behind).count(), 4);
}

#[test]
fn management_requests_are_commands_and_responses_are_events() {
    let server = start(None);
    run(
        &server,
        "management_requests_are_commands_and_responses_events",
    );
    let event = &server.wait_published(APP, 1)[0];
    assert_eq!(event["subject"], "iotdevice-1/response");
    assert_eq!(event["device"], "mydevice:device1");
    assert_eq!(
        event["data"]["reqId"],
        "b53eb43e-401c-453c-b8f5-94b73290c056"
    );
}
