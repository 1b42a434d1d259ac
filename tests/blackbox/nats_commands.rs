//! Commands that come by NATS, and the replies.

use async_nats::Message;
use serde_json::Value;

use crate::harness::Server;
use crate::harness::recovery::Recovery;
use crate::harness::wait::until;
use crate::tools::nats::Nats;
use crate::wire::encode::correlation;
use crate::wire::{Client, Publish, Version, kind};

fn server(nats: &Nats) -> Server {
    let source = format!(
        "[[command_sources]]\nname = \"nats\"\ntype = \"nats\"\nservers = [\"{}\"]",
        nats.url()
    );
    let server = Server::builder().settings(&source).start_shared();
    server.wait_source("nats", 1);
    server
}

fn subscribed(server: &Server, device: &str) -> Client {
    let mut client = Client::device(server, Version::V5, device);
    assert_eq!(client.subscribe("command/inbox/#", 1), 1);
    client
}

fn json(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).expect("JSON")
}

fn header(message: &Message, name: &str) -> String {
    let headers = message.headers.as_ref().expect("headers");
    headers.get(name).expect("this header").to_string()
}

/// Code and name of the error that is the reply.
fn error(nats: &Nats, subject: &str, headers: &[(&str, &str)]) -> (String, String) {
    let reply = nats.reply(nats.ask(subject, headers, b""));
    let code = header(&reply, "Nats-Service-Error-Code");
    assert_eq!(json(&reply)["error"], header(&reply, "Nats-Service-Error"));
    (code, header(&reply, "Nats-Service-Error"))
}

/// Waits until somebody responds.
fn await_responder(nats: &Nats, server: &Server) {
    server.wait_source("nats", 1);
    until("a responder", || {
        nats.try_reply("commands.app.nobody.x").then_some(())
    });
}

#[test]
fn a_request_is_a_command_and_its_reply_the_outcome() {
    let nats = Nats::start();
    let server = server(&nats);
    await_responder(&nats, &server);
    let mut sensor = subscribed(&server, "sensor01");
    let headers = [("Content-Type", "text/plain"), ("traceparent", "00-a-b-01")];
    let asked = nats.ask("commands.app.sensor01.set", &headers, b"21");
    let command = sensor.take_command();
    assert_eq!(command.topic, "command/inbox//set");
    assert_eq!(command.payload, b"21");
    assert_eq!(command.property(0x03), Some(&b"text/plain"[..]));
    assert!(command.property(0x26).is_some(), "the trace");
    let outcome = json(&nats.reply(asked));
    assert_eq!(outcome["outcome"], "acknowledged", "{outcome:#}");
    assert_eq!(outcome["deliveries"][0]["via"], "sensor01");
}

#[test]
fn failures_are_told_as_over_http() {
    let nats = Nats::start();
    let server = server(&nats);
    await_responder(&nats, &server);
    let expect = |subject: &str, headers: &[(&str, &str)], code: &str, name: &str| {
        let told = error(&nats, subject, headers);
        assert_eq!(told, (code.to_owned(), name.to_owned()), "{subject}");
    };
    expect("commands.nobody.x.x", &[], "404", "unknown_application");
    expect("commands.app.nobody.x", &[], "404", "unknown_device");
    expect("commands.app.sensor01.x", &[], "404", "not_connected");
    expect(
        "commands.app.sensor01.a%2Fb",
        &[],
        "400",
        "bad_command_name",
    );
    let late = [("Landfall-Timeout", "61")];
    expect("commands.app.sensor01.x", &late, "400", "bad_query");
    let mut sensor = subscribed(&server, "sensor01");
    let soon = [("Landfall-Timeout", "0.2")];
    expect(
        "commands.app.sensor01.x",
        &soon,
        "504",
        "no_acknowledgement",
    );
    sensor.expect(kind::PUBLISH);
}

#[test]
fn a_devices_answer_is_the_reply() {
    let nats = Nats::start();
    let server = server(&nats);
    await_responder(&nats, &server);
    let mut gateway = subscribed(&server, "gateway01");
    let headers = [("Landfall-Response", "true")];
    let asked = nats.ask("commands.app.sensor02.get", &headers, b"");
    let command = gateway.take_command();
    let data = command.property(0x09).expect("correlation data");
    let answer = Publish::new("command/response/sensor02/get", b"21").qos(1, 1);
    gateway.publish(&answer.properties(&correlation(data)));
    assert_eq!(gateway.expect(kind::PUBACK).reason(), 0);
    let reply = nats.reply(asked);
    assert_eq!(&*reply.payload, b"21");
    assert_eq!(header(&reply, "Content-Type"), "application/json");
    assert_eq!(header(&reply, "Landfall-Via"), "gateway01");
}

#[test]
fn a_message_without_a_reply_subject_is_delivered_and_one_with_a_ttl_held() {
    let nats = Nats::start();
    let server = server(&nats);
    await_responder(&nats, &server);
    let headers = [("Landfall-Ttl", "3600")];
    let held = nats.reply(nats.ask("commands.app.sensor01.first", &headers, b""));
    assert_eq!(json(&held)["outcome"], "held");
    let mut sensor = subscribed(&server, "sensor01");
    assert_eq!(sensor.take_command().topic, "command/inbox//first");
    nats.publish("commands.app.sensor01.second", b"2");
    assert_eq!(sensor.take_command().topic, "command/inbox//second");
}

#[test]
fn a_source_outlives_its_server() {
    let mut nats = Nats::start();
    let server = server(&nats);
    await_responder(&nats, &server);
    let mut sensor = subscribed(&server, "sensor01");
    nats.kill();
    server.wait_source("nats", 0);
    server.log().wait_for(0, &["the command source is away"]);
    nats.start_again();
    let recovery = Recovery::begin();
    await_responder(&nats, &server);
    recovery.end("the kill of a NATS command source");
    let asked = nats.ask("commands.app.sensor01.again", &[], b"");
    assert_eq!(sensor.take_command().topic, "command/inbox//again");
    assert_eq!(json(&nats.reply(asked))["outcome"], "acknowledged");
}
