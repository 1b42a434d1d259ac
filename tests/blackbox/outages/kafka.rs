//! A Kafka broker behind a relay that is cut.

use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::relay::Relay;
use super::{OUTAGES, TOTAL, check, publish_through, server};
use crate::harness::ports;
use crate::harness::process::Process;
use crate::harness::wait;

const TOPIC: &str = "events-app";

/// The broker keeps everything in memory, so it is its network that fails.
fn start(port: u16, relay: u16) -> Process {
    let program = std::env::var("LANDFALL_TEST_KAFKA")
        .expect("LANDFALL_TEST_KAFKA names the broker; ./tests/run installs it");
    let url = |port: u16| format!("tcp://127.0.0.1:{port}");
    Process::spawn(
        Command::new(program)
            .args(["--listener-url", &url(port)])
            .args(["--advertised-listener-url", &url(relay)])
            .args(["--storage-engine", "memory://tansu/", "--silent"])
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_when_the_broker_is_cut_off_three_times() {
    let (port, front) = (ports::free(), ports::free());
    let _broker = start(port, front);
    let relay = Relay::start(front, port);
    make_topic(front);
    let server = server(&format!(
        "type = \"kafka\"\nbrokers = \"127.0.0.1:{front}\"\n\
         [sinks.properties]\n\"reconnect.backoff.max.ms\" = 500\n"
    ));
    publish_through(&server, || {
        relay.cut();
        server.wait_not_ready("sink far: ");
        relay.mend();
    });
    server.wait_ready();
    let arrived = read_all(front);
    // The idempotent producer leaves the broker to drop what it has already.
    check(arrived, OUTAGES.len() * super::CONNECTIONS * 90);
}

fn client(port: u16) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("127.0.0.1:{port}"));
    config
}

fn make_topic(port: u16) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let admin: AdminClient<_> = client(port).create().unwrap();
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new();
    wait::until("the topic", || {
        let made = runtime.block_on(admin.create_topics([&topic], &options));
        made.is_ok_and(|all| all.iter().all(Result::is_ok))
            .then_some(())
    });
}

fn read_all(port: u16) -> Vec<Vec<u8>> {
    let consumer: BaseConsumer = client(port)
        .set("group.id", "check")
        .set("session.timeout.ms", "2000")
        .create()
        .unwrap();
    let mut start = TopicPartitionList::new();
    start
        .add_partition_offset(TOPIC, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&start).unwrap();
    let (_, end) = consumer
        .fetch_watermarks(TOPIC, 0, Duration::from_secs(30))
        .unwrap();
    let mut payloads = Vec::with_capacity(TOTAL);
    loop {
        let message = consumer
            .poll(Duration::from_secs(60))
            .expect("another message")
            .unwrap();
        let headers = message.headers().expect("headers");
        let subject = headers.iter().find(|header| header.key == "ce_subject");
        if subject.is_some_and(|header| header.value == Some(b"load")) {
            let key = String::from_utf8_lossy(message.key().unwrap()).into_owned();
            assert!(key.starts_with("app/sender"), "{key}");
            payloads.push(message.payload().unwrap().to_vec());
        }
        if message.offset() + 1 >= end {
            return payloads;
        }
    }
}
