//! What the sinks send, read by the official CloudEvents SDK for Python.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::process::Process;
use crate::harness::{Server, ports, wait};
use crate::tools::{kafka, paho};
use crate::wire::encode::string_property;
use crate::wire::{Client, Publish, Version};

/// Has the SDK read the messages.
fn read(messages: &[Value]) -> Vec<Value> {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients");
    let mut reader = Process::spawn(
        Command::new(paho::python())
            .current_dir(clients)
            .args(["-B", "cloudevents_reader.py"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let mut input = reader.child().stdin.take().expect("a pipe");
    let lines = BufReader::new(reader.child().stdout.take().expect("a pipe")).lines();
    for message in messages {
        writeln!(input, "{message}").expect("a reader");
    }
    drop(input);
    let events: Vec<Value> = lines
        .map(|line| serde_json::from_str(&line.expect("text")).expect("JSON"))
        .collect();
    assert_eq!(events.len(), messages.len(), "each message is an event");
    events
}

/// Publishes JSON, text and nothing, and a name that needs care.
fn publish(server: &Server) {
    let mut sensor = Client::device(server, Version::V5, "sensor01");
    let text = string_property(0x03, "text/plain; charset=utf-8");
    assert_eq!(sensor.publish_1("json", b"{\"t\": 21.5}").reason(), 0);
    for (topic, payload, properties) in [
        ("text", &b"gr\xc3\xbc\xc3\x9fe"[..], &text[..]),
        ("empty", b"", &[]),
        ("\u{e4} \"%\"", b"\x00\xff", &[]),
    ] {
        let publish = Publish::new(topic, payload)
            .qos(1, 7)
            .properties(properties);
        sensor.publish(&publish);
        assert_eq!(sensor.expect(crate::wire::kind::PUBACK).reason(), 0);
    }
    sensor.disconnect();
}

fn check(events: &[Value]) {
    let of = |subject: &str| {
        let mut events = events.iter();
        let found = events.find(|event| event["attributes"]["subject"] == subject);
        found.unwrap_or_else(|| panic!("no event of {subject} in {events:?}"))
    };
    let json = of("json");
    assert_eq!(json["data"], json!({ "t": 21.5 }));
    for (name, value) in [
        ("type", "io.drogue.event.v1"),
        ("source", "drogue://app/sensor01"),
        ("datacontenttype", "application/json"),
        ("application", "app"),
        ("device", "sensor01"),
        ("sender", "sensor01"),
        ("partitionkey", "app/sensor01"),
        ("specversion", "1.0"),
    ] {
        assert_eq!(json["attributes"][name], value, "{name}");
    }
    let text = of("text");
    assert_eq!(
        text["attributes"]["datacontenttype"],
        "text/plain; charset=utf-8"
    );
    assert_eq!(bytes(&text["data"]), "grüße".as_bytes());
    assert_eq!(bytes(&of("empty")["data"]), b"");
    assert_eq!(bytes(&of("\u{e4} \"%\"")["data"]), b"\x00\xff");
}

fn bytes(data: &Value) -> Vec<u8> {
    match data {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        data => STANDARD
            .decode(data["base64"].as_str().expect("bytes"))
            .expect("Base64"),
    }
}

type Kept = Arc<Mutex<Vec<Value>>>;

async fn keep(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let headers: BTreeMap<_, _> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
        .collect();
    if headers.contains_key("content-type") || headers.contains_key("ce-id") {
        let message = json!({
            "binding": "http", "headers": headers, "key": null, "body": STANDARD.encode(&body),
        });
        kept.lock().unwrap().push(message);
    }
    StatusCode::NO_CONTENT
}

#[test]
fn the_sdk_reads_what_http_posts() {
    let runtime = Runtime::new().unwrap();
    for mode in ["binary", "structured"] {
        let kept = Kept::default();
        let router = Router::new().fallback(keep).with_state(kept.clone());
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async { axum::serve(listener, router).await });
        let server = Server::builder()
            .without_log_sink()
            .settings(&format!(
                "[[sinks]]\nname = \"far\"\ntype = \"http\"\nurl = \"http://{address}/\"\n\
                 mode = \"{mode}\"\n"
            ))
            .start_shared();
        publish(&server);
        check(&read(&kept.lock().unwrap()));
    }
}

#[test]
fn the_sdk_reads_what_kafka_has() {
    for mode in ["binary", "structured"] {
        let port = ports::free();
        let _broker = kafka::start(port, port);
        kafka::make_topic(&kafka::client(port), "events-app");
        let server = Server::builder()
            .without_log_sink()
            .settings(&format!(
                "[[sinks]]\nname = \"far\"\ntype = \"kafka\"\nbrokers = \"127.0.0.1:{port}\"\n\
                 mode = \"{mode}\"\n"
            ))
            .start_shared();
        publish(&server);
        check(&read(&messages(port)));
    }
}

/// Everything in the topic.
fn messages(port: u16) -> Vec<Value> {
    const TOPIC: &str = "events-app";
    let consumer: BaseConsumer = kafka::client(port)
        .set("group.id", "sdk")
        .set("session.timeout.ms", "2000")
        .create()
        .unwrap();
    let mut start = TopicPartitionList::new();
    start
        .add_partition_offset(TOPIC, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&start).unwrap();
    let patience = Duration::from_secs(30);
    let (_, end) = consumer.fetch_watermarks(TOPIC, 0, patience).unwrap();
    let mut messages = Vec::new();
    wait::until("all messages", || {
        let message = consumer.poll(patience)?.unwrap();
        let headers: BTreeMap<_, _> = message
            .headers()
            .expect("headers")
            .iter()
            .map(|header| {
                (
                    header.key,
                    String::from_utf8_lossy(header.value.unwrap_or_default()),
                )
            })
            .collect();
        messages.push(json!({
            "binding": "kafka",
            "headers": headers,
            "key": String::from_utf8_lossy(message.key().unwrap_or_default()),
            "body": STANDARD.encode(message.payload().unwrap_or_default()),
        }));
        (message.offset() + 1 >= end).then_some(())
    });
    messages
}
