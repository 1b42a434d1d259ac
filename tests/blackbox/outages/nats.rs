//! NATS JetStream with file storage, killed and started again.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::{self, stream};
use nix::sys::signal::Signal;

use super::{Outage, TOTAL, check, publish_through, server};
use crate::harness::documents::{APP, SENDER_PASSWORD};
use crate::harness::ports;
use crate::harness::process::Process;
use crate::harness::wait;
use crate::wire::{Client, Connect, Publish, Version, kind};

const STREAM: &str = "EVENTS";

pub(super) fn start(port: u16, folder: &Path) -> Process {
    Process::spawn(
        Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-js", "-p", &port.to_string(), "-sd"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}

#[test]
fn nothing_acknowledged_is_lost_when_nats_is_killed_three_times() {
    let folder = tempfile::tempdir().unwrap();
    let port = ports::free();
    let mut nats = start(port, folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let context = runtime.block_on(make_stream(port));

    let server = server(&format!(
        "type = \"nats\"\nservers = [\"nats://127.0.0.1:{port}\"]\ntimeout = \"2s\"\n"
    ));
    publish_through(&server, |outage| match outage {
        Outage::Begins => {
            nats.signal(Signal::SIGKILL);
            nats.reap();
            server.wait_not_ready("sink far: application app: ");
        }
        Outage::Ends => nats = start(port, folder.path()),
    });
    server.wait_ready();

    let arrived = runtime.block_on(read_all(&context));
    let subject = "events.app.load";
    assert!(arrived.iter().all(|(at, _)| at == subject), "{subject}");
    // The stream drops what it knows by its id: nothing is there twice.
    check(arrived.into_iter().map(|(_, payload)| payload), 0);
}

#[test]
fn an_event_that_no_stream_takes_waits_until_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let port = ports::free();
    let _nats = start(port, folder.path());
    let server = server(&format!(
        "type = \"nats\"\nservers = [\"nats://127.0.0.1:{port}\"]\n"
    ));
    let user = format!("sender0@{APP}");
    let connect = Connect::new(Version::V5, "sender0", &user, SENDER_PASSWORD);
    let mut sender = Client::accepted(&server, &connect);
    sender.publish(&Publish::new("load", b"1").qos(1, 1));
    server.wait_not_ready("sink far: application app: no stream takes events of this subject");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let context = runtime.block_on(make_stream(port));
    let acknowledgement = sender.expect(kind::PUBACK);
    assert_eq!((acknowledgement.id(), acknowledgement.reason()), (1, 0));
    server.wait_ready();
    assert_eq!(runtime.block_on(read_all(&context)).len(), 1);
}

pub(super) async fn make_stream(port: u16) -> jetstream::Context {
    let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    let client = options.connect(format!("127.0.0.1:{port}")).await.unwrap();
    let context = jetstream::new(client);
    let config = || stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["events.>".to_owned()],
        storage: stream::StorageType::File,
        ..stream::Config::default()
    };
    let end = tokio::time::Instant::now() + wait::DEADLINE;
    while let Err(error) = context.create_stream(config()).await {
        assert!(tokio::time::Instant::now() < end, "{error}");
        tokio::task::yield_now().await;
    }
    context
}

/// Subject and payload of everything in the stream but connection events, in order.
pub(super) async fn read_all(context: &jetstream::Context) -> Vec<(String, Vec<u8>)> {
    let stream = context.get_stream(STREAM).await.unwrap();
    let consumer = stream
        .create_consumer(pull::Config {
            deliver_policy: DeliverPolicy::All,
            filter_subject: "events.app.load".to_owned(),
            ack_policy: jetstream::consumer::AckPolicy::None,
            ..pull::Config::default()
        })
        .await
        .unwrap();
    let mut messages = Vec::with_capacity(TOTAL);
    loop {
        use futures_util::StreamExt as _;
        let mut batch = consumer
            .fetch()
            .max_messages(5_000)
            .expires(Duration::from_secs(5))
            .messages()
            .await
            .unwrap();
        let before = messages.len();
        while let Some(message) = batch.next().await {
            let message = message.unwrap();
            messages.push((message.subject.to_string(), message.payload.to_vec()));
        }
        if messages.len() == before {
            return messages;
        }
    }
}
