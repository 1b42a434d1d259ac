//! `[[sinks]]`: where events go. Which keys a sink has depends on its `type`.

use std::{ops::Range, path::Path, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::{error::Flaw, value};

mod file;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
mod mqtt;
mod nats;
mod secret;
mod tls;

pub use file::FileSinkConfig;
pub use http::{HttpLogIn, HttpSinkConfig};
#[cfg(feature = "kafka")]
pub use kafka::KafkaSinkConfig;
#[cfg(feature = "kafka")]
pub(super) use kafka::{Property, properties as kafka_properties};
pub(super) use mqtt::Broker;
pub use mqtt::MqttSinkConfig;
pub(super) use mqtt::{Version as BrokerVersion, log_in as broker_log_in};
pub use nats::{NatsLogIn, NatsSinkConfig, NatsTlsFiles};
pub use secret::Secret;
pub use tls::{Identity, KeyStore, Material, TlsClientConfig};

/// One place that every event goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// Its name in metrics, logs, health, and an application's `spec.publish.sinks`: 1 to 63 of
    /// `a` to `z`, `0` to `9` and `-`. No default; no two alike.
    pub name: String,
    /// Whether a QoS 1 or 2 publish waits for this sink before it is acknowledged. Default `true`.
    /// Danger: what a sink that is not required fails to take is lost without the device knowing.
    pub required: bool,
    /// Whether the server refuses to start when the sink's other system cannot be reached within
    /// 10 s. Default `false`: it starts, is not ready, and goes on trying.
    pub fail_fast: bool,
    /// `spill` and `spill_bytes` (default 1GiB, at least 1MiB): whether events go to disk, in
    /// `data_dir`, and are acknowledged, while the sink's other system does not take them, and how
    /// much of them. Default: no; they wait in memory, unacknowledged.
    pub spill: Option<u64>,
    /// `type`, and the keys that belong to it. No default.
    pub kind: SinkKind,
}

/// What a sink is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// `log`: the embedded durable log, `events.db` in `data_dir`, which the events API reads. At
    /// most one.
    Log(LogSinkConfig),
    /// `stdout`: one line of structured JSON per event on standard output. Danger: an event counts
    /// as taken when it is written, whether or not the reader kept it.
    Stdout(StdoutSinkConfig),
    /// `file`: one line of structured JSON per event in a file.
    File(FileSinkConfig),
    /// `mqtt`: publishes events to an MQTT broker.
    Mqtt(Box<MqttSinkConfig>),
    /// `http`: posts events to an endpoint.
    Http(Box<HttpSinkConfig>),
    /// `nats`: publishes events to NATS JetStream.
    Nats(Box<NatsSinkConfig>),
    /// `kafka`: produces events to Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaSinkConfig>),
    /// `blackhole`: encodes each event and forgets it, for measurements. Danger: every event is
    /// acknowledged and lost.
    Blackhole,
}

/// Keys of a sink of type `log`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSinkConfig {
    /// Events of one application are dropped, oldest first, when they take more than this on disk.
    /// Default 1GiB, at least 1MiB. Danger: a reader that falls further behind than that loses
    /// events (and is told).
    #[serde(deserialize_with = "retention_bytes")]
    pub retention_bytes: u64,
    /// Events are dropped when they are older than this. Default 7d, at least 1m.
    #[serde(deserialize_with = "retention_age")]
    pub retention_age: Duration,
    /// Memory for events that wait to be written. Default 64MiB, from 1MiB. When it is full, QoS 0
    /// events are dropped and devices are not read from.
    #[serde(deserialize_with = "queue_bytes")]
    pub queue_bytes: usize,
}

/// Keys of a sink of type `stdout`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutSinkConfig {
    /// As [`LogSinkConfig::queue_bytes`].
    #[serde(deserialize_with = "queue_bytes")]
    pub queue_bytes: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoKeys {}

const DEFAULT_QUEUE: usize = 64 << 20;
const DEFAULT_SPILL: u64 = 1 << 30;
const TYPES: &str =
    "there are `log`, `kafka`, `nats`, `http`, `mqtt`, `file`, `stdout` and `blackhole`";

impl Default for LogSinkConfig {
    fn default() -> Self {
        Self {
            retention_bytes: 1 << 30,
            retention_age: Duration::from_secs(7 * 86_400),
            queue_bytes: DEFAULT_QUEUE,
        }
    }
}

