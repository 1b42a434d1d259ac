//! Sinks that fall silent: the connection stays open, and nothing comes back. That is noticed by a
//! time-out, devices wait for their acknowledgements, and nothing is lost.

use std::collections::HashSet;

use super::http::{self, Kept};
use super::{kafka, nats, server};
use crate::harness::documents::{APP, RECEIVER_TOKEN, SENDER_PASSWORD};
use crate::harness::recovery::Recovery;
use crate::harness::{Server, ports, wait};
use crate::tools;
use crate::tools::broker::Broker;
use crate::tools::relay::Relay;
use crate::wire::{Client, Connect, Publish, Version, kind};

/// Publishes before, while and after the sink is silent; `arrived` gives the numbers that got there.
fn publish_through_silence(
    server: &Server,
    relay: &Relay,
    mut arrived: impl FnMut() -> HashSet<u64>,
) {
    let user = format!("sender0@{APP}");
    let connect = Connect::new(Version::V5, "c", &user, SENDER_PASSWORD);
    let mut sensor = Client::accepted(server, &connect);
    let publish = |sensor: &mut Client, id: u16| {
        sensor.publish(&Publish::new("load", format!("[0,{id}]").as_bytes()).qos(1, id));
    };
    for id in 1..=20 {
        publish(&mut sensor, id);
        assert_eq!(sensor.expect(kind::PUBACK).id(), id);
    }
    relay.fall_silent();
    for id in 21..=40 {
        publish(&mut sensor, id);
    }
    server.wait_not_ready("sink far");
    // Alive, and not told that anything was taken.
    sensor.ping();
    relay.mend();
    let recovery = Recovery::begin();
    for id in 21..=40 {
        assert_eq!(sensor.expect(kind::PUBACK).id(), id);
    }
    recovery.end("a sink's silence");
    server.wait_ready();
    // By itself: the broker of the Kafka protocol counts a batch that is its last as one event.
    publish(&mut sensor, 41);
    assert_eq!(sensor.expect(kind::PUBACK).id(), 41);
    let expected: HashSet<u64> = (1..=41).collect();
    wait::until("everything to arrive", || {
        (arrived() == expected).then_some(())
    });
}

/// The number in a payload of two.
fn number(payload: &[u8]) -> u64 {
    let (_, number): (u64, u64) = serde_json::from_slice(payload).expect("two numbers");
    number
}

#[test]
fn a_sink_that_falls_silent_is_noticed_and_loses_nothing() {
    over_http();
    over_kafka();
    over_mqtt();
    over_nats();
}

fn over_http() {
    let kept = Kept::default();
    let (port, front) = (ports::free(), ports::free());
    let _receiver = http::start(port, &kept);
    let relay = Relay::start(front, port);
    let server = server(&format!(
        "type = \"http\"\nurl = \"http://127.0.0.1:{front}/in\"\nmode = \"batch\"\n\
         bearer_token = \"{RECEIVER_TOKEN}\"\ntimeout = \"1s\"\n"
    ));
    publish_through_silence(&server, &relay, || {
        kept.lock()
            .unwrap()
            .iter()
            .map(|payload| number(payload))
            .collect()
    });
}

fn over_kafka() {
    let (port, front) = (ports::free(), ports::free());
    let _broker = tools::kafka::start(port, front);
    let relay = Relay::start(front, port);
    tools::kafka::make_topic(&tools::kafka::client(front), kafka::TOPIC);
    let server = server(&format!(
        "type = \"kafka\"\nbrokers = \"127.0.0.1:{front}\"\n\
         [sinks.properties]\n\"reconnect.backoff.max.ms\" = 500\n\
         \"socket.timeout.ms\" = 1000\n\"api.version.request.timeout.ms\" = 1000\n"
    ));
    publish_through_silence(&server, &relay, || {
        let payloads = kafka::read_all(front);
        payloads.iter().map(|payload| number(payload)).collect()
    });
}

fn over_mqtt() {
    let broker = Broker::start("allow_anonymous true", &[]);
    let reader = broker.subscribe(&[]);
    let front = ports::free();
    let relay = Relay::start(front, broker.port());
    let server = server(&format!(
        "type = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{front}\"\ntimeout = \"1s\"\n\
         topic = \"events/{{sender}}/{{channel}}\"\n"
    ));
    publish_through_silence(&server, &relay, || {
        let messages = reader.messages();
        let of_load = messages.iter().filter(|message| {
            message["topic"]
                .as_str()
                .is_some_and(|topic| topic.ends_with("/load"))
        });
        of_load
            .map(|message| number(message["payload"].to_string().as_bytes()))
            .collect()
    });
}

fn over_nats() {
    let folder = tempfile::tempdir().unwrap();
    let (port, front) = (ports::free(), ports::free());
    let _nats = nats::start(port, folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let context = runtime.block_on(nats::make_stream(port));
    let relay = Relay::start(front, port);
    let server = server(&format!(
        "type = \"nats\"\nservers = [\"nats://127.0.0.1:{front}\"]\ntimeout = \"1s\"\n"
    ));
    publish_through_silence(&server, &relay, || {
        let messages = runtime.block_on(nats::read_all(&context));
        messages
            .iter()
            .map(|(_, payload)| number(payload))
            .collect()
    });
}
