mod refusals;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::BaseProducer;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

use super::*;
use crate::event::Data;
use crate::record::tests::{record_of, with_draft};
use crate::sink::testing::Connection;
use crate::template::Template;

#[test]
fn no_two_names_become_one_topic() {
    let topic = |name: &str| {
        let mut topic = String::new();
        push_topic(&mut topic, name);
        topic
    };
    assert_eq!(topic("my-app.v1"), "my-app.v1");
    assert_eq!(topic("my app"), "my_20app");
    assert_eq!(topic("my_20app"), "my_5F20app");
    assert_eq!(topic("é/x"), "_C3_A9_2Fx");
}

#[test]
fn binary_messages_have_attributes_in_headers() {
    with_draft("té mp", false, Data::Binary(b"\x00"), |draft| {
        let bytes = record_of(draft);
        let record = Record::read(&bytes).unwrap();
        let (headers, body) = message(&record, KafkaMode::Binary);
        assert_eq!(body, None, "the payload itself");
        let headers: BTreeMap<&str, &str> = headers
            .iter()
            .map(|header| {
                (
                    header.key,
                    std::str::from_utf8(header.value.unwrap()).unwrap(),
                )
            })
            .collect();
        assert_eq!(headers["ce_specversion"], "1.0");
        assert_eq!(headers["ce_subject"], "té mp");
        assert_eq!(headers["ce_id"], record.get("id"));
        assert_eq!(headers["content-type"], "text/plain");
        assert!(!headers.contains_key("ce_datacontenttype"));
    });
}