impl Default for StdoutSinkConfig {
    fn default() -> Self {
        Self {
            queue_bytes: DEFAULT_QUEUE,
        }
    }
}

impl SinkConfig {
    /// The sink that there is when none is configured: a required durable log named `events`.
    pub fn default_log() -> Self {
        Self {
            name: "events".to_owned(),
            required: true,
            fail_fast: false,
            spill: None,
            kind: SinkKind::Log(LogSinkConfig::default()),
        }
    }
}

impl SinkKind {
    /// Its name, as `type` has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Log(_) => "log",
            Self::Stdout(_) => "stdout",
            Self::File(_) => "file",
            Self::Mqtt(_) => "mqtt",
            Self::Http(_) => "http",
            Self::Nats(_) => "nats",
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => "kafka",
            Self::Blackhole => "blackhole",
        }
    }

    /// The same with relative paths starting at `folder`.
    fn starting_at(mut self, folder: &Path) -> Self {
        match &mut self {
            Self::Http(http) => http.start_at(folder),
            Self::Mqtt(mqtt) => mqtt.start_at(folder),
            Self::File(file) => file.path = folder.join(&file.path),
            Self::Nats(nats) => nats.start_at(folder),
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.start_at(folder),
            Self::Log(_) | Self::Stdout(_) | Self::Blackhole => {}
        }
        self
    }

    /// Whether it reaches no other system.
    fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Log(_) | Self::Stdout(_) | Self::File(_) | Self::Blackhole
        )
    }

    /// Whether what it has taken survives the end of this process.
    pub(super) fn is_durable(&self) -> bool {
        !matches!(self, Self::Stdout(_) | Self::Blackhole)
    }
}

/// A sink as written, with the places of what is checked against other sinks.
pub(super) struct RawSink {
    name: Spanned<String>,
    required: bool,
    fail_fast: bool,
    spill: Option<u64>,
    kind: Spanned<SinkKind>,
}

impl RawSink {
    pub(super) fn list(list: Spanned<DeValue<'_>>) -> Result<Vec<Self>, Flaw> {
        let span = list.span();
        let DeValue::Array(entries) = list.into_inner() else {
            return Err(flaw(span, "sinks is a list: write [[sinks]]"));
        };
        entries
            .into_iter()
            .map(|entry| {
                let span = entry.span();
                match entry.into_inner() {
                    DeValue::Table(table) => Self::parse(table, span),
                    _ => Err(flaw(span, "a sink is a section: write [[sinks]]")),
                }
            })
            .collect()
    }

    fn parse(mut table: DeTable<'_>, span: Range<usize>) -> Result<Self, Flaw> {
        let name = match table.remove("name") {
            Some(name) => named(name)?,
            None => return Err(flaw(span, "the sink has no `name`")),
        };
        let required = switch(&mut table, "required", true)?;
        let fail_fast = switch(&mut table, "fail_fast", false)?;
        let spill_bytes = match table.remove("spill_bytes") {
            None => DEFAULT_SPILL,
            Some(bytes) => spill_bytes(bytes)?,
        };
        let spill = switch(&mut table, "spill", false)?.then_some(spill_bytes);
        let Some(kind) = table.remove("type") else {
            return Err(flaw(span, format_args!("the sink has no `type`; {TYPES}")));
        };
        let kind_span = kind.span();
        let rest = Spanned::new(span, DeValue::Table(table));
        let kind = match kind.get_ref().as_str() {
            Some("log") => SinkKind::Log(keys(rest)?),
            Some("stdout") => SinkKind::Stdout(keys(rest)?),
            Some("blackhole") => {
                let NoKeys {} = keys(rest)?;
                SinkKind::Blackhole
            }
            Some("file") => SinkKind::File(keys(rest)?),
            Some("mqtt") => SinkKind::Mqtt(Box::new(keys(rest)?)),
            Some("http") => SinkKind::Http(Box::new(keys(rest)?)),
            Some("nats") => SinkKind::Nats(Box::new(keys(rest)?)),
            #[cfg(feature = "kafka")]
            Some("kafka") => SinkKind::Kafka(Box::new(keys(rest)?)),
            #[cfg(not(feature = "kafka"))]
            Some("kafka") => {
                let message = "sink type `kafka` is not part of this build (feature `kafka`)";
                return Err(flaw(kind_span, message));
            }
            Some(unknown) => {
                return Err(flaw(
                    kind_span,
                    format_args!("unknown sink type `{unknown}`; {TYPES}"),
                ));
            }
            None => {
                return Err(flaw(
                    kind_span,
                    format_args!("a `type` is a string; {TYPES}"),
                ));
            }
        };
        Ok(Self {
            name,
            required,
            fail_fast,
            spill,
            kind: Spanned::new(kind_span, kind),
        })
    }
}

