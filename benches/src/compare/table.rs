//! Medians and ratios of what was measured, as Markdown.

use std::fmt::Write as _;

use serde::Serialize;

use super::Spec;
use super::contest::Contestant;
use super::machine::Machine;
use crate::client::Over;

/// A figure that is compared; the order is the table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    Qos0Throughput,
    Qos0Cpu,
    /// Of a subscribed server only.
    Qos0Lost,
    Qos1Throughput,
    Qos1Cpu,
    Qos2Throughput,
    Qos2Cpu,
    RateCpu,
    RateP50,
    RateP99,
    RateP999,
    ConnectThroughput,
    ConnectCpu,
    IdleMemory,
}

impl Figure {
    const ALL: [Self; 14] = [
        Self::Qos0Throughput,
        Self::Qos0Cpu,
        Self::Qos0Lost,
        Self::Qos1Throughput,
        Self::Qos1Cpu,
        Self::Qos2Throughput,
        Self::Qos2Cpu,
        Self::RateCpu,
        Self::RateP50,
        Self::RateP99,
        Self::RateP999,
        Self::ConnectThroughput,
        Self::ConnectCpu,
        Self::IdleMemory,
    ];

    /// Name, and digits after the point.
    fn label(self) -> (&'static str, usize) {
        match self {
            Self::Qos0Throughput => ("QoS 0, messages/s", 0),
            Self::Qos0Cpu => ("QoS 0, server CPU, µs/message", 3),
            Self::Qos0Lost => ("QoS 0, not delivered to the subscriber, %", 2),
            Self::Qos1Throughput => ("QoS 1, messages/s", 0),
            Self::Qos1Cpu => ("QoS 1, server CPU, µs/message", 3),
            Self::Qos2Throughput => ("QoS 2, messages/s", 0),
            Self::Qos2Cpu => ("QoS 2, server CPU, µs/message", 3),
            Self::RateCpu => ("fixed rate, server CPU, µs/message", 2),
            Self::RateP50 => ("fixed rate, acknowledgement p50, µs", 1),
            Self::RateP99 => ("fixed rate, acknowledgement p99, µs", 1),
            Self::RateP999 => ("fixed rate, acknowledgement p99.9, µs", 1),
            Self::ConnectThroughput => ("connects/s", 0),
            Self::ConnectCpu => ("connect, server CPU, µs", 1),
            Self::IdleMemory => ("idle connection, bytes", 0),
        }
    }
}

/// One value of one server in one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub round: u16,
    pub contestant: Contestant,
    pub figure: Figure,
    pub value: f64,
}

/// All samples, and under which conditions they were taken.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    pub machine: Machine,
    pub conditions: Conditions,
    pub contestants: Vec<Contestant>,
    pub samples: Vec<Sample>,
    /// Percent of the processor time that the machine's host gave to others meanwhile.
    pub stolen_percent: Option<f64>,
}

/// What was the same for all servers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Conditions {
    pub rounds: u16,
    pub seconds: f64,
    pub connections: u16,
    pub window: u16,
    pub rate: u32,
    pub payload_bytes: u32,
    pub idle_connections: u32,
    pub over: Over,
    /// Whether TLS sessions were resumed.
    pub resume: bool,
    /// Of `--quick`: figures that only show that the tool works.
    pub smoke: bool,
}

impl Comparison {
    pub(super) fn new(machine: Machine, contestants: Vec<Contestant>, spec: &Spec) -> Self {
        Self {
            machine,
            conditions: Conditions {
                rounds: spec.rounds,
                seconds: spec.duration.as_secs_f64(),
                connections: spec.connections,
                window: spec.window,
                rate: spec.rate,
                payload_bytes: spec.size,
                idle_connections: spec.idle,
                over: spec.over,
                resume: spec.resume,
                smoke: spec.quick,
            },
            contestants,
            samples: Vec::new(),
            stolen_percent: None,
        }
    }

    pub(super) fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// The tables, with the conditions above them.
    pub(crate) fn markdown(&self) -> String {
        let mut out = self.heading();
        write_table(
            &mut out,
            "Median (least to greatest) of the rounds",
            &self.contestants,
            |figure, contestant| self.spread(figure, contestant),
        );
        for peer in [Contestant::Mosquitto, Contestant::Floor] {
            let others: Vec<_> = self
                .contestants
                .iter()
                .copied()
                .filter(|&other| other != peer)
                .collect();
            if others.len() == self.contestants.len() || others.is_empty() {
                continue;
            }
            write_table(
                &mut out,
                &format!("Times {peer} (median of the rounds' ratios)"),
                &others,
                |figure, contestant| Some(format!("{:.2}", self.ratio(figure, contestant, peer)?)),
            );
        }
        out
    }

