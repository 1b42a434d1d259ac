//! Keys of a sink of type `kafka`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use landfall_events::sink::kafka::KafkaMode;
use landfall_events::template::Template;
use serde::Deserialize;

use super::{DEFAULT_QUEUE, Secret, broker_log_in, queue_bytes};

/// `kafka`: produces events to Kafka (CloudEvents Kafka binding). Accepted means acknowledged by all
/// in-sync replicas; the producer is idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct KafkaSinkConfig {
    /// `brokers`: `host:port`, one or several, joined by commas. No default.
    pub brokers: String,
    /// `topic`, with the fields of [`super::HttpSinkConfig::url`]. Default `events-{application}`.
    pub topic: Template,
    /// `mode`: `binary` (default) or `structured`.
    pub mode: KafkaMode,
    /// `username`, with `password` or `password_file`: SASL, by the mechanism `PLAIN` over TLS unless
    /// the properties `sasl.mechanism` and `security.protocol` say otherwise.
    pub log_in: Option<(String, Secret)>,
    /// `window`: events of one application that may wait for their delivery reports. Default 10000,
    /// from 1 to 1,000,000.
    pub window: usize,
    /// `properties`: any of librdkafka's, but those that the sink's promise rests on.
    pub properties: BTreeMap<String, String>,
    /// As [`super::LogSinkConfig::queue_bytes`].
    pub queue_bytes: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    brokers: String,
    #[serde(default = "default_topic")]
    topic: String,
    #[serde(default)]
    mode: Mode,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default = "default_window")]
    window: usize,
    #[serde(default)]
    properties: BTreeMap<String, Property>,
    #[serde(default = "default_queue", deserialize_with = "queue_bytes")]
    queue_bytes: usize,
}

/// A property may be written as what it is.
#[derive(Deserialize)]
#[serde(untagged)]
pub(in crate::config) enum Property {
    Text(String),
    Number(i64),
    Switch(bool),
}

impl From<Property> for String {
    fn from(value: Property) -> Self {
        match value {
            Property::Text(text) => text,
            Property::Number(number) => number.to_string(),
            Property::Switch(switch) => switch.to_string(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Binary,
    Structured,
}

impl TryFrom<Raw> for KafkaSinkConfig {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let log_in = broker_log_in(raw.username, raw.password, raw.password_file)?;
        if raw.brokers.trim().is_empty() {
            return Err("`brokers` names none".to_owned());
        }
        if !(1..=1_000_000).contains(&raw.window) {
            return Err("`window` is 1 to 1000000".to_owned());
        }
        let properties = properties(raw.properties, log_in.is_some())?;
        Ok(Self {
            brokers: raw.brokers,
            topic: Template::parse(&raw.topic).map_err(|error| format!("`topic`: {error}"))?,
            mode: match raw.mode {
                Mode::Binary => KafkaMode::Binary,
                Mode::Structured => KafkaMode::Structured,
            },
            log_in,
            window: raw.window,
            properties,
            queue_bytes: raw.queue_bytes,
        })
    }
}

/// Properties as librdkafka takes them; those of a log-in, if there is one, among them.
pub(in crate::config) fn properties(
    written: BTreeMap<String, Property>,
    logs_in: bool,
) -> Result<BTreeMap<String, String>, String> {
    let written = written.into_iter();
    let mut properties = written.map(|(name, value)| (name, value.into())).collect();
    if logs_in {
        use_log_in(&mut properties)?;
    }
    Ok(properties)
}

/// librdkafka takes no notice of a user name unless both of these say so.
fn use_log_in(properties: &mut BTreeMap<String, String>) -> Result<(), String> {
    let protocol = properties
        .entry("security.protocol".to_owned())
        .or_insert_with(|| "sasl_ssl".to_owned())
        .to_ascii_lowercase();
    // librdkafka knows both names.
    if !properties.contains_key("sasl.mechanisms") {
        let mechanism = properties.entry("sasl.mechanism".to_owned());
        mechanism.or_insert_with(|| "PLAIN".to_owned());
    }
    if protocol.starts_with("sasl_") {
        return Ok(());
    }
    Err(format!(
        "`username` needs the property `security.protocol` to be `sasl_ssl` or `sasl_plaintext`, \
         not `{protocol}`"
    ))
}

impl KafkaSinkConfig {
    pub(super) fn start_at(&mut self, folder: &Path) {
        if let Some((_, password)) = &mut self.log_in {
            password.start_at(folder);
        }
    }
}

fn default_topic() -> String {
    "events-{application}".to_owned()
}

fn default_window() -> usize {
    10_000
}

fn default_queue() -> usize {
    DEFAULT_QUEUE
}
