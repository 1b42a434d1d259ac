//! Traces: a device's trace goes on in its event and at the collector.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

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

fn next_spans(bodies: &Receiver<Value>) -> Vec<Value> {
    let body = bodies.recv_timeout(Duration::from_secs(60)).expect("spans");
    let resource = body["resourceSpans"][0]["resource"]["attributes"].to_string();
    assert!(resource.contains("\"landfall\""), "{resource}");
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    spans.as_array().unwrap().clone()
}

#[test]
fn a_devices_trace_goes_on_in_its_event_and_at_the_collector() {
    let (port, bodies) = collector();
    let server = start(port);
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish(&mut sensor, "traced", "01");
    let event = server.wait_published(APP, 1).remove(0);
    let spans = next_spans(&bodies);
    assert_eq!(spans.len(), 1, "{spans:?}");
    let span = &spans[0];
    assert_eq!(span["traceId"], TRACE);
    assert_eq!(span["parentSpanId"], PARENT);
    assert_eq!(span["status"]["code"], 1);
    let attributes = span["attributes"].to_string();
    assert!(attributes.contains("\"traced\"") && attributes.contains("\"sensor01\""));
    let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
    // Who consumes the event is a child of the server's span.
    let own = span["spanId"].as_str().unwrap();
    assert_ne!(own, PARENT);
    assert_eq!(event["traceparent"], format!("00-{TRACE}-{own}-01"));
    let metrics = server.ops().get("/metrics").expect_status(200).text();
    assert!(
        !metrics.contains("landfall_spans_total{outcome=\"failed\"} 1"),
        "{metrics}"
    );
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
    let spans = next_spans(&bodies);
    assert_eq!(spans.len(), 1);
    assert!(
        spans[0]["attributes"].to_string().contains("\"traced\""),
        "{spans:?}"
    );
}
