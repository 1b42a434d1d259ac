//! Stock clients that know nothing of Landfall, with the names and topics of each dialect.

use serde_json::json;

use crate::harness::Server;
use crate::harness::documents::{APP, SENSOR_PASSWORD, device, shared_devices};
use crate::tools::mosquitto::{Subscriber, publish_as_told};
use crate::tools::node::Script;
use crate::wire::Version;

/// How a device of a dialect comes, what it sends, and what it is sent.
struct Case {
    dialect: &'static str,
    device: &'static str,
    client_id: &'static str,
    user: &'static str,
    topic: &'static str,
    subject: &'static str,
    filter: &'static str,
    command: &'static str,
    /// What the command's topic begins with.
    delivered: &'static str,
}

const PLAIN_TOPIC: Case = Case {
    dialect: "plainTopic",
    device: "sensor01",
    client_id: "any",
    user: "sensor01@app",
    topic: "plant/7/$x",
    subject: "plant/7/$x",
    filter: "command/inbox//#",
    command: "on",
    delivered: "command/inbox//on",
};

const WATSON: Case = Case {
    dialect: "watsonIoT",
    device: "mydevice:device1",
    client_id: "d:app:mydevice:device1",
    user: "use-token-auth",
    topic: "iot-2/evt/status/fmt/json",
    subject: "status",
    filter: "iot-2/cmd/+/fmt/+",
    command: "reboot",
    delivered: "iot-2/cmd/reboot/fmt/",
};

const AZURE: Case = Case {
    dialect: "azureIotHub",
    device: "sensor01",
    client_id: "sensor01",
    user: "app.example.com/sensor01/?api-version=2021-04-12",
    topic: "devices/sensor01/messages/events/",
    subject: "events",
    filter: "devices/sensor01/messages/devicebound/#",
    command: "set",
    delivered: "devices/sensor01/messages/devicebound/%24.to=",
};

const HONO: Case = Case {
    dialect: "hono",
    device: "sensor01",
    client_id: "any",
    user: "sensor01@app",
    topic: "telemetry",
    subject: "telemetry",
    filter: "command///req/#",
    command: "req-1:on",
    delivered: "command///req/req-1/on",
};

/// Clients that come one after the other.
const CLIENTS: usize = 4;

#[track_caller]
fn every_client_publishes_and_takes_a_command(case: &Case) {
    let mut devices = shared_devices();
    devices.push(device(WATSON.device, SENSOR_PASSWORD));
    let server = Server::builder().start_with(APP, &devices);
    let dialect = json!({ "type": case.dialect });
    server.edit_app(|document| document["spec"]["mqtt"] = json!({ "dialect": dialect }));
    for version in [Version::V311, Version::V5] {
        mosquitto(&server, version, case);
        mqtt_js(&server, version, case);
    }
    let events = server.wait_published(APP, CLIENTS);
    for event in events {
        assert_eq!(event["subject"], case.subject);
        assert_eq!(event["device"], case.device);
        assert_eq!(event["data"]["n"], 1);
    }
}

fn mosquitto(server: &Server, version: Version, case: &Case) {
    let log_in = ["-i", case.client_id, "-u", case.user, "-P", SENSOR_PASSWORD];
    let publish = ["-q", "1", "-t", case.topic, "-m", "{\"n\":1}"];
    publish_as_told(server, version, &[&log_in[..], &publish].concat()).success();
    let subscribe = ["-q", "1", "-t", case.filter];
    let arguments = [&log_in[..], &subscribe].concat();
    let mut subscriber = Subscriber::start_as_told(server, version, &arguments);
    assert_eq!(server.command(case.device, case.command, b"7").status, 200);
    let message = subscriber.message();
    assert!(message.starts_with(case.delivered), "{message}");
    assert!(message.ends_with(" 1 7"), "{message}");
    subscriber.stop();
}

fn mqtt_js(server: &Server, version: Version, case: &Case) {
    let settings = json!({
        "url": format!("mqtt://127.0.0.1:{}", server.mqtt().port()),
        "version": if version.is_5() { 5 } else { 4 },
        "clientId": case.client_id,
        "username": case.user,
        "topic": case.topic,
        "filter": case.filter,
    });
    let script = Script::start("dialect.mjs", &[&settings.to_string()]);
    script.log.wait_for(0, &["subscribed 1"]);
    assert_eq!(server.command(case.device, case.command, b"7").status, 200);
    let line = script.log.wait_for(0, &["command "]);
    let topic = format!("command {}", case.delivered);
    assert!(line.starts_with(&topic) && line.ends_with(" 7"), "{line}");
    script.success();
}

#[test]
fn of_plain_topics() {
    every_client_publishes_and_takes_a_command(&PLAIN_TOPIC);
}

#[test]
fn of_watson_iot() {
    every_client_publishes_and_takes_a_command(&WATSON);
}

#[test]
fn of_azure_iot_hub() {
    every_client_publishes_and_takes_a_command(&AZURE);
}

#[test]
fn of_hono() {
    every_client_publishes_and_takes_a_command(&HONO);
}
