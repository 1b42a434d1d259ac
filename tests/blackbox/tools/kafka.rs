//! A broker of the Kafka protocol.

use std::process::{Command, Stdio};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use rustls::ServerConfig;

use super::front::Front;
use super::sasl::Account;
use crate::harness::process::Process;
use crate::harness::{ports, wait};

/// What the tests' own clients say they are, so that a relay can tell them apart.
pub(crate) const CLIENT: &str = "landfall-tests";

/// The broker keeps everything in memory, so it is its network that fails in tests. Clients are sent to `relay`.
pub(crate) fn start(port: u16, relay: u16) -> Process {
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

/// A broker whose clients come through TLS, and log in if there is an account.
pub(crate) struct Secured {
    pub(crate) broker: Process,
    /// Where TLS is ended.
    pub(crate) port: u16,
    pub(crate) front: Front,
}

pub(crate) fn start_behind_tls(tls: ServerConfig, account: Option<Account>) -> Secured {
    let (inner, port) = (ports::free(), ports::free());
    Secured {
        broker: start(inner, port),
        port,
        front: Front::start(port, inner, tls, account),
    }
}

/// A client of the broker on this port.
pub(crate) fn client(port: u16) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("127.0.0.1:{port}"));
    config.set("client.id", CLIENT);
    config
}

/// Reads a topic of one partition from its beginning, as a client of these settings.
pub(crate) fn read(mut config: ClientConfig, topic: &str) -> BaseConsumer {
    config.set("group.id", "check");
    config.set("session.timeout.ms", "2000");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut start = TopicPartitionList::new();
    start
        .add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&start).unwrap();
    consumer
}

/// Makes a topic of one partition, when the broker is there.
pub(crate) fn make_topic(client: &ClientConfig, name: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let admin: AdminClient<_> = client.create().unwrap();
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new();
    wait::until("the topic", || {
        let made = runtime.block_on(admin.create_topics([&topic], &options));
        made.is_ok_and(|all| all.iter().all(Result::is_ok))
            .then_some(())
    });
}
