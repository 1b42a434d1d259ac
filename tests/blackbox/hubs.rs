//! Devices of Azure IoT Hub and of Eclipse Hono. What each scenario does is in
//! `tests/clients/hub.py`.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, DEVICE_KEY, shared_devices};
use crate::tools::paho::run_with;

fn start(dialect: &str) -> Server {
    let keyed = |name: &str, mqtt: Value| {
        let key = json!({ "credentials": [{ "psk": { "key": DEVICE_KEY } }] });
        json!({
            "metadata": { "name": name, "application": APP },
            "spec": { "authentication": key, "mqtt": mqtt },
        })
    };
    let mut devices = shared_devices();
    devices.push(keyed("keyed01", json!({})));
    devices.push(keyed(
        "plain01",
        json!({ "dialect": { "type": "plainTopic" } }),
    ));
    let server = Server::builder().start_with(APP, &devices);
    let dialect = json!({ "type": dialect });
    server.edit_app(|document| document["spec"]["mqtt"] = json!({ "dialect": dialect }));
    server
}

#[track_caller]
fn run(server: &Server, scenario: &str) {
    run_with(server, "hub", scenario, &[("DEVICE_KEY", DEVICE_KEY)]);
}

#[test]
fn azure_devices_log_in_by_password_or_shared_access_signature() {
    run(&start("azureIotHub"), "azure_log_ins");
}

#[test]
fn azure_messages_go_both_ways() {
    let server = start("azureIotHub");
    run(&server, "azure_messages");
    let events = server.wait_published(APP, 2);
    assert_eq!(events[0]["subject"], "events");
    assert_eq!(events[0]["datacontenttype"], "application/json");
    assert_eq!(events[1]["data"], 2);
    assert_eq!(events[1]["contentencoding"], "utf-8");
    assert_eq!(events[1]["messageid"], "m-1");
    assert_eq!(events[1]["tempalert"], "true");
}

#[test]
fn hono_messages_go_both_ways() {
    let server = start("hono");
    run(&server, "hono_messages");
    let events = server.wait_published(APP, 7);
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let subjects: Vec<String> = events.iter().map(|event| text(event, "subject")).collect();
    let (telemetry, event) = ("telemetry", "event");
    let expected = [
        telemetry,
        telemetry,
        event,
        telemetry,
        "command-response",
        telemetry,
        event,
    ];
    assert_eq!(subjects, expected);
    assert_eq!(events[2]["datacontenttype"], "text/plain");
    assert_eq!(events[2]["foo"], "b r");
    assert_eq!(
        (text(&events[4], "requestid"), text(&events[4], "status")),
        ("req-1".into(), "200".into())
    );
    assert_eq!(events[5]["device"], "sensor02");
}