    fn heading(&self) -> String {
        let (machine, conditions) = (&self.machine, &self.conditions);
        let smoke = if conditions.smoke {
            "Smoke run: the figures mean nothing.\n\n"
        } else {
            ""
        };
        let over = match conditions.over {
            Over::Tcp => "over TCP",
            Over::Tls if conditions.resume => "over TLS, sessions resumed",
            Over::Tls => "over TLS, full handshakes",
            Over::Ws => "in WebSocket",
            Over::Wss if conditions.resume => "in WebSocket over TLS, sessions resumed",
            Over::Wss => "in WebSocket over TLS, full handshakes",
        };
        let stolen = self.stolen_percent.map_or_else(String::new, |percent| {
            format!("; {percent:.0} % of the processor time stolen by the host")
        });
        format!(
            "{smoke}{} cores of {}, Linux {}; {over}; rounds: {}, of {} s; {} connections, window {}, {} bytes of JSON; \
             fixed rate {}/s in all; {} idle connections{stolen}.\n",
            machine.cores,
            machine.processor,
            machine.kernel,
            conditions.rounds,
            conditions.seconds,
            conditions.connections,
            conditions.window,
            conditions.payload_bytes,
            conditions.rate,
            conditions.idle_connections,
        )
    }

    fn spread(&self, figure: Figure, contestant: Contestant) -> Option<String> {
        let mut values: Vec<f64> = self
            .values(figure, contestant)
            .map(|sample| sample.value)
            .collect();
        let middle = median(&mut values)?;
        let digits = figure.label().1;
        let (least, greatest) = (values.first()?, values.last()?);
        if values.len() == 1 {
            return Some(format!("{middle:.digits$}"));
        }
        Some(format!(
            "{middle:.digits$} ({least:.digits$} to {greatest:.digits$})"
        ))
    }

    /// The median of the ratios that `contestant` and `peer` had in the same round.
    fn ratio(&self, figure: Figure, contestant: Contestant, peer: Contestant) -> Option<f64> {
        let mut ratios: Vec<f64> = self
            .values(figure, contestant)
            .filter_map(|sample| {
                let of_peer = self
                    .values(figure, peer)
                    .find(|other| other.round == sample.round)?;
                (of_peer.value != 0.0).then(|| sample.value / of_peer.value)
            })
            .collect();
        median(&mut ratios)
    }

    fn values(&self, figure: Figure, contestant: Contestant) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.figure == figure && sample.contestant == contestant)
    }
}

/// Writes one table; a figure that no column has is left out.
fn write_table(
    out: &mut String,
    title: &str,
    columns: &[Contestant],
    cell: impl Fn(Figure, Contestant) -> Option<String>,
) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\n{title}:\n\n| figure |");
    for contestant in columns {
        let _ = write!(out, " {contestant} |");
    }
    let _ = writeln!(out, "\n| --- |{}", " ---: |".repeat(columns.len()));
    for figure in Figure::ALL {
        let cells: Vec<_> = columns
            .iter()
            .map(|&contestant| cell(figure, contestant))
            .collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(out, "| {} |", figure.label().0);
        for cell in cells {
            let _ = write!(out, " {} |", cell.as_deref().unwrap_or("–"));
        }
        out.push('\n');
    }
}

/// Sorts the values and takes the middle one, or the mean of the middle two.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(half.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(values: &[(u16, Contestant, f64)]) -> Comparison {
        Comparison {
            machine: Machine {
                cores: 2,
                processor: "P".to_owned(),
                kernel: "K".to_owned(),
            },
            conditions: Conditions {
                rounds: 3,
                seconds: 1.0,
                connections: 50,
                window: 64,
                rate: 5000,
                payload_bytes: 64,
                idle_connections: 5000,
                over: Over::Tcp,
                resume: false,
                smoke: false,
            },
            contestants: vec![
                Contestant::Floor,
                Contestant::Mosquitto,
                Contestant::LandfallLog,
            ],
            samples: values
                .iter()
                .map(|&(round, contestant, value)| Sample {
                    round,
                    contestant,
                    figure: Figure::Qos1Cpu,
                    value,
                })
                .collect(),
            stolen_percent: Some(12.4),
        }
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut [7.0]), Some(7.0));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        use Contestant::{LandfallLog, Mosquitto};
        // The machine is three times slower in round 1: the ratio is the same, that of the medians is not.
        let comparison = comparison(&[
            (0, Mosquitto, 6.0),
            (0, LandfallLog, 3.0),
            (1, Mosquitto, 18.0),
            (1, LandfallLog, 9.0),
            (2, Mosquitto, 18.0),
            (2, LandfallLog, 3.0),
        ]);
        assert_eq!(
            comparison.ratio(Figure::Qos1Cpu, LandfallLog, Mosquitto),
            Some(0.5)
        );
        assert_eq!(
            comparison.ratio(Figure::Qos0Cpu, LandfallLog, Mosquitto),
            None
        );
    }

    #[test]
    fn markdown_shows_medians_spreads_and_ratios_and_leaves_holes_visible() {
        use Contestant::{Floor, Mosquitto};
        let markdown = comparison(&[
            (0, Floor, 0.2),
            (0, Mosquitto, 6.0),
            (1, Floor, 0.1),
            (1, Mosquitto, 5.0),
            (2, Floor, 0.3),
            (2, Mosquitto, 9.0),
        ])
        .markdown();
        assert!(
            markdown.contains("| QoS 1, server CPU, µs/message | 0.200 (0.100 to 0.300) | 6.000 (5.000 to 9.000) | – |"),
            "{markdown}"
        );
        assert!(
            markdown.contains("| QoS 1, server CPU, µs/message | 30.00 | – |"),
            "{markdown}"
        );
        assert!(!markdown.contains("QoS 0"), "{markdown}");
    }
}
