//! Commands that come by an MQTT broker, and their outcomes on the response topic.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::recovery::Recovery;
use crate::harness::wait::until;
use crate::harness::{Server, ports};
use crate::tools::broker::Broker;
use crate::tools::relay::Relay;
use crate::wire::encode::acknowledgement;
use crate::wire::{Client, Version, kind};

fn broker() -> Broker {
    Broker::start("allow_anonymous true", &[])
}

fn start(broker: &Broker, keys: &str) -> Server {
    start_at(broker.port(), keys)
}

fn start_at(port: u16, keys: &str) -> Server {
    let source = format!(
        "[[command_sources]]\nname = \"mqtt\"\ntype = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\n{keys}"
    );
    let server = Server::builder().settings(&source).start_shared();
    server.wait_source("mqtt", 1);
    server
}

fn subscribed(server: &Server, device: &str) -> Client {
    let mut client = Client::device(server, Version::V5, device);
    assert_eq!(client.subscribe("command/inbox/#", 1), 1);
    client
}

/// A request by `mosquitto_rr`, which waits for its response.
fn ask(broker: &Broker, topic: &str, payload: &str, more: &[&str]) -> Child {
    let port = broker.port().to_string();
    let child = Command::new("mosquitto_rr")
        .args(["-V", "mqttv5", "-h", "127.0.0.1", "-p", &port, "-q", "1"])
        .args(["-t", topic, "-e", "replies/test", "-m", payload, "-W", "60"])
        .args(more)
        .stdout(Stdio::piped())
        .spawn();
    child.expect("mosquitto_rr")
}

fn reply(asked: Child) -> Value {
    let output = asked.wait_with_output().expect("its end");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Publishes without asking for an outcome.
fn publish(broker: &Broker, topic: &str, payload: &str) {
    let port = broker.port().to_string();
    let status = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-q", "1"])
        .args(["-t", topic, "-m", payload])
        .status();
    assert!(status.expect("mosquitto_pub").success());
}

#[test]
fn a_message_is_what_its_topic_names_and_its_outcome_is_the_response() {
    let broker = broker();
    let server = start(&broker, "");
    let mut sensor = subscribed(&server, "sensor01");
    let more = ["-D", "publish", "content-type", "text/plain"];
    let asked = ask(&broker, "commands/app/sensor01/set", "21", &more);
    let command = sensor.take_command();
    assert_eq!(command.topic, "command/inbox//set");
    assert_eq!(command.payload, b"21");
    assert_eq!(command.property(0x03), Some(&b"text/plain"[..]));
    let outcome = reply(asked);
    assert_eq!(outcome["outcome"], "acknowledged", "{outcome:#}");
    assert_eq!(outcome["deliveries"][0]["via"], "sensor01");

    let nobody = reply(ask(&broker, "commands/app/nobody/x", "", &[]));
    assert_eq!(nobody["error"], "unknown_device");
    let bad = reply(ask(&broker, "commands/app/sensor01/a%2Fb", "", &[]));
    assert_eq!(bad["error"], "bad_command_name");
    let late = ["-D", "publish", "user-property", "timeout", "0.2"];
    let late = ask(&broker, "commands/app/sensor01/late", "", &late);
    assert_eq!(reply(late)["error"], "no_acknowledgement");
}

#[test]
fn cloudevents_come_on_any_topic_that_is_subscribed_to() {
    let broker = broker();
    let server = start(&broker, "topic = \"fleet/#\"\nversion = \"3.1.1\"");
    let mut sensor = subscribed(&server, "sensor01");
    let event = r#"{"specversion":"1.0","type":"set","source":"urn:test","id":"1",
        "application":"app","device":"sensor01","subject":"set","data":{"t":1}}"#;
    publish(&broker, "fleet/one", event);
    let command = sensor.take_command();
    assert_eq!(command.topic, "command/inbox//set");
    assert_eq!(command.payload, br#"{"t":1}"#);
    publish(&broker, "fleet/app/sensor01/off", "now");
    assert_eq!(sensor.take_command().topic, "command/inbox//off");
    // Neither an event nor a name: it stops nothing.
    publish(&broker, "fleet/one", "what?");
    publish(&broker, "fleet/app/sensor01/on", "");
    assert_eq!(sensor.take_command().topic, "command/inbox//on");
}

#[test]
fn sources_of_one_name_share_the_messages() {
    let broker = broker();
    let one = start(&broker, "");
    let other = format!(
        "[[command_sources]]\nname = \"mqtt\"\ntype = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{}\"",
        broker.port()
    );
    let two = Server::builder()
        .settings(&other)
        .environment("LANDFALL__INSTANCE", "two")
        .start_shared();
    two.wait_source("mqtt", 1);
    for number in 0..10 {
        publish(&broker, &format!("commands/app/nobody/c{number}"), "");
    }
    let taken = |server: &Server| -> u64 {
        let metrics = server.ops().get("/metrics").text();
        let name = "landfall_commands_total{outcome=\"unknown_device\"} ";
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0, |value| value.parse().expect("a number"))
    };
    until("ten commands in all", || {
        (taken(&one) + taken(&two) == 10).then_some(())
    });
}

#[test]
fn what_was_under_way_when_the_process_died_comes_again() {
    let broker = broker();
    let mut server = start(&broker, "");
    let mut sensor = subscribed(&server, "sensor01");
    let more = ["-D", "publish", "user-property", "timeout", "60"];
    let asked = ask(&broker, "commands/app/sensor01/open", "", &more);
    // Delivered, and not acknowledged when the process dies.
    sensor.expect(kind::PUBLISH);
    server.kill();
    server.start_again();
    assert_eq!(reply(asked)["error"], "not_connected");
}

#[test]
fn commands_of_an_outage_arrive_after_it_once_and_their_outcomes_are_told() {
    for version in ["5", "3.1.1"] {
        let broker = broker();
        let port = ports::free();
        let relay = Relay::start(port, broker.port());
        let server = start_at(port, &format!("version = \"{version}\""));
        let mut sensor = subscribed(&server, "sensor01");
        // Only MQTT 5 has responses.
        let is_told = version == "5";
        let more = ["-D", "publish", "user-property", "timeout", "60"];
        let open = ask(&broker, "commands/app/sensor01/open", "", &more);
        let delivery = sensor.expect(kind::PUBLISH).delivery(Version::V5);

        let mark = server.log().mark();
        relay.cut();
        server.wait_source("mqtt", 0);
        server.log().wait_for(mark, &["the command source is away"]);
        // Devices are served all the same.
        server.wait_ready();
        sensor.send(&acknowledgement(0x40, delivery.id.expect("QoS 1")));
        sensor.ping();
        let during = ask(&broker, "commands/app/sensor01/during", "", &[]);
        relay.mend();
        let recovery = Recovery::begin();
        assert_eq!(sensor.take_command().topic, "command/inbox//during");
        recovery.end("an outage of an MQTT command source");
        server.wait_source("mqtt", 1);
        for mut asked in [open, during] {
            if is_told {
                assert_eq!(reply(asked)["outcome"], "acknowledged");
            } else {
                asked.kill().expect("a running child");
                asked.wait().expect("its end");
            }
        }
        // Neither comes twice.
        publish(&broker, "commands/app/sensor01/after", "");
        assert_eq!(sensor.take_command().topic, "command/inbox//after");
    }
}
