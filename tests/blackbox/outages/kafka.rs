//! A Kafka broker behind a relay that is cut.

use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::message::{Headers as _, Message as _};

use super::{OUTAGES, Outage, TOTAL, check, publish_through, server};
use crate::harness::ports;
use crate::tools::kafka;
use crate::tools::relay::Relay;

pub(super) const TOPIC: &str = "events-app";

#[test]
fn nothing_acknowledged_is_lost_or_doubled_when_the_broker_is_cut_off_three_times() {
    let (port, front) = (ports::free(), ports::free());
    let _broker = kafka::start(port, front);
    let relay = Relay::start(front, port);
    kafka::make_topic(&kafka::client(front), TOPIC);
    let server = server(&format!(
        "type = \"kafka\"\nbrokers = \"127.0.0.1:{front}\"\n\
         [sinks.properties]\n\"reconnect.backoff.max.ms\" = 500\n"
    ));
    publish_through(&server, |outage| match outage {
        Outage::Begins => {
            relay.cut();
            server.wait_not_ready("sink far: ");
        }
        Outage::Ends => relay.mend(),
    });
    server.wait_ready();
    let arrived = read_all(front);
    // The idempotent producer leaves the broker to drop what it has already.
    check(arrived, OUTAGES.len() * super::CONNECTIONS * 90);
}

/// The payloads of all that devices published.
pub(super) fn read_all(port: u16) -> Vec<Vec<u8>> {
    let consumer = kafka::read(kafka::client(port), TOPIC);
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
