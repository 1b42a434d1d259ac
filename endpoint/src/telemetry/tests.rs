//! Lines that are bounded, and the page of the metrics.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use landfall_events::event::Timestamp;
use landfall_protocol::{ReasonCode, Version};
use landfall_registry::RegisterError;
use prometheus::proto::Metric;
use serde_json::Value;

use super::*;
use crate::auth::{Attempt, Throttled};
use crate::connection::{Identity, Link};
use crate::listener::{Carrier, Peer};

#[test]
fn lines_that_others_can_cause_are_bounded_and_tell_how_many_were_left_out() {
    let telemetry = Telemetry::new().unwrap();
    let link = link();
    for (text, budget, emit) in kinds() {
        let budget = budget(&telemetry.lines);
        let lines = logged(|| {
            for _ in 0..1_000 {
                emit(&telemetry, &link);
            }
        });
        assert_eq!(lines.len(), 200, "{text}");
        assert_eq!(lines[0]["fields"]["message"], text);

        budget.pass_window();
        let later = logged(|| {
            emit(&telemetry, &link);
            emit(&telemetry, &link);
        });
        let left_out: Vec<_> = later
            .iter()
            .map(|line| &line["fields"]["left_out"])
            .collect();
        assert_eq!(left_out, [&Value::from(800), &Value::Null], "{text}");
    }
}

#[test]
fn the_page_names_every_value_of_every_label() {
    // Those that there are from the start.
    for family in Telemetry::new().unwrap().registry.gather() {
        let row = row(family.name());
        for pair in family.get_metric().iter().flat_map(Metric::get_label) {
            let value = format!("`{}`", pair.value());
            assert!(row.contains(&value), "no {value} in: {row}");
        }
    }
    // And those that come later, out of the enumerations.
    let connection = include_str!("connection.rs");
    let report = include_str!("../command/report.rs");
    let mut commands = given(report, "impl Outcome {");
    commands.extend(given(report, "impl CommandError {"));
    for (metric, label, values) in [
        (
            "landfall_log_ins_total",
            "outcome",
            given(connection, "impl LogInOutcome {"),
        ),
        (
            "landfall_log_ins_total",
            "method",
            given(connection, "impl LogInMethod {"),
        ),
        (
            "landfall_handshakes_failed_total",
            "stage",
            given(connection, "impl Stage {"),
        ),
        (
            "landfall_publishes_refused_total",
            "cause",
            given(include_str!("publish.rs"), "impl RefusalCause {"),
        ),
        (
            "landfall_device_registrations_total",
            "outcome",
            given(include_str!("registration.rs"), "let outcome = "),
        ),
        ("landfall_commands_total", "outcome", commands),
        (
            "landfall_packets_received_total",
            "type",
            traffic::TYPES.map(str::to_owned).into(),
        ),
    ] {
        assert!(values.len() >= 4, "{metric}: {values:?}");
        assert_eq!(documented(metric, label), values, "{label} of {metric}");
    }
}

/// What the page says of a metric.
fn row(metric: &str) -> &'static str {
    let start = format!("| `{metric}` |");
    let page = include_str!("../../../docs/metrics.md");
    let row = page.lines().find(|line| line.starts_with(&start));
    row.unwrap_or_else(|| panic!("no {metric}"))
}

/// The values that the page lists behind the label.
fn documented(metric: &str, label: &str) -> BTreeSet<String> {
    let row = row(metric);
    let list = row.split_once(&format!("`{label}`: "));
    let (_, list) = list.unwrap_or_else(|| panic!("no list of {label}: {row}"));
    let list = list.split(['.', ';']).next().unwrap();
    let values = list.split(", ").map(|value| value.trim().trim_matches('`'));
    values.map(str::to_owned).collect()
}

/// The texts that the block of source behind `start` gives for the variants of an enumeration.
fn given(source: &str, start: &str) -> BTreeSet<String> {
    let (_, block) = source.split_once(start).unwrap();
    let block = block.split("\n}\n").next().unwrap();
    let arms = block.lines().filter_map(|line| line.split_once(" => \""));
    let texts = arms.filter_map(|(_, text)| text.split_once('"'));
    texts.map(|(text, _)| text.to_owned()).collect()
}

/// The text of a line, its budget, and an event that has one.
type Kind = (
    &'static str,
    fn(&Lines) -> &LineBudget,
    fn(&Telemetry, &Link),
);

fn kinds() -> [Kind; 8] {
    [
        (
            "handshake failed",
            |lines| &lines.handshakes,
            |telemetry, _| {
                let failed = HandshakeFailed {
                    peer: Peer::Local,
                    transport: Carrier::Tls,
                    stage: Stage::Tls,
                    cause: "none".to_owned(),
                };
                failed.emit(telemetry);
            },
        ),
        (
            "WebSocket rules broken",
            |lines| &lines.web_sockets,
            |telemetry, _| {
                let broken = WebSocketBroken {
                    peer: Peer::Local,
                    code: 1_002,
                    cause: "none",
                };
                broken.emit(telemetry);
            },
        ),
        (
            "too many log-ins failed: further ones wait",
            |lines| &lines.throttled,
            |telemetry, _| {
                let attempt = Attempt {
                    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    application: "app",
                    device: "device",
                    connected: false,
                };
                let throttled = Throttled::Device { first: true };
                LogInThrottled { attempt, throttled }.emit(telemetry);
            },
        ),
        (
            "connect refused",
            |lines| &lines.connects,
            |telemetry, _| {
                let refused = ConnectRefused {
                    peer: Peer::Local,
                    who: None,
                    outcome: LogInOutcome::Credentials,
                    method: LogInMethod::None,
                    cause: "none".to_owned(),
                };
                refused.emit(telemetry);
            },
        ),
        (
            "publish refused",
            |lines| &lines.publishes,
            |telemetry, link| {
                let (cause, first) = (RefusalCause::BadTopic, true);
                PublishRefused { link, cause, first }.emit(telemetry);
            },
        ),
        (
            "will dropped",
            |lines| &lines.wills,
            |telemetry, link| {
                let cause = RefusalCause::Superseded;
                WillDropped { link, cause }.emit(telemetry);
            },
        ),
        (
            "subscription refused",
            |lines| &lines.subscriptions,
            |telemetry, link| {
                let reason = ReasonCode::NOT_AUTHORIZED;
                SubscriptionRefused { link, reason }.emit(telemetry);
            },
        ),
        (
            "device not registered",
            |lines| &lines.registrations,
            |telemetry, link| {
                let registered = DeviceRegistered {
                    link,
                    device: "device",
                    error: Some(&RegisterError::TooMany),
                };
                registered.emit(telemetry);
            },
        ),
    ]
}

fn link() -> Link {
    let identity = Identity {
        application: "app".into(),
        device: "gateway".into(),
        client_id: "c".into(),
        peer: Peer::Local,
        transport: Carrier::Unix,
        version: Version::V5,
        since: Timestamp::now(),
        epoch: 1,
        credential: None,
    };
    Link::new(identity, 1)
}

/// What is logged meanwhile at `info` and above.
pub(super) fn logged(work: impl FnOnce()) -> Vec<Value> {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let written = written.0.lock().unwrap();
    let lines = written.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
