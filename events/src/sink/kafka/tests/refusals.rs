//! What brokers refuse for good, by batches, and what becomes of the events in them.

use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaRespErr as E;

use super::*;
use crate::sink::{Health, Refusal, Sink as _};

const FORBIDDEN: E = E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
/// librdkafka goes on with the topic after this one.
const UNWELCOME: E = E::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
const TOO_LARGE: E = E::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
const INVALID: E = E::RD_KAFKA_RESP_ERR_INVALID_RECORD;
const FINE: E = E::RD_KAFKA_RESP_ERR_NO_ERROR;

/// So many events to a batch, and nearly no batch with fewer: behind one of less than five librdkafka
/// has the next ready, which the mock's brokers take whatever became of the first.
fn full(batch: &'static str) -> [(&'static str, &'static str); 2] {
    [("batch.num.messages", batch), ("linger.ms", "500")]
}

/// A broker with one partition, and a sink.
fn set_up(more: &[(&str, &str)]) -> (MockCluster<'static, DefaultProducerContext>, Remote) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("events", 1, 1).unwrap();
    let sink = mock_sink_with(&cluster.bootstrap_servers(), more);
    (cluster, sink)
}

fn numbers(range: Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn publish(connection: &mut Connection, sink: &Remote, range: Range<u32>) {
    for payload in numbers(range) {
        connection.encode(sink, "temp", payload.as_bytes());
    }
    connection.hand_over(sink);
}

#[test]
fn what_the_brokers_do_not_let_us_write_is_written_again_in_order() {
    let (cluster, sink) = set_up(&full("5"));
    let mut connection = Connection::new("app", "device");
    // A few batches are taken, one is not, nor are the next attempts.
    let errors = [FINE, FINE, UNWELCOME, FORBIDDEN, FORBIDDEN];
    cluster.request_errors(RDKafkaApiKey::Produce, &errors);
    for start in [0, 100, 200] {
        publish(&mut connection, &sink, start..start + 100);
    }
    connection.recorder.wait_accepted(connection.last());
    let found = read_all(&cluster.bootstrap_servers(), "events", 300);
    assert_eq!(found, numbers(0..300));
    assert!(connection.recorder.told().refused.is_empty());
    assert_eq!(sink.health(), Health::Up);
}

#[test]
fn a_batch_that_failed_is_not_overtaken_in_a_partition_that_the_producer_is_new_to() {
    // The mock's brokers check no sequence, as real ones do not for a producer they do not know.
    let (cluster, sink) = set_up(&[("batch.num.messages", "1")]);
    let error = E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
    cluster.request_errors(RDKafkaApiKey::Produce, &[error, FINE, error]);
    let mut connection = Connection::new("app", "device");
    publish(&mut connection, &sink, 0..50);
    connection.recorder.wait_accepted(connection.last());
    let found = read_all(&cluster.bootstrap_servers(), "events", 50);
    assert_eq!(found, numbers(0..50));
}

/// Of batches that small librdkafka has the next ready, which brokers take from a producer that they do
/// not know in that partition, whatever became of the first.
#[test]
fn what_is_behind_a_first_batch_that_is_refused_does_not_overtake_it() {
    for batch in ["1", "2", "3", "4"] {
        let (cluster, sink) = set_up(&full(batch));
        cluster.request_errors(RDKafkaApiKey::Produce, &[INVALID]);
        let mut connection = Connection::new("app", "device");
        publish(&mut connection, &sink, 0..20);
        connection.recorder.wait_accepted(connection.last());
        let found = read_all(&cluster.bootstrap_servers(), "events", 20);
        assert_eq!(found, numbers(0..20), "batches of {batch}");
        assert!(connection.recorder.told().refused.is_empty());
    }
}

#[test]
fn batches_that_are_too_large_go_again_in_smaller_ones_and_no_event_is_refused() {
    let (cluster, sink) = set_up(&full("100"));
    cluster.request_errors(RDKafkaApiKey::Produce, &[TOO_LARGE, TOO_LARGE]);
    let mut connection = Connection::new("app", "device");
    // More than the smallest batches hold, so that they can become smaller twice.
    publish(&mut connection, &sink, 0..400);
    connection.recorder.wait_accepted(connection.last());
    let found = read_all(&cluster.bootstrap_servers(), "events", 400);
    assert_eq!(found, numbers(0..400));
    assert!(connection.recorder.told().refused.is_empty());
    sink.close(Duration::from_secs(60)).unwrap();
    assert_eq!(
        sink.stats().failed_commits,
        0,
        "nothing that a device can cause"
    );
}

#[test]
fn an_event_that_the_brokers_find_too_large_is_refused_alone() {
    let (cluster, sink) = set_up(&[("batch.size", "16384")]);
    let large = "x".repeat(20_000);
    let mut connection = Connection::new("app", "device");
    publish(&mut connection, &sink, 0..1);
    // The batch that it is, and then it alone.
    connection.recorder.wait_accepted(1);
    cluster.request_errors(RDKafkaApiKey::Produce, &[TOO_LARGE, TOO_LARGE]);
    let first = connection.publish(&sink, "temp", large.as_bytes());
    connection.recorder.wait_accepted(first);
    publish(&mut connection, &sink, 1..50);
    connection.recorder.wait_accepted(connection.last());
    // Another one has no company from the beginning: it would need two errors to be refused.
    cluster.request_errors(RDKafkaApiKey::Produce, &[TOO_LARGE]);
    let second = connection.encode(&sink, "temp", large.as_bytes());
    publish(&mut connection, &sink, 50..60);
    connection.recorder.wait_accepted(connection.last());
    let told = connection.recorder.told().refused.clone();
    let too_large = |sequence| (0, sequence, Refusal::TooLarge);
    assert_eq!(told, [too_large(first), too_large(second)]);
    let found = read_all(&cluster.bootstrap_servers(), "events", 60);
    assert_eq!(found, numbers(0..60));
    assert_eq!(sink.health(), Health::Up);
}

#[test]
fn events_in_a_batch_that_is_invalid_are_judged_one_by_one() {
    let (cluster, sink) = set_up(&full("20"));
    let mut connection = Connection::new("app", "device");
    // The first in a partition is waited for.
    publish(&mut connection, &sink, 0..1);
    connection.recorder.wait_accepted(1);
    // All of the batch, and then its second event.
    cluster.request_errors(RDKafkaApiKey::Produce, &[INVALID, FINE, INVALID]);
    publish(&mut connection, &sink, 1..21);
    connection.recorder.wait_accepted(21);
    let refused = connection.recorder.told().refused.clone();
    assert_eq!(refused, [(0, 3, Refusal::Rejected)]);
    let expected: Vec<String> = numbers(0..21).into_iter().filter(|n| n != "2").collect();
    let found = read_all(&cluster.bootstrap_servers(), "events", 20);
    assert_eq!(found, expected);
    // The next of that sender has no company from the beginning: it would need two errors.
    cluster.request_errors(RDKafkaApiKey::Produce, &[INVALID]);
    let second = connection.publish(&sink, "temp", b"21");
    connection.recorder.wait_accepted(second);
    assert_eq!(connection.recorder.told().refused.len(), 2);
    // Another's has.
    cluster.request_errors(RDKafkaApiKey::Produce, &[INVALID]);
    let mut other = Connection::new("app", "other");
    let only = other.publish(&sink, "temp", b"21");
    other.recorder.wait_accepted(only);
    assert!(other.recorder.told().refused.is_empty());
}

/// What was on its way to another broker when the producer gave up is waited for.
#[test]
fn what_one_partition_refuses_doubles_nothing_in_another() {
    const SENDERS: u32 = 8;
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic("events", 2, 1).unwrap();
    for (partition, broker) in [(0, 1), (1, 2)] {
        let leader = cluster.partition_leader("events", partition, Some(broker));
        leader.unwrap();
    }
    let brokers = cluster.bootstrap_servers();
    let sink = mock_sink(&brokers);
    let mut connections: Vec<Connection> = (0..SENDERS)
        .map(|sender| Connection::new("app", &format!("device{sender}")))
        .collect();
    let mut publish_all = |payload: u32| {
        for connection in &mut connections {
            publish(connection, &sink, payload..payload + 1);
        }
        for connection in &connections {
            connection.recorder.wait_accepted(connection.last());
        }
    };
    publish_all(0);
    let delay = Duration::from_millis(100);
    cluster.broker_round_trip_time(2, delay).unwrap();
    const ROUNDS: u32 = 3;
    for round in 1..=ROUNDS {
        cluster.request_errors(RDKafkaApiKey::Produce, &[FORBIDDEN]);
        publish_all(round);
    }
    let mut found = read_partition(&brokers, "events", 0, 1);
    found.extend(read_partition(&brokers, "events", 1, 1));
    let all = (ROUNDS + 1) * SENDERS;
    assert_eq!(found.len(), usize::try_from(all).unwrap(), "{found:?}");
}
