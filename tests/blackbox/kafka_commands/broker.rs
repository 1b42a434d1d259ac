//! A broker, commands by it, and the outcomes on its reply topic.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::ports;
use crate::harness::process::Process;
use crate::harness::wait::{DEADLINE, until};
use crate::tools::kafka;

pub(super) type Producer = ThreadedProducer<DefaultProducerContext>;

/// A broker, who sends commands to it, and who reads the outcomes.
pub(crate) struct Kafka {
    pub(super) port: u16,
    client: ClientConfig,
    producer: Producer,
    outcomes: BaseConsumer,
    _broker: Process,
}

/// Attributes, content type as `content-type`, and data.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) data: Vec<u8>,
}

impl Kafka {
    pub(super) fn start() -> Self {
        let port = ports::free();
        Self::of(kafka::start(port, port), port, kafka::client(port))
    }

    /// A broker that clients reach on this port, and the tests as this client.
    pub(crate) fn of(broker: Process, port: u16, client: ClientConfig) -> Self {
        kafka::make_topic(&client, "commands");
        kafka::make_topic(&client, "outcomes");
        Self {
            port,
            producer: client.create().unwrap(),
            outcomes: kafka::read(client.clone(), "outcomes"),
            client,
            _broker: broker,
        }
    }

    /// A command source, with further keys.
    pub(crate) fn source(&self, keys: &str) -> String {
        format!(
            "[[command_sources]]\nname = \"far\"\ntype = \"kafka\"\n\
             brokers = \"127.0.0.1:{}\"\nreply_topic = \"outcomes\"\n{keys}\n\
             [command_sources.properties]\n\"session.timeout.ms\" = 2000\n\
             \"auto.offset.reset\" = \"earliest\"\n",
            self.port
        )
    }

    pub(super) fn server(&self) -> Server {
        Server::builder().settings(&self.source("")).start_shared()
    }

    /// Sends a command in binary mode; its id is its name.
    pub(crate) fn send(&self, device: &str, command: &str, more: &[(&str, &str)], data: &[u8]) {
        send(&self.producer, device, command, more, data);
    }

    pub(super) fn produce(&self, key: &str, headers: OwnedHeaders, data: &[u8]) {
        produce(&self.producer, key, headers, data);
    }

    /// The next outcome.
    #[track_caller]
    pub(super) fn outcome(&self) -> Outcome {
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

    /// Waits until the broker knows that all commands before this offset are done.
    pub(super) fn wait_committed(&self, expected: i64) {
        let group: BaseConsumer = self
            .client
            .clone()
            .set("group.id", "landfall")
            .create()
            .unwrap();
        until("the commit", || {
            let mut list = TopicPartitionList::new();
            list.add_partition("commands", 0);
            let patience = Duration::from_secs(5);
            let list = group.committed_offsets(list, patience).ok()?;
            let offset = list.find_partition("commands", 0)?.offset();
            (offset == Offset::Offset(expected)).then_some(())
        });
    }

    /// The next outcome is this command's; what it says.
    #[track_caller]
    pub(crate) fn expect(&self, command: &str, outcome: &str) -> Value {
        let told = self.outcome();
        assert_eq!(told.attributes["ce_commandid"], command, "{told:?}");
        assert_eq!(told.attributes["ce_outcome"], outcome, "{told:?}");
        assert_eq!(told.attributes["ce_type"], "io.drogue.command.outcome.v1");
        serde_json::from_slice(&told.data).expect("JSON")
    }
}

pub(super) fn send(
    producer: &Producer,
    device: &str,
    command: &str,
    more: &[(&str, &str)],
    data: &[u8],
) {
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
    produce(producer, device, headers, data);
}

fn produce(producer: &Producer, key: &str, headers: OwnedHeaders, data: &[u8]) {
    let record = BaseRecord::to("commands").key(key).payload(data);
    let sent = producer.send(record.headers(headers));
    sent.map_err(|(error, _)| error).unwrap();
    producer.flush(DEADLINE).unwrap();
}
