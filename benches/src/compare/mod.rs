//! `compare`: the same measurements on several servers, in turns, as medians and ratios.
//!
//! - [`contest`]: who is measured, and on what
//! - [`server`]: starting and stopping a server of each kind
//! - [`landfall`]: Landfall's configuration and devices
//! - [`identity`]: the certificate that they show
//! - [`table`]: medians, ratios, Markdown
//!
//! Servers never run at the same time. Each round measures every server once, so that whatever else
//! the machine does meets all of them alike, and ratios are taken within a round.

mod contest;
mod identity;
mod landfall;
mod machine;
mod server;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::client::Over;

pub(crate) use contest::{Measurement, run};
pub(crate) use table::Comparison;

/// Which servers, which measurements, how long.
#[derive(Args, Clone)]
pub(crate) struct Spec {
    /// Measure this Landfall binary, once with the sink `blackhole` and once with `log`
    #[arg(long, value_name = "BINARY")]
    pub landfall: Option<PathBuf>,
    /// Measure mosquitto (found on PATH or in /usr/sbin if no binary is given), without a subscriber
    /// and with one that takes everything
    #[arg(long, value_name = "BINARY", num_args = 0..=1, default_missing_value = "mosquitto")]
    pub mosquitto: Option<PathBuf>,
    /// Measure the floor server
    #[arg(long)]
    pub floor: bool,
    /// Measurements to take
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values = ["qos0", "qos1", "rate", "connect", "idle"])]
    pub only: Vec<Measurement>,
    /// What to speak MQTT over; the servers get a certificate of the tool's own
    #[arg(long, value_name = "WAY", default_value = "tcp")]
    pub over: Over,
    /// Resume TLS sessions; else each handshake is a full one
    #[arg(long)]
    pub resume: bool,
    /// Rounds; each measures every server once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// Seconds of each measurement, without its warm-up
    #[arg(long, short, default_value = "3", value_parser = crate::measure::seconds)]
    pub duration: Duration,
    /// Publishing connections
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// Unacknowledged publishes per connection
    #[arg(long, short, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub window: u16,
    /// Messages per second of the measurement `rate`
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: u32,
    /// Connections of the measurement `idle`
    #[arg(long, value_name = "COUNT", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub idle: u32,
    /// Bytes of JSON payload
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub size: u32,
    /// Folder for the servers' data; decides the disk under Landfall's log. The system's by default
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A smoke run of some seconds: one round, short, few connections; its figures mean nothing
    #[arg(long, conflicts_with_all = ["rounds", "duration", "connections", "idle"])]
    pub quick: bool,
}

impl Spec {
    /// The specification with `--quick` spelled out.
    fn resolved(&self) -> Self {
        if !self.quick {
            return self.clone();
        }
        Self {
            rounds: 1,
            duration: Duration::from_millis(200),
            connections: 8,
            idle: 100,
            ..self.clone()
        }
    }

    /// Warm-up of each measurement: a third of it, at most a second.
    fn warm_up(&self) -> Duration {
        (self.duration / 3).min(Duration::from_secs(1))
    }
}
