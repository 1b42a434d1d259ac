//! Events at a backend broker: their form, what it refuses, and how it is reached.

use serde_json::Value;

use crate::harness::documents::RECEIVER_TOKEN;
use crate::harness::{Server, wait};
use crate::tools::authority::{Authority, Leaf};
use crate::tools::broker::Broker;
use crate::wire::{Client, Version};

/// A server that publishes to the broker with these further keys.
fn server(broker: &Broker, keys: &str) -> Server {
    server_at(&format!("mqtt://127.0.0.1:{}", broker.port()), keys)
}

fn server_at(url: &str, keys: &str) -> Server {
    let sink = format!("[[sinks]]\nname = \"backend\"\ntype = \"mqtt\"\nurl = \"{url}\"\n{keys}");
    Server::builder()
        .without_log_sink()
        .settings(&sink)
        .start_shared()
}

/// A server whose broker cannot be reached.
fn unready(url: &str, keys: &str) -> Server {
    let sink = format!("[[sinks]]\nname = \"backend\"\ntype = \"mqtt\"\nurl = \"{url}\"\n{keys}");
    Server::builder()
        .without_log_sink()
        .settings(&sink)
        .unready()
        .start_shared()
}

fn anonymous() -> Broker {
    Broker::start("allow_anonymous true", &[])
}

fn publish(server: &Server, topic: &str, payload: &[u8]) -> u8 {
    let mut sensor = Client::device(server, Version::V5, "sensor01");
    let reason = sensor.publish_1(topic, payload).reason();
    sensor.disconnect();
    reason
}

#[test]
fn mqtt_5_carries_attributes_as_user_properties() {
    let broker = anonymous();
    let reader = broker.subscribe(&[]);
    let keys = "retain = true\nmessage_expiry = \"1m\"\nresponse_topic = \"answers/{device}\"\n\
                client_id_prefix = \"probe\"\n";
    let server = server(&broker, keys);
    assert_eq!(publish(&server, "temp", b"{\"t\":1}"), 0);
    let message = reader.message("events/app/sensor01/temp");
    assert_eq!(message["qos"], 1);
    assert_eq!(message["payload"]["t"], 1);
    let properties = &message["properties"];
    assert_eq!(properties["content-type"], "application/json");
    assert_eq!(properties["response-topic"], "answers/sensor01");
    assert!(properties["message-expiry-interval"].as_u64().unwrap() <= 60);
    let user = properties["user-properties"].to_string();
    for part in [
        "specversion",
        "io.drogue.event.v1",
        "drogue://app/sensor01",
        "temp",
    ] {
        assert!(user.contains(part), "{part} in {user}");
    }
    // A subscriber that comes later gets what the broker has retained.
    drop(reader);
    let reader = broker.subscribe(&[]);
    assert_eq!(reader.message("events/app/sensor01/temp")["retain"], 1);
    broker
        .log()
        .wait_for(0, &["New client connected", "as probe-", "c1"]);
}

#[test]
fn mqtt_3_1_1_carries_structured_events() {
    let broker = anonymous();
    let reader = broker.subscribe(&[]);
    let server = server(
        &broker,
        "version = \"3.1.1\"\ntopic = \"in/{application}\"\n",
    );
    assert_eq!(publish(&server, "temp", b"text"), 0);
    let event = wait::until("a structured event", || {
        let mut messages = reader.messages().into_iter();
        messages.find(|message| message["payload"]["subject"] == "temp")
    });
    assert_eq!(event["topic"], "in/app");
    assert_eq!(event["payload"]["data_base64"], "dGV4dA==");
}

#[test]
fn a_message_that_the_broker_cannot_take_is_refused_and_the_next_one_passes() {
    let broker = Broker::start("allow_anonymous true\nmax_packet_size 4000", &[]);
    let server = server(&broker, "");
    assert_eq!(publish(&server, "temp", &[b'x'; 5_000]), 0x97);
    assert_eq!(publish(&server, "temp", b"short"), 0);
}

