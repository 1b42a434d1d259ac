//! Reports for people: aligned lines, with the unit beside each figure.

use crate::commands;
use crate::floor::Counts;
use crate::latency::Summary;
use crate::measure::cost::Cost;
use crate::measure::{connect, idle, publish, rate};

/// A report that can be read: name and value of each line.
pub(crate) trait Lines {
    fn lines(&self) -> Vec<(&'static str, String)>;

    /// The lines as text, values aligned.
    fn text(&self) -> String {
        let lines = self.lines();
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        lines
            .iter()
            .map(|(name, value)| format!("{name:width$}  {value}\n"))
            .collect()
    }
}

impl Lines for publish::Report {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let window = self
            .window
            .map_or_else(String::new, |window| format!(", window {window}"));
        let mut lines = vec![
            (
                "load",
                format!(
                    "{} connections, QoS {}{window}",
                    self.connections,
                    self.qos.bits()
                ),
            ),
            (
                "messages",
                format!("{} in {:.3} s", self.messages, self.seconds),
            ),
            (
                "throughput",
                format!("{:.0} messages/s", self.messages_per_second),
            ),
        ];
        lines.extend(
            self.server_cpu_us_per_message
                .map(|cpu| ("server CPU", format!("{cpu:.3} µs/message"))),
        );
        lines.extend(self.server.map(|cost| ("server", cost_text(&cost))));
        lines.push((
            "client CPU",
            format!("{:.3} µs/message", self.client_cpu_us_per_message),
        ));
        lines.extend(
            self.latency
                .map(|latency| ("acknowledgement", latency_text(&latency))),
        );
        if self.out_of_order > 0 {
            lines.push((
                "out of order",
                format!("{} acknowledgements", self.out_of_order),
            ));
        }
        lines.extend(self.delivery.map(|delivery| {
            (
                "subscriber",
                format!("{} delivered, {} lost", delivery.delivered, delivery.lost),
            )
        }));
        lines
    }
}

impl Lines for commands::Report {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            (
                "load",
                format!(
                    "{} devices on {} instances, {} commands at a time",
                    self.devices, self.instances, self.workers
                ),
            ),
            (
                "saturated",
                format!("{:.0} commands/s", self.commands_per_second),
            ),
            ("", latency_text(&self.saturated)),
            ("at half", format!("{:.0} commands/s", self.rate)),
            ("", latency_text(&self.at_half)),
            (
                "in all",
                format!("{} sent, {} delivered", self.sent, self.delivered),
            ),
        ];
        lines.extend(self.stolen_percent.map(|percent| {
            (
                "stolen",
                format!("{percent:.0} % of the processor time, by the machine's host"),
            )
        }));
        lines
    }
}

impl Lines for rate::Report {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            (
                "load",
                format!(
                    "{} connections, QoS {}, one message at a time",
                    self.connections,
                    self.qos.bits()
                ),
            ),
            (
                "messages",
                format!("{} in {:.3} s", self.messages, self.seconds),
            ),
            (
                "rate",
                format!(
                    "{:.0} messages/s of {} asked",
                    self.rate_achieved, self.rate_asked
                ),
            ),
        ];
        lines.extend(
            self.server_cpu_us_per_message
                .map(|cpu| ("server CPU", format!("{cpu:.3} µs/message"))),
        );
        lines.extend(self.server.map(|cost| ("server", cost_text(&cost))));
        lines.push(("acknowledgement", latency_text(&self.latency)));
        lines.push(("send lag", latency_text(&self.send_lag)));
        lines
    }
}

impl Lines for connect::Report {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("load", format!("{} log-ins at a time", self.connections)),
            (
                "connects",
                format!("{} in {:.3} s", self.connects, self.seconds),
            ),
            (
                "throughput",
                format!("{:.0} connects/s", self.connects_per_second),
            ),
        ];
        lines.extend(
            self.resumed
                .map(|resumed| ("resumed", format!("{resumed} TLS sessions"))),
        );
        lines.extend(
            self.server_cpu_us_per_connect
                .map(|cpu| ("server CPU", format!("{cpu:.2} µs/connect"))),
        );
        lines.extend(self.server.map(|cost| ("server", cost_text(&cost))));
        lines.push(("CONNACK", latency_text(&self.latency)));
        lines
    }
}

impl Lines for idle::Report {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![(
            "load",
            format!(
                "{} subscribed connections, {} alive",
                self.connections, self.alive
            ),
        )];
        if let Some(memory) = &self.memory {
            let anonymous =
                [memory.before, memory.half, memory.all].map(|reading| reading.anonymous / 1024);
            let resident =
                [memory.before, memory.half, memory.all].map(|reading| reading.resident / 1024);
            let readings = |[before, half, all]: [u64; 3]| {
                format!("{before} KiB before, {half} KiB at half, {all} KiB at all")
            };
            lines.push((
                "memory",
                format!("{:.0} bytes/connection", memory.bytes_per_connection),
            ));
            lines.push((
                "resident",
                format!(
                    "{:.0} bytes/connection",
                    memory.resident_bytes_per_connection
                ),
            ));
            lines.push(("anonymous", readings(anonymous)));
            lines.push(("resident", readings(resident)));
        }
        if let Some(hold) = &self.hold {
            lines.push((
                "pings",
                format!(
                    "{}, {:.2} µs of CPU each, {}",
                    hold.pings,
                    hold.cpu_us_per_ping,
                    cost_text(&hold.cost)
                ),
            ));
        }
        lines
    }
}

impl Lines for Counts {
    fn lines(&self) -> Vec<(&'static str, String)> {
        [
            ("connects", self.connects),
            ("publishes at QoS 0", self.qos0),
            ("publishes at QoS 1", self.qos1),
            ("publishes at QoS 2", self.qos2),
            ("subscribes", self.subscribes),
            ("pings", self.pings),
        ]
        .map(|(name, count)| (name, count.to_string()))
        .to_vec()
    }
}

fn cost_text(cost: &Cost) -> String {
    let kernel = cost.kernel_share.map_or_else(String::new, |share| {
        format!(", {:.0} % of it in the kernel", share * 100.0)
    });
    format!(
        "{:.3} s of CPU, {:.3} cores{kernel}",
        cost.cpu_seconds, cost.cores
    )
}

fn latency_text(latency: &Summary) -> String {
    format!(
        "p50 {:.1} µs, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}",
        latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us
    )
}
