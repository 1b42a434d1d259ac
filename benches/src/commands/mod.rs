//! `commands`: how many commands a second reach devices and are acknowledged, and how long one takes.
//!
//! Devices on one thread subscribe to their inboxes and acknowledge what comes. Workers, a thread
//! each, send one command after the other and wait for its outcome: first as fast as it goes, then
//! at half that rate, where a latency counts from the moment at which the command was due.

mod devices;
mod http;
mod kafka;
mod nats;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::client::{Target, numbered, short};
use crate::error::{Error, Result};
use crate::latency::{Latencies, Summary};
use crate::measure::seconds;
use devices::Devices;

/// Which devices, who sends, and how.
#[derive(Args, Clone)]
pub(crate) struct Spec {
    #[command(flatten)]
    pub target: Target,
    /// Further instances; devices are spread over all
    #[arg(long, value_name = "HOST:PORT")]
    pub also: Vec<SocketAddr>,
    /// Connected devices
    #[arg(long, short = 'n', default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub devices: u32,
    /// The devices' application
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = short)]
    pub application: String,
    /// Name of a device; {i} is its number, from 0
    #[arg(long, value_name = "NAME", default_value = "d{i}", value_parser = short)]
    pub device: String,
    /// How commands are handed in
    #[arg(long, default_value = "http")]
    pub through: Through,
    /// HTTP API of an instance; several share the commands
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub api: Vec<SocketAddr>,
    /// File with the API's token
    #[arg(long, value_name = "FILE", required_if_eq("through", "http"))]
    pub token_file: Option<PathBuf>,
    /// NATS, or the brokers of Kafka
    #[arg(long, value_name = "URL", required_if_eq_any([("through", "nats"), ("through", "kafka")]))]
    pub server: Option<String>,
    /// The subjects' prefix in NATS, or the topic of commands in Kafka
    #[arg(long, value_name = "NAME", default_value = "commands")]
    pub to: String,
    /// The topic of outcomes in Kafka
    #[arg(long, value_name = "NAME", default_value = "outcomes")]
    pub outcomes: String,
    /// Commands at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,
    /// Bytes of a command's payload
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16))]
    pub payload: u16,
    /// Seconds of each of the two measurements
    #[arg(long, short, default_value = "5", value_parser = seconds)]
    pub duration: Duration,
    /// Seconds of commands before that, which are not measured
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub warm_up: Duration,
}

/// How commands are handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Through {
    /// The HTTP API
    Http,
    /// Requests of NATS
    Nats,
    /// Records of Kafka, outcomes read from the reply topic
    Kafka,
}

/// Commands that were acknowledged; one that was not ends the run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub through: Through,
    pub devices: u32,
    pub instances: usize,
    pub workers: u16,
    /// At saturation.
    pub commands_per_second: f64,
    pub saturated: Summary,
    /// At half of that.
    pub rate: f64,
    pub at_half: Summary,
    /// PUBLISH packets that devices got, the warm-up's included.
    pub delivered: u64,
    /// Commands that were sent, the warm-up's included.
    pub sent: u64,
}

/// Sends commands, one after the other.
trait Sender: Send {
    /// Sends command `number` to a device, and returns once it is acknowledged.
    fn send(&mut self, device: &str, number: u64) -> Result<()>;
}

/// Connects the devices and measures.
///
/// # Errors
/// As soon as a device is refused, or a command is not acknowledged.
pub(crate) fn run(spec: &Spec) -> Result<Report> {
    let devices = Devices::connect(spec)?;
    let mut senders = senders(spec)?;
    let numbers = AtomicU64::new(0);
    let load = Load {
        spec,
        numbers: &numbers,
    };
    load.saturate(&mut senders, spec.warm_up)?;
    let (saturated, per_second) = load.saturate(&mut senders, spec.duration)?;
    let rate = (per_second / 2.0).max(1.0);
    let at_half = load.at_rate(&mut senders, rate)?;
    drop(senders);
    Ok(Report {
        through: spec.through,
        devices: spec.devices,
        instances: 1 + spec.also.len(),
        workers: spec.workers,
        commands_per_second: per_second,
        saturated,
        rate,
        at_half,
        delivered: devices.finish()?,
        sent: numbers.into_inner(),
    })
}

fn senders(spec: &Spec) -> Result<Vec<Box<dyn Sender>>> {
    match spec.through {
        Through::Http => http::senders(spec),
        Through::Nats => nats::senders(spec),
        Through::Kafka => kafka::senders(spec),
    }
}

struct Load<'a> {
    spec: &'a Spec,
    /// Numbers commands, over all phases.
    numbers: &'a AtomicU64,
}

impl Load<'_> {
    /// Every worker sends as fast as it is answered; latencies, and commands a second.
    fn saturate(
        &self,
        senders: &mut [Box<dyn Sender>],
        duration: Duration,
    ) -> Result<(Summary, f64)> {
        let started = Instant::now();
        let summary = each(senders, |sender, _, failed| {
            let mut latencies = Latencies::new()?;
            while started.elapsed() < duration && !failed.load(Ordering::Relaxed) {
                let begun = Instant::now();
                self.send(sender)?;
                latencies.record(begun.elapsed());
            }
            Ok(latencies)
        })?;
        Ok((
            summary,
            summary.count as f64 / started.elapsed().as_secs_f64(),
        ))
    }

    /// Commands are due at a fixed rate, whether or not a worker is free for them.
    fn at_rate(&self, senders: &mut [Box<dyn Sender>], rate: f64) -> Result<Summary> {
        let started = Instant::now();
        let (workers, duration) = (senders.len(), self.spec.duration);
        each(senders, |sender, worker, failed| {
            let mut latencies = Latencies::new()?;
            let mut slot = worker;
            while !failed.load(Ordering::Relaxed) {
                let due = Duration::from_secs_f64(slot as f64 / rate);
                if due >= duration {
                    break;
                }
                if let Some(early) = due.checked_sub(started.elapsed()) {
                    thread::park_timeout(early);
                    continue;
                }
                self.send(sender)?;
                latencies.record(started.elapsed().saturating_sub(due));
                slot += workers;
            }
            Ok(latencies)
        })
    }

    fn send(&self, sender: &mut Box<dyn Sender>) -> Result<()> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let device = usize::try_from(number % u64::from(self.spec.devices)).unwrap_or(0);
        sender.send(&numbered(&self.spec.device, device), number)
    }
}

/// Runs all workers; the first failure stops the others.
fn each(
    senders: &mut [Box<dyn Sender>],
    work: impl Fn(&mut Box<dyn Sender>, usize, &AtomicBool) -> Result<Latencies> + Sync,
) -> Result<Summary> {
    let failed = AtomicBool::new(false);
    let mut all = Latencies::new()?;
    thread::scope(|scope| {
        let (work, failed) = (&work, &failed);
        let start = |(worker, sender)| {
            scope.spawn(move || {
                let done = work(sender, worker, failed);
                failed.fetch_or(done.is_err(), Ordering::Relaxed);
                done
            })
        };
        let workers: Vec<_> = senders.iter_mut().enumerate().map(start).collect();
        for worker in workers {
            all.merge(&join(worker)?);
        }
        Ok(all.summary())
    })
}

fn join(worker: ScopedJoinHandle<'_, Result<Latencies>>) -> Result<Latencies> {
    let panicked = |_| Err(Error::Usage("a worker's thread failed".to_owned()));
    worker.join().unwrap_or_else(panicked)
}
