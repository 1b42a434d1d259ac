//! How events are produced to Kafka.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::config::ClientConfig;

use crate::sink::DEFAULT_QUEUE_BYTES;
use crate::sink::remote::{RemoteError, SpillOptions};
use crate::template::Template;

/// How events stand in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KafkaMode {
    /// Attributes in `ce_` headers, the payload as value.
    #[default]
    Binary,
    /// All as one JSON document.
    Structured,
}

/// How events are produced.
#[derive(Clone)]
pub struct KafkaOptions {
    /// The topic; at most 249 bytes once it is filled in.
    pub topic: Template,
    /// Default: binary.
    pub mode: KafkaMode,
    /// Events of one application that may wait for their delivery reports. Default 10,000.
    pub window: usize,
    /// Properties of librdkafka, `bootstrap.servers` among them. What the sink promises cannot be
    /// set otherwise: see [`KafkaOptions::new`].
    properties: BTreeMap<String, String>,
    /// Bound of the queue. Default [`DEFAULT_QUEUE_BYTES`].
    pub queue_bytes: usize,
    /// Where events go while the other system does not take them. Default: nowhere, they wait.
    pub spill: Option<SpillOptions>,
}

/// Shows the names of properties only: values may be passwords.
impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("topic", &self.topic)
            .field("mode", &self.mode)
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

/// Why the sink cannot be started; the operator can mend each.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The topic's own text has what no topic may hold.
    #[error("a topic has letters, digits, `.`, `_` and `-`, at most 249 of them")]
    Topic,
    /// A property that the sink sets itself.
    #[error(
        "the property `{0}` is the sink's own: it keeps the promise that nothing acknowledged is lost or overtaken"
    )]
    Property(String),
    /// librdkafka does not know a property, or its value.
    #[error("{0}")]
    Options(rdkafka::error::KafkaError),
    /// Its thread or its spill.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// What the sink's promise rests on.
const FIXED: [(&str, &str); 5] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // Tried without end: a message that is given up would come back and be produced again, perhaps
    // behind later ones or twice.
    ("message.timeout.ms", "0"),
    // When a batch is refused for good, what is behind it is not to overtake it.
    ("enable.gapless.guarantee", "true"),
    // Brokers take a batch behind one that failed, if it is the first they see of the producer in
    // that partition; librdkafka then takes the one that failed for stored, and it is lost.
    ("max.in.flight.requests.per.connection", "1"),
];

/// Other names of the same, and what would undo it.
const FORBIDDEN: [&str; 7] = [
    "request.required.acks",
    "delivery.timeout.ms",
    "message.send.max.retries",
    "retries",
    "transactional.id",
    "max.in.flight",
    // The sink places events itself, as Kafka's own clients do: it has to know which is the first in a
    // partition.
    "partitioner",
];

/// Better defaults than librdkafka's for this use; properties override them.
const DEFAULTS: [(&str, &str); 5] = [
    // The sink's own queue is the bound.
    ("queue.buffering.max.messages", "0"),
    ("queue.buffering.max.kbytes", "2147483647"),
    // A device waits for its acknowledgement.
    ("linger.ms", "1"),
    ("compression.type", "lz4"),
    ("reconnect.backoff.max.ms", "5000"),
];

/// Other names that librdkafka knows for the defaults.
const ALIASES: [(&str, &str); 2] = [
    ("queue.buffering.max.ms", "linger.ms"),
    ("compression.codec", "compression.type"),
];

/// librdkafka's default of `batch.size`.
const BATCH_BYTES: usize = 1_000_000;

impl KafkaOptions {
    /// Options with these properties of librdkafka.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Topic`] and [`KafkaError::Property`].
    pub fn new(topic: Template, properties: BTreeMap<String, String>) -> Result<Self, KafkaError> {
        let example = topic.example("x");
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if example.len() > 249
            || !example.bytes().all(allowed)
            || example.trim_matches('.').is_empty()
        {
            return Err(KafkaError::Topic);
        }
        let is_own =
            |name: &str| FIXED.iter().any(|(own, _)| *own == name) || FORBIDDEN.contains(&name);
        if let Some(own) = properties.keys().find(|name| is_own(name)) {
            return Err(KafkaError::Property(own.clone()));
        }
        Ok(Self {
            topic,
            mode: KafkaMode::default(),
            window: 10_000,
            properties,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            spill: None,
        })
    }

    /// The configured size of batches, in bytes.
    pub(super) fn batch_bytes(&self) -> usize {
        let written = self.properties.get("batch.size");
        let bytes = written.and_then(|bytes| bytes.parse().ok());
        bytes.unwrap_or(BATCH_BYTES)
    }

    pub(super) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in DEFAULTS {
            config.set(name, value);
        }
        for (name, value) in &self.properties {
            let alias = ALIASES.iter().find(|(alias, _)| alias == name);
            config.set(alias.map_or(name.as_str(), |(_, name)| name), value);
        }
        for (name, value) in FIXED {
            config.set(name, value);
        }
        config
    }
}
