//! Measures sinks that reach other systems against a bare producer of the same client library:
//! events per second, and CPU time of this process per event, in alternating rounds.
//!
//! `cargo run --release -p landfall-events --example measure_sinks -- kafka|nats|mqtt|http ADDRESS
//! [EVENTS [ROUNDS]]`, with the other system at `ADDRESS` (`host:port`): a Kafka broker with a topic
//! `bench`, a NATS server with a stream of the subject `bench`, an MQTT broker, or
//! `measure_sinks receive ADDRESS` in a process of its own.

#![allow(clippy::print_stdout, reason = "a program that prints its findings")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

mod bare;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use landfall_events::event::{Data, Draft, EventType, Origin, OriginParts, Timestamp, next_id};
use landfall_events::sink::http::{self, HttpOptions, HttpUrl};
use landfall_events::sink::kafka::{self, KafkaOptions};
use landfall_events::sink::mqtt::{self, MqttOptions};
use landfall_events::sink::nats::{self, NatsOptions};
use landfall_events::sink::{Completion, Handover, OpenBatch, Refusal, Remote, Sequence, Sink};
use landfall_events::template::Template;
use tokio::runtime::Runtime;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAYLOAD: &[u8] = br#"{"temperature":21.5,"humidity":48,"battery":3.71,"seq":1234567890}"#;
/// Publishes under way at once, in both.
const WINDOW: usize = 1_000;
/// The same with Kafka, whose batches are larger: the sink's default.
const KAFKA_WINDOW: usize = 10_000;
/// Devices that send in turn, in both: so many that the lanes of a sink get as much each.
const SENDERS: usize = 4_096;
/// Requests under way at once, in both.
const CONCURRENCY: u16 = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |index: usize| arguments.get(index).map(String::as_str);
    let number = |index: usize, default: u64| text(index).map_or(default, |n| n.parse().unwrap());
    let (system, address) = (text(0).unwrap_or_default(), text(1).expect("an address"));
    if system == "receive" {
        return receive(address);
    }
    let (events, rounds) = (number(2, 100_000), number(3, 5));
    let mut results: [Vec<(f64, f64)>; 2] = Default::default();
    for _ in 0..rounds {
        let sink = open(system, address);
        results[0].push(measure(events, || through(&sink, events)));
        sink.close(Duration::from_secs(10)).unwrap();
        drop(sink);
        let bare = bare::open(system, address);
        results[1].push(measure(events, || bare(events)));
    }
    for (name, results) in ["sink", "bare"].iter().zip(&mut results) {
        println!(
            "{system} {name}: {:.0} events/s, {:.2} µs of CPU an event",
            median(results, |(rate, _)| *rate),
            median(results, |(_, cpu)| *cpu),
        );
    }
}

fn median(results: &mut [(f64, f64)], figure: fn(&(f64, f64)) -> f64) -> f64 {
    results.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
    figure(&results[results.len() / 2])
}

fn measure(events: u64, run: impl FnOnce()) -> (f64, f64) {
    let (begun, worked) = (Instant::now(), cpu_time());
    run();
    let (elapsed, worked) = (begun.elapsed(), cpu_time() - worked);
    let count = events as f64;
    (
        count / elapsed.as_secs_f64(),
        worked.as_secs_f64() * 1e6 / count,
    )
}

/// User and system time of this process, in the kernel's ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    Duration::from_millis(
        ticks
            .map(|field| field.parse::<u64>().unwrap())
            .sum::<u64>()
            * 10,
    )
}

fn open(system: &str, address: &str) -> Remote {
    let bench = || Template::parse("bench").unwrap();
    match system {
        "kafka" => {
            let brokers = ("bootstrap.servers".to_owned(), address.to_owned());
            let mut options = KafkaOptions::new(bench(), BTreeMap::from([brokers])).unwrap();
            options.window = KAFKA_WINDOW;
            kafka::start("kafka", options).unwrap()
        }
        "nats" => {
            let mut options = NatsOptions::new(&[format!("nats://{address}")], bench()).unwrap();
            options.window = WINDOW;
            nats::start("nats", options).unwrap()
        }
        "mqtt" => {
            let (host, port) = address.split_once(':').unwrap();
            let mut options = MqttOptions::new(host, port.parse().unwrap(), "sink", bench());
            options.window = WINDOW;
            mqtt::start("mqtt", options).unwrap()
        }
        "http" => {
            let mut options = HttpOptions::new(HttpUrl::parse(&url(address)).unwrap());
            options.concurrency = CONCURRENCY;
            http::start("http", options).unwrap()
        }
        other => panic!("kafka, nats, mqtt or http, not {other}"),
    }
}

fn url(address: &str) -> String {
    format!("http://{address}/in")
}

/// A connection that waits for room and for its last event.
#[derive(Default)]
struct Connection {
    accepted: AtomicU64,
    changed: Condvar,
    lock: Mutex<()>,
}

impl Connection {
    fn wait_until(&self, done: impl Fn() -> bool) {
        let mut guard = self.lock.lock().unwrap();
        while !done() {
            guard = self
                .changed
                .wait_timeout(guard, Duration::from_millis(1))
                .unwrap()
                .0;
        }
    }
}

impl Completion for Connection {
    fn accepted(&self, _slot: usize, up_to: Sequence) {
        self.accepted.fetch_max(up_to, Ordering::Release);
        self.changed.notify_all();
    }

    fn refused(&self, _slot: usize, sequence: Sequence, refusal: Refusal) {
        panic!("{sequence}: {refusal:?}");
    }

    fn room(&self, _slot: usize) {}
}

/// Sends through the sink, as many senders in turn.
fn through(sink: &dyn Sink, events: u64) {
    const BATCH: u64 = 64;
    let connection = Arc::new(Connection::default());
    let completion: Arc<dyn Completion> = connection.clone();
    let application: Arc<str> = "app".into();
    let origins: Vec<_> = (0..SENDERS)
        .map(|number| origin(&format!("sensor{number}")))
        .collect();
    let mut batch = OpenBatch::new();
    let mut sequence = 0;
    while sequence < events {
        connection.wait_until(|| sink.has_room(&application));
        let time = Timestamp::now();
        for _ in 0..BATCH.min(events - sequence) {
            sequence += 1;
            let origin = &origins[usize::try_from(sequence).unwrap() % origins.len()];
            sink.encode(&draft(origin, time), sequence, &mut batch);
        }
        sink.hand_over(Handover {
            application: &application,
            batch: &mut batch,
            completion: &completion,
            slot: 0,
        });
    }
    connection.wait_until(|| connection.accepted.load(Ordering::Acquire) == events);
}

fn origin(device: &str) -> Arc<Origin> {
    Origin::new(OriginParts {
        instance: "landfall",
        application: ("app", "0191d5a8-0000-7000-8000-000000000000"),
        device: (device, "0191d5a9-0000-7000-8000-000000000000"),
        sender: (device, "0191d5a9-0000-7000-8000-000000000000"),
    })
}

fn draft(origin: &Origin, time: Timestamp) -> Draft<'_> {
    Draft {
        origin,
        event_type: EventType::Event,
        id: next_id(time),
        time,
        subject: "telemetry",
        data_content_type: Some("application/json"),
        data_schema: None,
        trace_parent: None,
        trace_state: None,
        retain: false,
        extensions: &[],
        data: Data::Json(PAYLOAD),
    }
}

/// Answers 204 to everything.
fn receive(address: &str) {
    let router =
        axum::Router::new().fallback(|_: Bytes| async { axum::http::StatusCode::NO_CONTENT });
    Runtime::new().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}
