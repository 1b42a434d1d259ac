//! Named events, each of which is a log line and a metric at once.

mod budget;
mod connection;
mod families;
mod listener;
mod process;
mod publish;
mod registration;
mod sinks;
#[cfg(test)]
mod tests;
mod throttle;
pub mod traces;
mod traffic;

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

pub use connection::{
    ConnectRefused, Connected, ConnectionEnded, HandshakeFailed, LogInMethod, LogInOutcome, Stage,
    SubscriptionRefused, WebSocketBroken,
};
pub use listener::{AcceptFailures, ConnectionShed, Line, Seldom};
pub use process::ProcessCollector;
pub use publish::{PublishRefused, PublishesHeldBack, RefusalCause, WillDropped};
pub use registration::DeviceRegistered;
pub use sinks::SinkCollector;
pub use throttle::LogInThrottled;
pub use traffic::{PacketCounts, Traffic};

pub(crate) use budget::LineBudget;
use traces::Tracer;

/// All metrics of the process.
pub struct Telemetry {
    /// What `/metrics` shows.
    pub registry: Registry,
    /// Connections now, by transport and version.
    pub connections: IntGaugeVec,
    /// Connections that did not get as far as MQTT, by transport and stage.
    pub handshakes_failed: IntCounterVec,
    /// Packets and bytes.
    pub traffic: Traffic,
    /// Log-ins, by outcome and method.
    pub log_ins: IntCounterVec,
    /// Log-ins that were not tried because too many failed, by `address` or `device`.
    pub log_ins_throttled: IntCounterVec,
    /// Publishes handed to the sinks.
    pub publishes_taken: IntCounter,
    /// QoS 0 publishes dropped because a sink had no room.
    pub publishes_dropped: IntCounter,
    /// Waits of connections that published faster than they may.
    pub publishes_held_back: IntCounter,
    /// Publishes and wills that a rule of their application accepted and forgot.
    pub publishes_forgotten: IntCounter,
    /// Publishes and wills that were not allowed, by cause.
    pub publishes_refused: IntCounterVec,
    /// Filters that were not granted.
    pub subscriptions_refused: IntCounter,
    /// Devices that gateways were to have registered, by outcome.
    pub registrations: IntCounterVec,
    /// Commands, by outcome.
    pub commands: IntCounterVec,
    /// Whether each command source is connected.
    pub command_source_up: IntGaugeVec,
    /// Publishes that answer commands: `taken` by who asked, `unwanted` or `malformed`.
    pub command_answers: IntCounterVec,
    /// Connections that were closed unserved because all places were taken.
    pub connections_shed: IntCounter,
    /// Times that no connection could be accepted, for want of descriptors or memory.
    pub accepts_failed: IntCounter,
    /// Traces, if they are wanted.
    pub tracer: Option<Arc<Tracer>>,
    /// What became of spans.
    spans: IntCounterVec,
    /// Lines about clients that were kept out, and about what was refused to others.
    lines: Lines,
}

/// What strangers, and devices gone wrong, can make the server log.
#[derive(Debug, Default)]
struct Lines {
    handshakes: LineBudget,
    web_sockets: LineBudget,
    throttled: LineBudget,
    connects: LineBudget,
    publishes: LineBudget,
    wills: LineBudget,
    subscriptions: LineBudget,
    registrations: LineBudget,
}

