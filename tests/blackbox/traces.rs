//! Traces: a device's trace goes on in its event and at the collector.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::wire::{Client, Publish, Version, kind};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// An OpenTelemetry collector as small as can be: the bodies of what is posted to it.
fn collector() -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, bodies) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || serve(&stream, &sender));
        }
    });
    (port, bodies)
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, bodies: &Sender<Value>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            let (name, value) = line.split_once(':').unwrap_or((line.trim(), ""));
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        if length == 0 || reader.read_exact(&mut body).is_err() {
            return;
        }
        let _ = bodies.send(serde_json::from_slice(&body).unwrap());
        let mut writer = stream;
        let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    }
}

fn start(port: u16) -> Server {
    let address = format!("http://127.0.0.1:{port}/v1/traces");
    let section = format!("[telemetry]\notlp_endpoint = \"{address}\"\n");
    Server::builder().settings(&section).start_shared()
}

/// The property `traceparent`, as a client encodes it.
fn trace_parent(flags: &str) -> Vec<u8> {
    let value = format!("00-{TRACE}-{PARENT}-{flags}");
    let mut property = vec![0x26];
    for text in ["traceparent", &value] {
        let length = u16::try_from(text.len()).unwrap();
        property.extend(length.to_be_bytes());
        property.extend(text.as_bytes());
    }
    property
}

fn publish(sensor: &mut Client, channel: &str, flags: &str) {
    let publish = Publish::new(channel, b"1").qos(1, 1);
    sensor.publish(&publish.properties(&trace_parent(flags)));
    assert_eq!(sensor.expect(kind::PUBACK).reason(), 0);
}

/// The next so many spans; they come in requests of any size.
fn next_spans(bodies: &Receiver<Value>, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    while all.len() < count {
        let body = bodies.recv_timeout(Duration::from_secs(60)).expect("spans");
        let resource = body["resourceSpans"][0]["resource"]["attributes"].to_string();
        assert!(resource.contains("\"landfall\""), "{resource}");
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        all.extend(spans.as_array().unwrap().iter().cloned());
    }
    assert_eq!(all.len(), count, "{all:#?}");
    all
}

/// The span of this name.
#[track_caller]
fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let found = spans.iter().find(|span| span["name"] == name);
    found.unwrap_or_else(|| panic!("no span {name}: {spans:#?}"))
}

/// What a span says under this name.
fn attribute<'a>(span: &'a Value, key: &str) -> &'a str {
    let mut attributes = span["attributes"].as_array().unwrap().iter();
    let found = attributes.find(|attribute| attribute["key"] == key);
    found.map_or("", |found| found["value"]["stringValue"].as_str().unwrap())
}

fn time(span: &Value, key: &str) -> u64 {
    span[key].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_devices_trace_goes_on_in_its_event_and_at_the_collector() {
    let (port, bodies) = collector();
    let server = start(port);
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish(&mut sensor, "traced", "01");
    let event = server.wait_published(APP, 1).remove(0);
    let spans = next_spans(&bodies, 2);
    let span = named(&spans, "publish");
    assert_eq!(span["traceId"], TRACE);
    assert_eq!(span["parentSpanId"], PARENT);
    assert_eq!(span["status"]["code"], 1);
    assert_eq!(attribute(span, "messaging.destination.name"), "traced");
    assert_eq!(attribute(span, "messaging.operation.type"), "create");
    assert_eq!(attribute(span, "landfall.device"), "sensor01");
    assert!(time(span, "startTimeUnixNano") <= time(span, "endTimeUnixNano"));
    // Who consumes the event is a child of the server's span.
    let own = span["spanId"].as_str().unwrap();
    assert_ne!(own, PARENT);
    assert_eq!(event["traceparent"], format!("00-{TRACE}-{own}-01"));

    // And so is what the sink did, within it.
    let sink = named(&spans, "send events");
    assert_eq!(sink["traceId"], TRACE);
    assert_eq!(sink["parentSpanId"], own);
    assert_ne!(sink["spanId"], span["spanId"]);
    assert_eq!(
        (&sink["kind"], &sink["status"]["code"]),
        (&3.into(), &1.into())
    );
    assert_eq!(attribute(sink, "messaging.system"), "log");
    assert_eq!(attribute(sink, "messaging.operation.type"), "send");
    assert!(time(span, "startTimeUnixNano") <= time(sink, "startTimeUnixNano"));
    assert!(time(sink, "startTimeUnixNano") <= time(sink, "endTimeUnixNano"));
    let metrics = server.ops().get("/metrics").expect_status(200).text();
    assert!(
        !metrics.contains("landfall_spans_total{outcome=\"failed\"} 1"),
        "{metrics}"
    );
}

/// An HTTP receiver that refuses everything, and its port.
fn refuser(runtime: &Runtime) -> u16 {
    let router = Router::new().fallback(|| async { StatusCode::BAD_REQUEST });
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listener = runtime.block_on(listener).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async { axum::serve(listener, router).await });
    port
}

#[test]
fn a_sink_that_refuses_an_event_is_seen_in_its_span() {
    let runtime = Runtime::new().unwrap();
    let (port, bodies) = collector();
    let server = Server::builder()
        .settings(&format!(
            "[telemetry]\notlp_endpoint = \"http://127.0.0.1:{port}/v1/traces\"\n\
             [[sinks]]\nname = \"far\"\ntype = \"http\"\nurl = \"http://127.0.0.1:{}/\"\n",
            refuser(&runtime)
        ))
        .start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let publish = Publish::new("unwanted", b"1").qos(1, 1);
    sensor.publish(&publish.properties(&trace_parent("01")));
    assert_eq!(sensor.expect(kind::PUBACK).reason(), 0x83);
    let spans = next_spans(&bodies, 3);
    let publish = named(&spans, "publish");
    for name in ["send events", "send far"] {
        assert_eq!(named(&spans, name)["parentSpanId"], publish["spanId"]);
    }
    assert_eq!(named(&spans, "send events")["status"]["code"], 1);
    for refused in [publish, named(&spans, "send far")] {
        assert_eq!(refused["status"]["code"], 2, "{refused:#}");
        assert_eq!(attribute(refused, "error.type"), "rejected");
    }
}

/// Nobody waits for the sinks at QoS 0, but their spans do.
#[test]
fn a_publish_of_qos_0_has_spans_at_its_sinks_too() {
    let (port, bodies) = collector();
    let server = start(port);
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    sensor.publish(&Publish::new("traced", b"1").properties(&trace_parent("01")));
    let spans = next_spans(&bodies, 2);
    let publish = named(&spans, "publish");
    assert_eq!(publish["status"], serde_json::json!({}));
    let sink = named(&spans, "send events");
    assert_eq!(sink["parentSpanId"], publish["spanId"]);
    assert_eq!(sink["status"]["code"], 1);
}

#[test]
fn a_trace_that_is_not_sampled_passes_untouched() {
    let (port, bodies) = collector();
    let mut server = start(port);
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish(&mut sensor, "quiet", "00");
    publish(&mut sensor, "traced", "01");
    let events = server.wait_published(APP, 2);
    assert_eq!(events[0]["traceparent"], format!("00-{TRACE}-{PARENT}-00"));
    // What has ended is sent before the server does.
    server.terminate();
    assert!(server.wait().success());
    let spans = next_spans(&bodies, 2);
    let publish = named(&spans, "publish");
    assert_eq!(attribute(publish, "messaging.destination.name"), "traced");
}