#[test]
fn a_sink_that_is_not_required_refuses_nobody() {
    let broker = Broker::start("allow_anonymous true\nmax_packet_size 4000", &[]);
    let port = broker.port();
    let sink = format!(
        "[[sinks]]\nname = \"backend\"\ntype = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\n\
         required = false\n"
    );
    let server = Server::builder().settings(&sink).start_shared();
    assert_eq!(publish(&server, "temp", &[b'x'; 5_000]), 0);
    wait::until("the refusal", || {
        let metrics = server.ops().get("/metrics").text();
        let line = "landfall_sink_events_refused_total{sink=\"backend\"} 1";
        metrics.contains(line).then_some(())
    });
}

#[test]
fn a_broker_that_refuses_the_log_in_is_a_reason_not_to_be_ready() {
    let settings = "allow_anonymous false\npassword_file FOLDER/passwords";
    let broker = Broker::start(settings, &[("passwords", "")]);
    let keys = format!("username = \"landfall\"\npassword = \"{RECEIVER_TOKEN}\"\n");
    let server = unready(&format!("mqtt://127.0.0.1:{}", broker.port()), &keys);
    server.wait_not_ready("sink backend: no connection to the MQTT broker: ");
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    sensor.publish(&crate::wire::Publish::new("temp", b"1").qos(1, 1));
    server.wait_not_ready("sink backend: application app: no connection to the MQTT broker: ");
}

#[test]
fn tls_with_pem_and_pkcs12_reaches_the_broker() {
    let authority = Authority::root("Backend CA");
    let broker_certificate = authority.server(&["localhost"]);
    let device = authority.issue(&Leaf::device("landfall"));
    let settings = "allow_anonymous true\ncafile FOLDER/ca.pem\ncertfile FOLDER/server.pem\n\
                    keyfile FOLDER/server.key\nrequire_certificate true";
    let files = [
        ("ca.pem", authority.pem.as_str()),
        ("server.pem", broker_certificate.chain.as_str()),
        ("server.key", broker_certificate.key.as_str()),
        ("client.pem", device.chain.as_str()),
        ("client.key", device.key.as_str()),
    ];
    let broker = Broker::start(settings, &files);
    let folder = broker.folder().display();
    let pkcs12 = |arguments: &[&str]| {
        let made = std::process::Command::new("openssl")
            .args(["pkcs12", "-export", "-passout", "pass:store-pw-9a1c"])
            .args(arguments)
            .current_dir(broker.folder())
            .status();
        assert!(made.unwrap().success());
    };
    pkcs12(&["-nokeys", "-in", "ca.pem", "-out", "trust.p12"]);
    pkcs12(&[
        "-in",
        "client.pem",
        "-inkey",
        "client.key",
        "-out",
        "client.p12",
    ]);

    let pem = format!(
        "[sinks.tls]\ntrust = \"{folder}/ca.pem\"\ncertificate = \"{folder}/client.pem\"\n\
         key = \"{folder}/client.key\"\n"
    );
    let inline = format!(
        "[sinks.tls]\ntrust_data = '''{}'''\nkey_store_data = '''{}{}'''\n",
        authority.pem, device.chain, device.key
    );
    let stores = format!(
        "[sinks.tls]\ntrust = \"{folder}/trust.p12\"\ntrust_password = \"store-pw-9a1c\"\n\
         key_store = \"{folder}/client.p12\"\nkey_store_password = \"store-pw-9a1c\"\n"
    );
    for keys in [pem.clone(), inline, stores] {
        let server = server_at(&format!("mqtts://localhost:{}", broker.port()), &keys);
        assert_eq!(publish(&server, "temp", b"1"), 0, "{keys}");
    }
    // The certificate is for `localhost`, not for its address.
    let by_address = format!("mqtts://127.0.0.1:{}", broker.port());
    unready(&by_address, &pem).wait_not_ready("sink backend: no connection to the MQTT broker: ");
    let server = server_at(&by_address, &format!("{pem}any_host_name = true\n"));
    assert_eq!(publish(&server, "temp", b"1"), 0);
}

#[test]
fn events_go_to_a_file_too() {
    let sink = "[[sinks]]\nname = \"lines\"\ntype = \"file\"\npath = \"events.jsonl\"\n";
    let server = Server::builder()
        .without_log_sink()
        .settings(sink)
        .start_shared();
    assert_eq!(publish(&server, "temp", b"21.5"), 0);
    let text = std::fs::read_to_string(server.folder().join("events.jsonl")).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        events
            .iter()
            .any(|event| event["subject"] == "temp" && event["data"] == 21.5)
    );
}