#[test]
fn properties_that_would_break_the_promise_are_refused_by_name() {
    let options = |name: &str, value: &str| {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        KafkaOptions::new(Template::parse("events").unwrap(), properties)
    };
    for name in [
        "acks",
        "enable.idempotence",
        "retries",
        "message.timeout.ms",
        "enable.gapless.guarantee",
    ] {
        let error = options(name, "secret").unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("secret"), "{error}");
    }
    let unknown = options("no.such.property", "x").unwrap();
    let error = start("k", unknown).err().unwrap().to_string();
    assert!(error.contains("no.such.property"), "{error}");
    let wrong = options("batch.size", "many").unwrap();
    let error = start("k", wrong).err().unwrap().to_string();
    assert!(error.contains("batch.size"), "{error}");
    let shown = format!("{:?}", options("sasl.password", "secret").unwrap());
    assert!(
        shown.contains("sasl.password") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn a_topic_that_no_broker_would_take_is_refused() {
    for topic in ["a b", "a/{channel}", "..", &"x".repeat(250)] {
        let topic = Template::parse(topic).unwrap();
        let error = KafkaOptions::new(topic, BTreeMap::new()).unwrap_err();
        assert!(matches!(error, KafkaSinkError::Topic));
    }
}

#[test]
fn a_property_overrides_a_default_under_each_of_its_names() {
    let topic = Template::parse("events").unwrap();
    let properties = [
        ("compression.codec", "zstd"),
        ("queue.buffering.max.ms", "7"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = KafkaOptions::new(topic, properties.into()).unwrap();
    let config = options.client_config();
    assert_eq!(config.get("compression.type"), Some("zstd"));
    assert_eq!(config.get("compression.codec"), None);
    assert_eq!(config.get("linger.ms"), Some("7"));
}

#[test]
fn what_the_promise_rests_on_cannot_be_set_otherwise() {
    for name in [
        "acks",
        "partitioner",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
    ] {
        let topic = Template::parse("events").unwrap();
        let properties = BTreeMap::from([(name.to_owned(), "1".to_owned())]);
        let error = KafkaOptions::new(topic, properties).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// What one partition of a mock cluster holds, as payloads in order.
fn read_all(brokers: &str, topic: &str, count: usize) -> Vec<String> {
    read_partition(brokers, topic, 0, count)
}

fn read_partition(brokers: &str, topic: &str, partition: i32, count: usize) -> Vec<String> {
    let found = read(brokers, topic, partition..partition + 1, count);
    found.into_iter().map(|(_, payload)| payload).collect()
}

/// What these partitions hold: where, and the payload.
fn read(brokers: &str, topic: &str, partitions: Range<i32>, count: usize) -> Vec<(i32, String)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "check")
        .create()
        .unwrap();
    let mut start = TopicPartitionList::new();
    for partition in partitions {
        let added = start.add_partition_offset(topic, partition, Offset::Beginning);
        added.unwrap();
    }
    consumer.assign(&start).unwrap();
    let mut payloads = Vec::new();
    let mut quiet = 0;
    // A little longer than needed, to see what should not be there; and not for ever what is lost.
    while quiet < if payloads.len() >= count { 3 } else { 60 } {
        match consumer.poll(Duration::from_millis(500)) {
            Some(Ok(message)) => {
                let payload = message.payload().unwrap_or_default().to_vec();
                payloads.push((message.partition(), String::from_utf8(payload).unwrap()));
                quiet = 0;
            }
            Some(Err(_)) | None => quiet += 1,
        }
    }
    payloads
}

fn mock_sink(brokers: &str) -> Remote {
    mock_sink_with(brokers, &[])
}

fn mock_sink_with(brokers: &str, more: &[(&str, &str)]) -> Remote {
    let least = [
        ("bootstrap.servers", brokers),
        ("reconnect.backoff.max.ms", "500"),
        ("socket.timeout.ms", "2000"),
    ];
    let properties = least.iter().chain(more);
    let properties = properties.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let topic = Template::parse("events").unwrap();
    start(
        "kafka",
        KafkaOptions::new(topic, properties.collect()).unwrap(),
    )
    .unwrap()
}

/// Kafka's own clients, and librdkafka by that name, place them there.
#[test]
fn events_go_to_the_partitions_that_kafkas_clients_put_their_keys_into() {
    const PARTITIONS: i32 = 97;
    const NAMES: usize = 64;
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("events", PARTITIONS, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let sink = mock_sink(&brokers);
    let same: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    for number in 0..NAMES {
        let name = "é".repeat(number % 3) + &"x".repeat(number);
        let payload = number.to_string();
        let mut connection = Connection::new("app", &name);
        connection.publish(&sink, "temp", payload.as_bytes());
        connection.recorder.wait_accepted(1);
        let key = connection.partition_key();
        let record = BaseRecord::to("events").key(key).payload(&payload);
        same.send(record).map_err(|(error, _)| error).unwrap();
    }
    same.flush(Duration::from_secs(30)).unwrap();
    let mut found = read(&brokers, "events", 0..PARTITIONS, 2 * NAMES);
    found.sort_unstable();
    assert_eq!(found.len(), 2 * NAMES);
    let (pairs, _) = found.as_chunks::<2>();
    assert!(pairs.iter().all(|[one, other]| one == other), "{found:?}");
}

#[test]
fn broker_errors_new_leaders_and_dead_brokers_lose_and_double_nothing() {
    const PIECE: u32 = 200;
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic("events", 1, 3).unwrap();
    cluster.partition_leader("events", 0, Some(1)).unwrap();
    let brokers = cluster.bootstrap_servers();
    let sink = mock_sink(&brokers);
    let mut connection = Connection::new("app", "device");
    let mut next = 0;
    let mut publish = |connection: &mut Connection| {
        for number in next..next + PIECE {
            connection.encode(&sink, "temp", number.to_string().as_bytes());
        }
        connection.hand_over(&sink);
        next += PIECE;
        connection.last()
    };

    use RDKafkaRespErr as E;
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ],
    );
    let sequence = publish(&mut connection);
    connection.recorder.wait_accepted(sequence);

    let sequence = publish(&mut connection);
    cluster.partition_leader("events", 0, Some(2)).unwrap();
    connection.recorder.wait_accepted(sequence);

    cluster.broker_down(2).unwrap();
    let sequence = publish(&mut connection);
    cluster.partition_leader("events", 0, Some(3)).unwrap();
    connection.recorder.wait_accepted(sequence);
    cluster.broker_up(2).unwrap();

    let expected: Vec<String> = (0..next).map(|number| number.to_string()).collect();
    assert_eq!(read_all(&brokers, "events", expected.len()), expected);
    assert!(connection.recorder.told().refused.is_empty());
}
