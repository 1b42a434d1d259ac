//! Who is measured on what, in which order.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use super::Spec;
use super::identity::Identity;
use super::landfall;
use super::machine::Machine;
use super::server::{Running, Start};
use super::table::{Comparison, Figure, Sample};
use crate::client::{Over, Target, Way};
use crate::error::{Error, Result, ServerFault};
use crate::measure::publish::Message;
use crate::measure::{connect, idle, publish, rate};
use crate::mqtt::{Qos, Version};
use crate::process::Stolen;

/// One measurement of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Measurement {
    /// Pipelined publishes at QoS 0
    Qos0,
    /// Pipelined publishes at QoS 1
    Qos1,
    /// Pipelined publishes at QoS 2
    Qos2,
    /// Publishes at a fixed rate, one at a time per connection
    Rate,
    /// Log-ins
    Connect,
    /// Memory of idle connections
    Idle,
}

/// A server in one of the ways it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Contestant {
    Floor,
    /// Without subscriber: every message is dropped.
    Mosquitto,
    /// With one subscriber that takes everything: the broker's way to hand messages on.
    MosquittoSubscribed,
    LandfallBlackhole,
    LandfallLog,
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Floor => "floor",
            Self::Mosquitto => "mosquitto, no subscriber",
            Self::MosquittoSubscribed => "mosquitto, one subscriber",
            Self::LandfallBlackhole => "Landfall, `blackhole`",
            Self::LandfallLog => "Landfall, `log`",
        })
    }
}

impl Contestant {
    /// Whether the measurement says something that this server's other way of being measured does not.
    fn takes(self, measurement: Measurement) -> bool {
        use Measurement::{Qos0, Qos1, Qos2};
        self != Self::MosquittoSubscribed || matches!(measurement, Qos0 | Qos1 | Qos2)
    }

    /// The subscriber that is added to publishes.
    fn subscriber(self, qos: Qos) -> Option<Qos> {
        (self == Self::MosquittoSubscribed).then_some(qos)
    }
}

/// Runs all rounds.
///
/// # Errors
/// As soon as one measurement of one server fails, with both named: a comparison with a hole in it
/// compares nothing.
pub(crate) fn run(spec: &Spec) -> Result<Comparison> {
    let spec = spec.resolved();
    let contestants = contestants(&spec);
    if contestants.is_empty() {
        return Err(Error::Usage(
            "name at least one server: --landfall BINARY, --mosquitto, --floor".to_owned(),
        ));
    }
    if spec.floor && spec.over != Over::Tcp {
        return Err(Error::Usage(
            "the floor server speaks MQTT over TCP alone".to_owned(),
        ));
    }
    let identity = spec.over.is_secure().then(Identity::make).transpose()?;
    let prepared = spec
        .landfall
        .as_deref()
        .map(|binary| landfall::prepare(binary, &spec, devices(&spec)))
        .transpose()?;
    let ca = identity.as_ref().map(Identity::certificate);
    let start = Start {
        spec: &spec,
        landfall: prepared.as_ref(),
        identity: identity.as_ref(),
        way: Way::new(spec.over, ca, spec.resume),
    };
    let stolen = Stolen::begin();
    let mut comparison = Comparison::new(Machine::read(), contestants.clone(), &spec);
    for round in 0..spec.rounds {
        for &contestant in &contestants {
            eprintln!("round {} of {}: {contestant}", round + 1, spec.rounds);
            for sample in samples(&start, contestant, round)? {
                comparison.add(sample);
            }
        }
    }
    comparison.stolen_percent = stolen.percent();
    Ok(comparison)
}

fn contestants(spec: &Spec) -> Vec<Contestant> {
    let mut contestants = Vec::new();
    if spec.floor {
        contestants.push(Contestant::Floor);
    }
    if spec.mosquitto.is_some() {
        contestants.extend([Contestant::Mosquitto, Contestant::MosquittoSubscribed]);
    }
    if spec.landfall.is_some() {
        contestants.extend([Contestant::LandfallBlackhole, Contestant::LandfallLog]);
    }
    contestants.retain(|contestant| {
        spec.only
            .iter()
            .any(|&measurement| contestant.takes(measurement))
    });
    contestants
}

/// Devices that Landfall must know: one for each connection of the largest measurement.
fn devices(spec: &Spec) -> u32 {
    let idle = spec.only.contains(&Measurement::Idle).then_some(spec.idle);
    idle.unwrap_or(0).max(spec.connections.into())
}

/// All of one server's figures in one round.
fn samples(start: &Start<'_>, contestant: Contestant, round: u16) -> Result<Vec<Sample>> {
    // An allocator keeps what earlier load made it take, so memory is read from a fresh process.
    let (idle, load): (Vec<_>, Vec<_>) = start
        .spec
        .only
        .iter()
        .copied()
        .filter(|&measurement| contestant.takes(measurement))
        .partition(|&measurement| measurement == Measurement::Idle);
    let mut samples = Vec::new();
    for group in [load, idle] {
        if group.is_empty() {
            continue;
        }
        let server = start.server(contestant)?;
        for measurement in group {
            let figures = measure(start, contestant, &server, measurement)
                .map_err(|fault| fault.during(&format!("{contestant}, {measurement:?}")))?;
            samples.extend(figures.into_iter().map(|(figure, value)| Sample {
                round,
                contestant,
                figure,
                value,
            }));
        }
        server.stop()?;
    }
    Ok(samples)
}

