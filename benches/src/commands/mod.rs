//! `commands`: how many commands a second reach devices and are acknowledged, and how long one takes.
//!
//! Devices on one thread subscribe to their inboxes and acknowledge what comes. Commands are handed
//! in, so many at the same time: first as fast as it goes, then at half that rate, where a latency
//! counts from the moment at which the command was due. Through HTTP that is another thread, and
//! through the others, whose clients are libraries, a thread for each command at the same time.

mod devices;
mod http;
mod kafka;
mod nats;
mod workers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::client::{Target, numbered, short};
use crate::error::Result;
use crate::latency::Summary;
use crate::measure::seconds;
use crate::process::Stolen;
use devices::Devices;
use workers::Workers;

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
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
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
    /// Percent of the processor time that the machine's host gave to others meanwhile.
    pub stolen_percent: Option<f64>,
}

/// Hands commands in, some at the same time.
trait Source {
    /// As fast as they are answered: latencies, and commands a second.
    fn saturate(&mut self, load: &Load<'_>, duration: Duration) -> Result<(Summary, f64)>;

    /// Whether or not the ones before are answered: latencies from when they were due.
    fn at_rate(&mut self, load: &Load<'_>, rate: f64) -> Result<Summary>;
}

/// Connects the devices and measures.
///
/// # Errors
/// As soon as a device is refused, or a command is not acknowledged.
pub(crate) fn run(spec: &Spec) -> Result<Report> {
    let devices = Devices::connect(spec)?;
    let mut source = source(spec)?;
    let stolen = Stolen::begin();
    let numbers = AtomicU64::new(0);
    let load = Load {
        spec,
        numbers: &numbers,
    };
    source.saturate(&load, spec.warm_up)?;
    let (saturated, per_second) = source.saturate(&load, spec.duration)?;
    let rate = (per_second / 2.0).max(1.0);
    let at_half = source.at_rate(&load, rate)?;
    let stolen_percent = stolen.percent();
    drop(source);
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
        stolen_percent,
    })
}

fn source(spec: &Spec) -> Result<Box<dyn Source>> {
    Ok(match spec.through {
        Through::Http => Box::new(http::Callers::connect(spec)?),
        Through::Nats => Box::new(Workers(nats::senders(spec)?)),
        Through::Kafka => Box::new(Workers(kafka::senders(spec)?)),
    })
}

struct Load<'a> {
    spec: &'a Spec,
    /// Numbers commands, over all phases.
    numbers: &'a AtomicU64,
}

impl Load<'_> {
    /// The next command: its number, and its device.
    fn next(&self) -> (u64, String) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let device = usize::try_from(number % u64::from(self.spec.devices)).unwrap_or(0);
        (number, numbered(&self.spec.device, device))
    }
}
