//! `publish`: throughput and CPU per message, every connection sending as fast as it may.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::cost::{Cost, Meter, micros_per, ratio};
use super::flood::Flood;
use super::pipeline::Pipeline;
use super::subscriber::{Delivery, Subscriber};
use super::{KEEP_ALIVE, seconds};
use crate::client::{Connection, Target, numbered, open, short};
use crate::error::{Error, Result};
use crate::latency::{Latencies, Summary};
use crate::mqtt::{Payload, Qos, Train};

/// Bytes that a QoS 0 connection writes at once.
const FLOOD_RUN: usize = 32 * 1024;

/// What to publish, and how.
#[derive(Args, Clone)]
pub(crate) struct Spec {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub message: Message,
    /// Connections
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// Quality of service
    #[arg(long, short, default_value = "1")]
    pub qos: Qos,
    /// Unacknowledged publishes per connection, at QoS 1 and 2
    #[arg(long, short, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub window: u16,
    /// Seconds of measured sending
    #[arg(long, short, default_value = "5", value_parser = seconds)]
    pub duration: Duration,
    /// Seconds of sending before that, which are not measured
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub warm_up: Duration,
    /// Threads of the client
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
    /// Add one subscriber to `#` that takes everything, at this quality of service
    #[arg(long, value_name = "QOS")]
    pub subscriber: Option<Qos>,
}

/// The published message.
#[derive(Args, Clone)]
pub(crate) struct Message {
    /// Topic; {i} is the connection's number, from 0
    #[arg(long, default_value = "telemetry", value_parser = short)]
    pub topic: String,
    /// Bytes of payload
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub size: u32,
    /// Send bytes that are not JSON
    #[arg(long)]
    pub binary: bool,
}

impl Message {
    pub(super) fn payload(&self) -> Payload {
        Payload {
            size: usize::try_from(self.size).unwrap_or(usize::MAX),
            binary: self.binary,
        }
    }
}

/// Throughput, cost and latency.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub connections: u16,
    pub qos: Qos,
    /// 1 to 65,535 at QoS 1 and 2; absent at QoS 0.
    pub window: Option<u16>,
    /// Acknowledged messages; at QoS 0, messages sent before an acknowledged one on their connection.
    pub messages: u64,
    pub seconds: f64,
    pub messages_per_second: f64,
    pub server: Option<Cost>,
    pub server_cpu_us_per_message: Option<f64>,
    pub client_cpu_us_per_message: f64,
    /// From the write to the final acknowledgement; absent at QoS 0.
    pub latency: Option<Summary>,
    /// Acknowledgements that overtook an earlier one of their connection.
    pub out_of_order: u64,
    pub delivery: Option<Delivery>,
}

impl Report {
    /// Messages that the subscriber missed, in percent; `None` without a subscriber.
    pub(crate) fn lost_percent(&self) -> Option<f64> {
        let delivery = self.delivery?;
        let published = delivery.delivered + delivery.lost;
        Some(ratio(delivery.lost as f64 * 100.0, published as f64))
    }
}

/// What one thread did in one phase.
pub(super) struct Phase {
    pub messages: u64,
    pub latencies: Latencies,
    pub client_cpu: Duration,
    pub finished: Instant,
    /// Since the connections were opened.
    pub out_of_order: u64,
}

impl Phase {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            messages: 0,
            latencies: Latencies::new()?,
            client_cpu: Duration::ZERO,
            finished: Instant::now(),
            out_of_order: 0,
        })
    }

    fn merge(mut self, other: &Self) -> Self {
        self.messages += other.messages;
        self.latencies.merge(&other.latencies);
        self.client_cpu += other.client_cpu;
        self.finished = self.finished.max(other.finished);
        self.out_of_order += other.out_of_order;
        self
    }
}

/// A thread's share of the connections. Nothing is in flight before and after a phase, so that
/// the server's CPU time between the two belongs to the phase's messages.
pub(super) trait Worker: Send {
    fn phase(&mut self, duration: Duration) -> Result<Phase>;
}

/// Opens the connections, warms up, measures.
///
/// # Errors
/// As soon as the server refuses, closes or stalls: a figure from a run with faults is none.
pub(crate) fn run(spec: &Spec) -> Result<Report> {
    let mut workers = workers(spec)?;
    let subscriber = spec
        .subscriber
        .map(|qos| Subscriber::start(&spec.target, usize::from(spec.connections), "#", qos))
        .transpose()?;
    if !spec.warm_up.is_zero() {
        let warm_up = phase(&mut workers, spec.warm_up)?;
        if let Some(subscriber) = &subscriber {
            subscriber.settle(all_published(spec, warm_up.messages));
        }
    }
    let delivered_before = subscriber.as_ref().map_or(0, Subscriber::delivered);

    let meter = Meter::start(spec.target.pid)?;
    let started = Instant::now();
    let mut measured = phase(&mut workers, spec.duration)?;
    let published = all_published(spec, measured.messages);
    if let Some(subscriber) = &subscriber {
        let last = subscriber.settle(delivered_before + published);
        measured.finished = measured.finished.max(last);
    }
    let server = meter.map(|meter| meter.stop()).transpose()?;

    let delivery = subscriber
        .map(|subscriber| {
            let delivered = subscriber.delivered() - delivered_before;
            subscriber.finish().map(|()| Delivery {
                delivered,
                lost: published.saturating_sub(delivered),
            })
        })
        .transpose()?;
    Ok(report(spec, &measured, started, server, delivery))
}