impl Telemetry {
    /// Registers all metrics.
    ///
    /// # Errors
    ///
    /// A name is used twice: a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, label: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let connections = IntGaugeVec::new(
            Opts::new("landfall_connections", "Connected devices"),
            &["transport", "version"],
        )?;
        registry.register(Box::new(connections.clone()))?;
        let command_source_up = IntGaugeVec::new(
            Opts::new(
                "landfall_command_source_up",
                "1 while the command source is connected",
            ),
            &["source"],
        )?;
        registry.register(Box::new(command_source_up.clone()))?;
        let handshakes_failed = IntCounterVec::new(
            Opts::new(
                "landfall_handshakes_failed_total",
                "Connections that did not get as far as MQTT",
            ),
            &["transport", "stage"],
        )?;
        registry.register(Box::new(handshakes_failed.clone()))?;
        let log_ins = IntCounterVec::new(
            Opts::new(
                "landfall_log_ins_total",
                "Log-ins by outcome, and by what the client logs in with",
            ),
            &["outcome", "method"],
        )?;
        registry.register(Box::new(log_ins.clone()))?;
        Ok(Self {
            connections,
            handshakes_failed,
            log_ins,
            traffic: Traffic::new(&registry)?,
            lines: Lines::default(),
            tracer: None,
            spans: counters(
                "landfall_spans_total",
                "Spans of traces, by whether the collector has them",
                "outcome",
            )?,
            log_ins_throttled: counters(
                "landfall_log_ins_throttled_total",
                "Log-ins not tried because too many failed before, by what they share",
                "by",
            )?,
            publishes_taken: counter(
                "landfall_publishes_taken_total",
                "Publishes and wills handed to the sinks",
            )?,
            publishes_dropped: counter(
                "landfall_publishes_dropped_total",
                "QoS 0 publishes dropped because a sink had no room",
            )?,
            publishes_held_back: counter(
                "landfall_publish_rate_waits_total",
                "Waits of connections that published faster than limits.publish_rate allows",
            )?,
            publishes_forgotten: counter(
                "landfall_publishes_dropped_by_rule_total",
                "Publishes and wills that a rule of their application accepted and forgot",
            )?,
            publishes_refused: counters(
                "landfall_publishes_refused_total",
                "Publishes and wills not allowed, by cause",
                "cause",
            )?,
            subscriptions_refused: counter(
                "landfall_subscriptions_refused_total",
                "SUBSCRIBE packets with a filter that was not granted",
            )?,
            registrations: counters(
                "landfall_device_registrations_total",
                "Devices that gateways spoke for first, by whether they were registered",
                "outcome",
            )?,
            commands: counters("landfall_commands_total", "Commands by outcome", "outcome")?,
            command_source_up,
            command_answers: counters(
                "landfall_command_answers_total",
                "Publishes that answer commands, by whether anybody waited",
                "outcome",
            )?,
            connections_shed: counter(
                "landfall_connections_shed_total",
                "Connections closed unserved because all places were taken",
            )?,
            accepts_failed: counter(
                "landfall_accepts_failed_total",
                "Times that no connection could be accepted, for want of descriptors or memory",
            )?,
            registry,
        }
        .with_first_series())
    }

    /// Has publishes that belong to a trace continue it.
    pub fn trace(&mut self) {
        self.tracer = Some(Arc::new(Tracer::new(self.spans.clone())));
    }

    /// Shows the common series from the start, as 0: what is not there yet cannot be summed, and its
    /// first increment would not be seen by `rate`.
    fn with_first_series(self) -> Self {
        for transport in ["tcp", "tls", "ws", "wss", "unix"] {
            for version in ["3.1", "3.1.1", "5"] {
                self.connections.with_label_values(&[transport, version]);
            }
        }
        for transport in ["tcp", "tls", "ws", "wss", "unix"] {
            for stage in ["proxy", "rate", "tls", "websocket", "timeout"] {
                self.handshakes_failed
                    .with_label_values(&[transport, stage]);
            }
        }
        for outcome in ["accepted", "credentials"] {
            for method in ["password", "certificate", "psk"] {
                self.log_ins.with_label_values(&[outcome, method]);
            }
        }
        let of = |counters: &IntCounterVec, values: &[&str]| {
            for value in values {
                counters.with_label_values(&[*value]);
            }
        };
        of(&self.log_ins_throttled, &["address", "device"]);
        of(
            &self.publishes_refused,
            &["bad_topic", "bad_payload", "gateway_not_selected"],
        );
        of(&self.registrations, &["registered", "failed"]);
        of(
            &self.commands,
            &[
                "acknowledged",
                "sent",
                "not_connected",
                "no_acknowledgement",
            ],
        );
        of(&self.spans, &["sent", "failed", "dropped"]);
        of(&self.command_answers, &["taken", "unwanted", "malformed"]);
        self
    }
}
