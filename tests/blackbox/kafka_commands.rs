//! Commands that come by Kafka, and their outcomes on the reply topic.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::ports;
use crate::harness::process::Process;
use crate::harness::wait::{DEADLINE, until};
use crate::tools::kafka;
use crate::wire::encode::correlation;
use crate::wire::{Client, Publish, Version, kind};

/// A broker, who sends commands to it, and who reads the outcomes.
struct Kafka {
    port: u16,
    producer: ThreadedProducer<DefaultProducerContext>,
    outcomes: BaseConsumer,
    _broker: Process,
}

/// Attributes, content type as `content-type`, and data.
#[derive(Debug)]
struct Outcome {
    attributes: BTreeMap<String, String>,
    data: Vec<u8>,
}

impl Kafka {
    fn start() -> Self {
        let port = ports::free();
        let broker = kafka::start(port, port);
        kafka::make_topic(port, "commands");
        kafka::make_topic(port, "outcomes");
        let outcomes: BaseConsumer = kafka::client(port)
            .set("group.id", "check")
            .set("session.timeout.ms", "2000")
            .create()
            .unwrap();
        let mut start = TopicPartitionList::new();
        start
            .add_partition_offset("outcomes", 0, Offset::Beginning)
            .unwrap();
        outcomes.assign(&start).unwrap();
        Self {
            port,
            producer: kafka::client(port).create().unwrap(),
            outcomes,
            _broker: broker,
        }
    }

    fn source(&self) -> String {
        format!(
            "[[command_sources]]\nname = \"kafka\"\ntype = \"kafka\"\n\
             brokers = \"127.0.0.1:{}\"\nreply_topic = \"outcomes\"\n\
             [command_sources.properties]\n\"session.timeout.ms\" = 2000\n\
             \"auto.offset.reset\" = \"earliest\"",
            self.port
        )
    }

    fn server(&self) -> Server {
        Server::builder().settings(&self.source()).start_shared()
    }

    /// Sends a command in binary mode; its id is its name.
    fn send(&self, device: &str, command: &str, more: &[(&str, &str)], data: &[u8]) {
        let least = [
            ("ce_specversion", "1.0"),
            ("ce_type", "set"),
            ("ce_source", "urn:test"),
            ("ce_id", command),
            ("ce_application", APP),
            ("ce_device", device),
            ("ce_subject", command),
        ];
        let mut headers = OwnedHeaders::new();
        for (key, value) in least.iter().chain(more) {
            headers = headers.insert(Header {
                key,
                value: Some(*value),
            });
        }
        self.produce(device, headers, data);
    }

    fn produce(&self, key: &str, headers: OwnedHeaders, data: &[u8]) {
        let record = BaseRecord::to("commands").key(key).payload(data);
        let sent = self.producer.send(record.headers(headers));
        sent.map_err(|(error, _)| error).unwrap();
        self.producer.flush(DEADLINE).unwrap();
    }

    /// The next outcome.
    #[track_caller]
    fn outcome(&self) -> Outcome {
        until("an outcome", || {
            let message = self.outcomes.poll(Duration::from_millis(100))?.ok()?;
            let headers = message.headers().expect("headers").iter();
            let attributes = headers.map(|header| {
                let value = header.value.expect("a value");
                let value = String::from_utf8_lossy(value).into_owned();
                (header.key.to_owned(), value)
            });
            Some(Outcome {
                attributes: attributes.collect(),
                data: message.payload().unwrap_or_default().to_vec(),
            })
        })
    }

    /// The next outcome is this command's; what it says.
    #[track_caller]
    fn expect(&self, command: &str, outcome: &str) -> Value {
        let told = self.outcome();
        assert_eq!(told.attributes["ce_commandid"], command, "{told:?}");
        assert_eq!(told.attributes["ce_outcome"], outcome, "{told:?}");
        assert_eq!(told.attributes["ce_type"], "io.drogue.command.outcome.v1");
        serde_json::from_slice(&told.data).expect("JSON")
    }
}

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
fn what_was_under_way_when_the_process_died_is_taken_again_and_what_was_done_is_not() {
    let kafka = Kafka::start();
    let mut server = kafka.server();
    let mut sensor = subscribed(&server, "sensor01");
    kafka.send("sensor01", "done", &[], b"");
    sensor.take_command();
    kafka.expect("done", "acknowledged");
    // Its offset is committed a moment later; another command shows nothing of that, so ask.
    let committed: BaseConsumer = kafka::client(kafka.port)
        .set("group.id", "landfall")
        .create()
        .unwrap();
    until("the commit", || {
        let mut list = TopicPartitionList::new();
        list.add_partition("commands", 0);
        let list = committed
            .committed_offsets(list, Duration::from_secs(5))
            .ok()?;
        let offset = list.find_partition("commands", 0)?.offset();
        (offset == Offset::Offset(1)).then_some(())
    });
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