/// Messages and, at QoS 0, the closing publish of each connection.
fn all_published(spec: &Spec, messages: u64) -> u64 {
    match spec.qos {
        Qos::AtMostOnce => messages + u64::from(spec.connections),
        Qos::AtLeastOnce | Qos::ExactlyOnce => messages,
    }
}

fn report(
    spec: &Spec,
    measured: &Phase,
    started: Instant,
    server: Option<Cost>,
    delivery: Option<Delivery>,
) -> Report {
    let seconds = measured
        .finished
        .saturating_duration_since(started)
        .as_secs_f64();
    let acknowledged = spec.qos != Qos::AtMostOnce;
    Report {
        connections: spec.connections,
        qos: spec.qos,
        window: acknowledged.then_some(spec.window),
        messages: measured.messages,
        seconds,
        messages_per_second: ratio(measured.messages as f64, seconds),
        server_cpu_us_per_message: server.map(|cost| cost.micros_per(measured.messages)),
        server,
        client_cpu_us_per_message: micros_per(measured.client_cpu, measured.messages),
        latency: acknowledged.then(|| measured.latencies.summary()),
        out_of_order: measured.out_of_order,
        delivery,
    }
}

/// Runs one phase on all threads and adds up what they did.
fn phase(workers: &mut [Box<dyn Worker>], duration: Duration) -> Result<Phase> {
    let outcomes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|worker| scope.spawn(move || worker.phase(duration)))
            .collect();
        threads
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    outcomes
        .into_iter()
        .try_fold(Phase::new()?, |sum, outcome| {
            let part = outcome.map_err(|_| Error::Usage("a client thread failed".to_owned()))??;
            Ok(sum.merge(&part))
        })
}

fn workers(spec: &Spec) -> Result<Vec<Box<dyn Worker>>> {
    let mut trains = Trains::new(spec);
    let threads = usize::from(spec.threads.min(spec.connections));
    let mut shares: Vec<Vec<(usize, Connection)>> = (0..threads).map(|_| Vec::new()).collect();
    for n in 0..usize::from(spec.connections) {
        let opened = open(&spec.target, n, KEEP_ALIVE, None)?;
        if spec.qos != Qos::AtMostOnce && opened.receive_maximum < spec.window {
            return Err(Error::Usage(format!(
                "the server allows {} publishes in flight: use --window {0}",
                opened.receive_maximum
            )));
        }
        if let Some(share) = shares.get_mut(n % threads) {
            share.push((n, opened.connection));
        }
    }
    shares
        .into_iter()
        .map(|share| -> Result<Box<dyn Worker>> {
            let share = share.into_iter();
            Ok(if spec.qos == Qos::AtMostOnce {
                let links = share.map(|(n, link)| (link, trains.main(n), trains.barrier(n)));
                Box::new(Flood::new(links.collect())?)
            } else {
                let links = share.map(|(n, link)| (link, trains.main(n)));
                Box::new(Pipeline::new(links.collect())?)
            })
        })
        .collect()
}

/// Makes each train once per topic; with one topic all connections share one, which stays in cache.
struct Trains<'a> {
    spec: &'a Spec,
    made: HashMap<(String, bool), Arc<Train>>,
}

impl<'a> Trains<'a> {
    fn new(spec: &'a Spec) -> Self {
        Self {
            spec,
            made: HashMap::new(),
        }
    }

    fn main(&mut self, n: usize) -> Arc<Train> {
        self.get(n, false)
    }

    /// The QoS 1 publish that closes a QoS 0 phase.
    fn barrier(&mut self, n: usize) -> Arc<Train> {
        self.get(n, true)
    }

    fn get(&mut self, n: usize, barrier: bool) -> Arc<Train> {
        let spec = self.spec;
        let topic = numbered(&spec.message.topic, n);
        let train = |topic: &str| {
            let make =
                |qos, len| Train::new(spec.target.mqtt, topic, qos, spec.message.payload(), len);
            match (barrier, spec.qos) {
                (true, _) => make(Qos::AtLeastOnce, 1),
                (false, Qos::AtMostOnce) => {
                    let run = FLOOD_RUN / make(Qos::AtMostOnce, 1).packet_size().max(1);
                    make(
                        Qos::AtMostOnce,
                        u16::try_from(run.max(1)).unwrap_or(u16::MAX),
                    )
                }
                (false, qos) => make(qos, spec.window),
            }
        };
        let made = self.made.entry((topic, barrier));
        Arc::clone(made.or_insert_with_key(|(topic, _)| Arc::new(train(topic))))
    }
}
