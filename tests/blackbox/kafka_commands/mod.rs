//! Commands that come by Kafka, and their outcomes on the reply topic.

mod broker;

use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::ports;
use crate::harness::recovery::Recovery;
use crate::tools::kafka;
use crate::tools::relay::Relay;
use crate::wire::encode::{acknowledgement, correlation};
use crate::wire::{Client, Publish, Version, kind};
pub(crate) use broker::Kafka;
use broker::{Producer, send};

fn subscribed(server: &Server, device: &str) -> Client {
    let mut client = Client::device(server, Version::V5, device);
    assert_eq!(client.subscribe("command/inbox/#", 1), 1);
    client
}

#[test]
fn a_record_is_a_command_and_its_outcome_an_event_on_the_reply_topic() {
    let kafka = Kafka::start();
    let server = kafka.server();
    let mut sensor = subscribed(&server, "sensor01");
    let more = [
        ("content-type", "text/plain"),
        ("ce_traceparent", "00-a-b-01"),
    ];
    kafka.send("sensor01", "set", &more, b"21");
    let command = sensor.take_command();
    assert_eq!(command.topic, "command/inbox//set");
    assert_eq!(command.payload, b"21");
    assert_eq!(command.property(0x03), Some(&b"text/plain"[..]));
    assert!(command.property(0x26).is_some(), "the trace");
    let told = kafka.expect("set", "acknowledged");
    assert_eq!(told["deliveries"][0]["via"], "sensor01", "{told:#}");

    let structured = json!({
        "specversion": "1.0", "type": "set", "source": "urn:test", "id": "two",
        "application": APP, "device": "sensor01", "subject": "two", "data": { "t": 1 },
    });
    let content_type = OwnedHeaders::new().insert(Header {
        key: "content-type",
        value: Some("application/cloudevents+json"),
    });
    kafka.produce("k", content_type, structured.to_string().as_bytes());
    let command = sensor.take_command();
    assert_eq!(command.topic, "command/inbox//two");
    assert_eq!(command.payload, br#"{"t":1}"#);
    kafka.expect("two", "acknowledged");
}

#[test]
fn bad_records_are_answered_and_stop_nothing() {
    let kafka = Kafka::start();
    let server = kafka.server();
    let mut sensor = subscribed(&server, "sensor01");
    kafka.produce("k", OwnedHeaders::new(), b"not an event");
    let content_type = OwnedHeaders::new().insert(Header {
        key: "content-type",
        value: Some("application/cloudevents+json"),
    });
    kafka.produce("k", content_type, b"not JSON");
    kafka.send("sensor01", "a/b", &[], b"");
    kafka.send("nobody", "x", &[], b"");
    kafka.send("sensor01", "large", &[], &vec![b'x'; 70_000]);
    kafka.send("sensor01", "late", &[("ce_timeout", "61")], b"");
    let mut told: Vec<_> = (0..6)
        .map(|_| kafka.outcome().attributes["ce_outcome"].clone())
        .collect();
    told.sort_unstable();
    let expected = [
        "bad_command_name",
        "bad_query",
        "bad_query",
        "bad_query",
        "too_large",
        "unknown_device",
    ];
    assert_eq!(told, expected);
    kafka.send("sensor01", "good", &[], b"");
    assert_eq!(sensor.take_command().topic, "command/inbox//good");
    kafka.expect("good", "acknowledged");
}

#[test]
fn a_devices_answer_is_the_outcomes_data_and_a_ttl_holds() {
    let kafka = Kafka::start();
    let server = kafka.server();
    kafka.send("sensor01", "held", &[("ce_ttl", "3600")], b"");
    kafka.expect("held", "held");
    let mut sensor = subscribed(&server, "sensor01");
    assert_eq!(sensor.take_command().topic, "command/inbox//held");
    kafka.send("sensor01", "get", &[("ce_response", "true")], b"");
    let command = sensor.take_command();
    let data = command.property(0x09).expect("correlation data");
    let answer = Publish::new("command/response//get", b"\xff21").qos(1, 1);
    sensor.publish(&answer.properties(&correlation(data)));
    assert_eq!(sensor.expect(kind::PUBACK).reason(), 0);
    let told = kafka.outcome();
    assert_eq!(told.attributes["ce_outcome"], "answered");
    assert_eq!(told.data, b"\xff21");
}

#[test]
fn commands_of_one_device_keep_their_order_and_a_silent_one_holds_up_no_other() {
    let kafka = Kafka::start();
    let server = kafka.server();
    let mut silent = subscribed(&server, "gateway01");
    let mut sensor = subscribed(&server, "sensor01");
    // More than may be under way for one device: the newest are refused at once.
    for number in 0..40 {
        kafka.send(
            "gateway01",
            &format!("s{number}"),
            &[("ce_timeout", "60")],
            b"",
        );
    }
    for number in 0..20 {
        kafka.send("sensor01", &format!("q{number}"), &[], b"");
    }
    for number in 0..20 {
        let command = sensor.take_command();
        assert_eq!(command.topic, format!("command/inbox//q{number}"));
    }
    let (mut full, mut done) = (0, 0);
    while done < 20 {
        match kafka.outcome().attributes["ce_outcome"].as_str() {
            "queue_full" => full += 1,
            "acknowledged" => done += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(full, 8);
    silent.expect(kind::PUBLISH);
}

#[test]
fn commands_behind_that_of_a_silent_device_take_no_place_from_others() {
    let kafka = Kafka::start();
    let source = kafka.source("concurrency = 2");
    let server = Server::builder().settings(&source).start_shared();
    let mut silent = subscribed(&server, "gateway01");
    let mut sensor = subscribed(&server, "sensor01");
    for name in ["s1", "s2", "s3"] {
        kafka.send("gateway01", name, &[("ce_timeout", "60")], b"");
    }
    kafka.send("sensor01", "on", &[], b"");
    assert_eq!(sensor.take_command().topic, "command/inbox//on");
    kafka.expect("on", "acknowledged");
    silent.expect(kind::PUBLISH);
}

#[test]
fn what_was_under_way_when_the_process_died_is_taken_again_and_what_was_done_is_not() {
    let kafka = Kafka::start();
    let mut server = kafka.server();
    let mut sensor = subscribed(&server, "sensor01");
    kafka.send("sensor01", "done", &[], b"");
    sensor.take_command();
    kafka.expect("done", "acknowledged");
    // Its offset is committed a moment later; another command shows nothing of that, so ask.
    kafka.wait_committed(1);
    kafka.send("sensor01", "open", &[("ce_timeout", "60")], b"");
    // Delivered, and not acknowledged when the process dies.
    sensor.expect(kind::PUBLISH);
    server.kill();
    server.start_again();
    // Nobody is subscribed now, and so its outcome is another one.
    kafka.expect("open", "not_connected");
    let mut sensor = subscribed(&server, "sensor01");
    kafka.send("sensor01", "next", &[], b"");
    assert_eq!(sensor.take_command().topic, "command/inbox//next");
    kafka.expect("next", "acknowledged");
}

#[test]
fn commands_of_an_outage_arrive_after_it_once_and_their_outcomes_are_told() {
    let (port, front) = (ports::free(), ports::free());
    let broker = kafka::start(port, front);
    // Only the server is cut off.
    let relay = Relay::start_sparing(front, port, Some(kafka::CLIENT));
    let kafka = Kafka::of(broker, front, kafka::client(front));
    let server = kafka.server();
    let mut sensor = subscribed(&server, "sensor01");
    kafka.send("sensor01", "before", &[], b"");
    sensor.take_command();
    kafka.expect("before", "acknowledged");
    kafka.wait_committed(1);
    server.wait_source("far", 1);
    kafka.send("sensor01", "open", &[("ce_timeout", "60")], b"");
    let open = sensor.expect(kind::PUBLISH).delivery(Version::V5);

    let mark = server.log().mark();
    relay.cut();
    server.wait_source("far", 0);
    let away = ["the command source is away", "no connection to the brokers"];
    server.log().wait_for(mark, &away);
    // Devices are served all the same.
    server.wait_ready();
    sensor.send(&acknowledgement(0x40, open.id.expect("QoS 1")));
    sensor.ping();
    for command in ["during-1", "during-2"] {
        kafka.send("sensor01", command, &[], b"");
    }
    relay.mend();
    let recovery = Recovery::begin();
    for command in ["during-1", "during-2"] {
        let topic = format!("command/inbox//{command}");
        assert_eq!(sensor.take_command().topic, topic);
    }
    recovery.end("an outage of a Kafka command source");
    server.wait_source("far", 1);
    server
        .log()
        .wait_for(mark, &["the command source takes commands"]);
    for command in ["open", "during-1", "during-2"] {
        kafka.expect(command, "acknowledged");
    }
    // None comes twice, neither now nor after a restart: the broker knows that all five are done.
    kafka.send("sensor01", "after", &[], b"");
    assert_eq!(sensor.take_command().topic, "command/inbox//after");
    kafka.expect("after", "acknowledged");
    kafka.wait_committed(5);
}

/// Brokers that refuse are played: the one that is real lets everybody in.
#[test]
fn a_source_that_its_group_does_not_let_in_says_so_and_says_when_it_does() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("commands", 1, 1).unwrap();
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    // More than it asks for in the time of this test.
    cluster.request_errors(RDKafkaApiKey::FindCoordinator, &[refusal; 1000]);
    let brokers = cluster.bootstrap_servers();
    let server = Server::builder()
        .settings(&format!(
            "[[command_sources]]\nname = \"far\"\ntype = \"kafka\"\n\
             brokers = \"{brokers}\"\n[command_sources.properties]\n\
             \"auto.offset.reset\" = \"earliest\"\n"
        ))
        .start_shared();
    let mut sensor = subscribed(&server, "sensor01");
    let away = [
        "the command source is away",
        "the brokers do not let it into its consumer group",
    ];
    server.log().wait_for(0, &away);
    server.wait_source("far", 0);
    let mark = server.log().mark();
    cluster.clear_request_errors(RDKafkaApiKey::FindCoordinator);
    let takes = ["the command source takes commands"];
    server.log().wait_for(mark, &takes);
    server.wait_source("far", 1);
    let said = server.log().lines();
    let said = said.iter().filter(|line| line.contains(away[1]));
    assert_eq!(said.count(), 1, "once");

    let mut producer = ClientConfig::new();
    producer.set("bootstrap.servers", &brokers);
    let producer: Producer = producer.create().unwrap();
    send(&producer, "sensor01", "set", &[], b"21");
    assert_eq!(sensor.take_command().topic, "command/inbox//set");
}

#[test]
fn a_source_that_is_restarted_in_order_takes_commands_again_and_none_twice() {
    let kafka = Kafka::start();
    let mut server = kafka.server();
    for round in 0..3 {
        let mut sensor = subscribed(&server, "sensor01");
        let command = format!("set-{round}");
        kafka.send("sensor01", &command, &[], b"");
        let topic = format!("command/inbox//{command}");
        assert_eq!(sensor.take_command().topic, topic);
        kafka.expect(&command, "acknowledged");
        server.terminate();
        assert!(server.wait().success());
        server.start_again();
    }
}