/// The figures of one measurement of one server.
fn measure(
    start: &Start<'_>,
    contestant: Contestant,
    server: &Running,
    measurement: Measurement,
) -> Result<Vec<(Figure, f64)>> {
    use Figure as F;
    let spec = start.spec;
    let target = target(contestant, server, start.way.clone());
    let figures = match measurement {
        Measurement::Qos0 => {
            let report = publish(spec, contestant, target, Qos::AtMostOnce)?;
            vec![
                (F::Qos0Throughput, Some(report.messages_per_second)),
                (F::Qos0Cpu, report.server_cpu_us_per_message),
                (F::Qos0Lost, report.lost_percent()),
            ]
        }
        Measurement::Qos1 => {
            let report = publish(spec, contestant, target, Qos::AtLeastOnce)?;
            vec![
                (F::Qos1Throughput, Some(report.messages_per_second)),
                (F::Qos1Cpu, report.server_cpu_us_per_message),
            ]
        }
        Measurement::Qos2 => {
            let report = publish(spec, contestant, target, Qos::ExactlyOnce)?;
            vec![
                (F::Qos2Throughput, Some(report.messages_per_second)),
                (F::Qos2Cpu, report.server_cpu_us_per_message),
            ]
        }
        Measurement::Rate => {
            let report = rate::run(&rate_spec(spec, target))?;
            vec![
                (F::RateCpu, report.server_cpu_us_per_message),
                (F::RateP50, Some(report.latency.p50_us)),
                (F::RateP99, Some(report.latency.p99_us)),
                (F::RateP999, Some(report.latency.p999_us)),
            ]
        }
        Measurement::Connect => {
            let report = connect::run(&connect_spec(spec, target))?;
            vec![
                (F::ConnectThroughput, Some(report.connects_per_second)),
                (F::ConnectCpu, report.server_cpu_us_per_connect),
            ]
        }
        Measurement::Idle => {
            let memory = idle::run(&idle_spec(spec, target))?.memory;
            vec![(
                F::IdleMemory,
                memory.map(|memory| memory.bytes_per_connection),
            )]
        }
    };
    let measured = |(figure, value): (_, Option<_>)| value.map(|value| (figure, value));
    Ok(figures.into_iter().filter_map(measured).collect())
}

/// Publishes; above QoS 0 a subscriber that misses messages is the server's fault.
fn publish(
    spec: &Spec,
    contestant: Contestant,
    target: Target,
    qos: Qos,
) -> Result<publish::Report> {
    let report = publish::run(&publish_spec(spec, target, qos, contestant.subscriber(qos)))?;
    match report.delivery {
        Some(delivery) if delivery.lost > 0 && qos != Qos::AtMostOnce => {
            Err(ServerFault::Lost(delivery.lost).into())
        }
        _ => Ok(report),
    }
}

fn target(contestant: Contestant, server: &Running, way: Way) -> Target {
    let device = matches!(
        contestant,
        Contestant::LandfallBlackhole | Contestant::LandfallLog
    );
    Target {
        address: server.address,
        way,
        mqtt: Version::V311,
        client_id: "load-{i}".to_owned(),
        username: device.then(|| landfall::USERNAME.to_owned()),
        password: device.then(|| landfall::PASSWORD.to_owned()),
        pid: Some(server.pid()),
    }
}

fn message(spec: &Spec) -> Message {
    Message {
        topic: "telemetry".to_owned(),
        size: spec.size,
        binary: false,
    }
}

fn publish_spec(spec: &Spec, target: Target, qos: Qos, subscriber: Option<Qos>) -> publish::Spec {
    publish::Spec {
        target,
        message: message(spec),
        connections: spec.connections,
        qos,
        window: spec.window,
        duration: spec.duration,
        warm_up: spec.warm_up(),
        threads: 1,
        subscriber,
    }
}

fn rate_spec(spec: &Spec, target: Target) -> rate::Spec {
    rate::Spec {
        target,
        message: message(spec),
        connections: spec.connections,
        rate: spec.rate,
        qos: Qos::AtLeastOnce,
        duration: spec.duration,
        warm_up: spec.warm_up(),
    }
}

fn connect_spec(spec: &Spec, target: Target) -> connect::Spec {
    connect::Spec {
        target,
        connections: spec.connections.min(16),
        duration: spec.duration,
        warm_up: spec.warm_up(),
    }
}

fn idle_spec(spec: &Spec, target: Target) -> idle::Spec {
    idle::Spec {
        target,
        connections: spec.idle,
        topic: "command/inbox//#".to_owned(),
        qos: Qos::AtLeastOnce,
        keep_alive: 60,
        settle: spec.duration.min(std::time::Duration::from_millis(500)),
        hold: std::time::Duration::ZERO,
    }
}
