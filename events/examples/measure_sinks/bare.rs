//! Bare producers: the same messages by the client libraries alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use landfall_events::event::{Timestamp, next_id};
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::{CONCURRENCY, KAFKA_WINDOW, PAYLOAD, SENDERS, WINDOW, origin, url};

/// The attributes of events, as a producer that knows nothing of CloudEvents may send them.
struct Attributes {
    /// Those of each sender that never change.
    senders: Vec<(String, Vec<(String, String)>)>,
    next: usize,
}

impl Attributes {
    /// As many senders as go through the sink.
    fn new() -> Self {
        let sender = |number: usize| {
            let device = format!("sensor{number}");
            let of_origin = origin(&device);
            let of_origin = of_origin
                .attributes()
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            (format!("app/{device}"), of_origin.collect())
        };
        Self {
            senders: (0..SENDERS).map(sender).collect(),
            next: 0,
        }
    }

    /// The key of the next event, its identifier and time, and all of its attributes.
    fn next(&mut self) -> (&str, String, impl Iterator<Item = (&str, String)>) {
        self.next = (self.next + 1) % self.senders.len();
        let (key, of_origin) = &self.senders[self.next];
        let time = Timestamp::now();
        let id = next_id(time).to_string();
        let own = [
            ("specversion", "1.0".to_owned()),
            ("id", id.clone()),
            ("type", "io.drogue.event.v1".to_owned()),
            (
                "time",
                format!("2026-11-05T12:34:56.{:06}Z", time.0 % 1_000_000),
            ),
            ("subject", "telemetry".to_owned()),
        ];
        let of_origin = of_origin
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        (key, id, own.into_iter().chain(of_origin))
    }
}

/// The client library alone, ready to send so many messages.
pub(super) fn open(system: &str, address: &str) -> Box<dyn FnOnce(u64)> {
    let runtime = Runtime::new().unwrap();
    let address = address.to_owned();
    match system {
        // Its start takes a second, which is none of the messages'.
        "kafka" => {
            let producer = kafka_producer(&address);
            send_to_kafka(&producer, 1);
            Box::new(move |events| send_to_kafka(&producer, events))
        }
        "nats" => Box::new(move |events| runtime.block_on(nats(&address, events))),
        "mqtt" => Box::new(move |events| runtime.block_on(mqtt(&address, events))),
        _ => Box::new(move |events| runtime.block_on(http(&address, events))),
    }
}

type KafkaProducer = ThreadedProducer<DefaultProducerContext>;

fn kafka_producer(address: &str) -> KafkaProducer {
    ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.messages", KAFKA_WINDOW.to_string())
        .create()
        .unwrap()
}

/// Each with an id of its own.
fn send_to_kafka(producer: &KafkaProducer, events: u64) {
    let mut attributes = Attributes::new();
    for _ in 0..events {
        let (key, _, all) = attributes.next();
        let mut headers = OwnedHeaders::new_with_capacity(20);
        for (name, value) in all {
            let name = format!("ce_{name}");
            headers = headers.insert(Header {
                key: &name,
                value: Some(&value),
            });
        }
        let mut record = BaseRecord::to("bench")
            .key(key)
            .payload(PAYLOAD)
            .headers(headers);
        while let Err((error, back)) = producer.send(record) {
            assert_eq!(
                error.rdkafka_error_code(),
                Some(RDKafkaErrorCode::QueueFull)
            );
            std::thread::park_timeout(Duration::from_micros(200));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

async fn nats(address: &str, events: u64) {
    let client = async_nats::connect(address).await.unwrap();
    let context = async_nats::jetstream::context::ContextBuilder::new()
        .backpressure_on_inflight(false)
        .build(client);
    let mut attributes = Attributes::new();
    let window = Arc::new(Semaphore::new(WINDOW));
    for _ in 0..events {
        let permit = Arc::clone(&window).acquire_owned().await.unwrap();
        let mut headers = async_nats::HeaderMap::new();
        let (_, id, all) = attributes.next();
        headers.insert("Nats-Msg-Id", id);
        for (name, value) in all {
            headers.insert(format!("ce-{name}").as_str(), value.as_str());
        }
        let payload = Bytes::from_static(PAYLOAD);
        let sent = context.publish_with_headers("bench", headers, payload);
        let acknowledgement = sent.await.unwrap();
        tokio::spawn(async move {
            acknowledgement.await.unwrap();
            drop(permit);
        });
    }
    let _all = window
        .acquire_many(u32::try_from(WINDOW).unwrap())
        .await
        .unwrap();
}

async fn mqtt(address: &str, events: u64) {
    use rumqttc_v5 as v5;
    let (host, port) = address.split_once(':').unwrap();
    let mut options = v5::MqttOptions::new("bare", (host, port.parse::<u16>().unwrap()));
    options
        .set_request_channel_capacity(256)
        .set_max_request_batch(64);
    let (client, mut poll) = v5::AsyncClient::builder(options).capacity(256).build();
    let polling = tokio::spawn(async move { while poll.poll().await.is_ok() {} });
    let mut attributes = Attributes::new();
    let window = Arc::new(Semaphore::new(WINDOW));
    for _ in 0..events {
        let permit = Arc::clone(&window).acquire_owned().await.unwrap();
        let (_, _, all) = attributes.next();
        let user = all.map(|(name, value)| (name.to_owned(), value));
        let properties = v5::PublishProperties {
            user_properties: user.collect(),
            content_type: Some("application/json".to_owned()),
            ..v5::PublishProperties::default()
        };
        let options = v5::PublishOptions::at_least_once().properties(properties);
        let payload = Bytes::from_static(PAYLOAD);
        let notice = client
            .publish_tracked("bench", payload, options)
            .await
            .unwrap();
        tokio::spawn(async move {
            notice.wait_async().await.unwrap();
            drop(permit);
        });
    }
    let _all = window
        .acquire_many(u32::try_from(WINDOW).unwrap())
        .await
        .unwrap();
    polling.abort();
}

async fn http(address: &str, events: u64) {
    let client = reqwest::Client::new();
    let mut attributes = Attributes::new();
    let window = Arc::new(Semaphore::new(CONCURRENCY.into()));
    for _ in 0..events {
        let permit = Arc::clone(&window).acquire_owned().await.unwrap();
        let mut request = client
            .post(url(address))
            .header("content-type", "application/json");
        let (_, _, all) = attributes.next();
        for (name, value) in all {
            request = request.header(format!("ce-{name}"), value);
        }
        let request = request.body(PAYLOAD);
        tokio::spawn(async move {
            request.send().await.unwrap();
            drop(permit);
        });
    }
    let _all = window.acquire_many(CONCURRENCY.into()).await.unwrap();
}