/// Checks the sinks against one another; none given means the default log.
pub(super) fn resolve(raw: Vec<RawSink>, folder: &Path) -> Result<Vec<SinkConfig>, Flaw> {
    if raw.is_empty() {
        return Ok(vec![SinkConfig::default_log()]);
    }
    let mut sinks: Vec<SinkConfig> = Vec::with_capacity(raw.len());
    for sink in raw {
        if sinks.iter().any(|other| other.name == *sink.name.get_ref()) {
            return Err(Flaw::at(
                &sink.name,
                format_args!("two sinks are named `{}`", sink.name.get_ref()),
            ));
        }
        let is_log = |kind: &SinkKind| matches!(kind, SinkKind::Log(_));
        if is_log(sink.kind.get_ref()) && sinks.iter().any(|other| is_log(&other.kind)) {
            return Err(Flaw::at(
                &sink.kind,
                "a second sink of type `log`: there is one events.db, and the events API reads it",
            ));
        }
        if sink.spill.is_some() && sink.kind.get_ref().is_local() {
            return Err(Flaw::at(
                &sink.kind,
                "`spill` is for sinks that reach other systems",
            ));
        }
        sinks.push(SinkConfig {
            name: sink.name.into_inner(),
            required: sink.required,
            fail_fast: sink.fail_fast,
            spill: sink.spill,
            kind: sink.kind.into_inner().starting_at(folder),
        });
    }
    Ok(sinks)
}

fn named(value: Spanned<DeValue<'_>>) -> Result<Spanned<String>, Flaw> {
    let name = Spanned::<String>::deserialize(ValueDeserializer::from(value))
        .map_err(|error| in_key("name", error))?;
    let text = name.get_ref();
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if text.is_empty() || text.len() > 63 || !text.bytes().all(allowed) {
        return Err(Flaw::at(
            &name,
            format_args!("a sink's name is 1 to 63 of a-z, 0-9 and `-`, not `{text}`"),
        ));
    }
    Ok(name)
}

fn spill_bytes(bytes: Spanned<DeValue<'_>>) -> Result<u64, Flaw> {
    let span = bytes.span();
    let most = i64::MAX.unsigned_abs();
    value::size_within(ValueDeserializer::from(bytes), 1 << 20, most).map_err(|error| {
        let flaw = in_key("spill_bytes", error);
        let span = flaw.span.clone().or(Some(span));
        Flaw { span, ..flaw }
    })
}

fn switch(table: &mut DeTable<'_>, key: &str, default: bool) -> Result<bool, Flaw> {
    match table.remove(key) {
        Some(value) => {
            let read = bool::deserialize(ValueDeserializer::from(value));
            read.map_err(|error| in_key(key, error))
        }
        None => Ok(default),
    }
}

/// The keys that only this type of sink has.
fn keys<T: DeserializeOwned>(table: Spanned<DeValue<'_>>) -> Result<T, Flaw> {
    let span = table.span();
    T::deserialize(ValueDeserializer::from(table)).map_err(|error| {
        let flaw = Flaw::from(error);
        // What is wrong with several keys together stands where the sink begins.
        let span = flaw.span.clone().or(Some(span));
        Flaw { span, ..flaw }
    })
}

fn flaw(span: Range<usize>, message: impl std::fmt::Display) -> Flaw {
    Flaw {
        span: Some(span),
        message: message.to_string(),
    }
}

fn in_key(key: &str, error: toml::de::Error) -> Flaw {
    let flaw = Flaw::from(error);
    Flaw {
        message: format!("{} in `{key}`", flaw.message),
        ..flaw
    }
}

fn retention_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    // SQLite's integers are signed.
    value::size_within(deserializer, 1 << 20, i64::MAX.unsigned_abs())
}

fn retention_age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let century = Duration::from_secs(100 * 365 * 86_400);
    value::duration_within(deserializer, Duration::from_secs(60), century)
}

fn queue_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let bytes = value::size_within(deserializer, 1 << 20, u64::MAX)?;
    usize::try_from(bytes).map_err(|_| D::Error::custom("more than this machine can address"))
}
