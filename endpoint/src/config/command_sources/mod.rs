//! `[[command_sources]]`: where commands come from, beside HTTP.

#[cfg(feature = "kafka")]
mod kafka;
mod mqtt;
mod nats;

use std::path::Path;

use serde::{Deserialize, Deserializer, de::Error};

#[cfg(feature = "kafka")]
pub use kafka::KafkaSourceConfig;
pub use mqtt::MqttSourceConfig;
pub use nats::NatsSourceConfig;

/// One system that hands commands in, and is told what became of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct CommandSourceConfig {
    /// Its name in log and metrics: 1 to 63 of `a` to `z`, `0` to `9` and `-`. No default; no two
    /// alike.
    pub name: String,
    /// `type`, and the keys that only it has.
    pub kind: SourceKind,
}

/// The types of command sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// `nats`: each request is a command, its reply the outcome.
    Nats(Box<NatsSourceConfig>),
    /// `kafka`: each record is a command, its outcome a record of another topic.
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaSourceConfig>),
    /// `mqtt`: each message at a broker is a command, its outcome a message on its response topic.
    Mqtt(Box<MqttSourceConfig>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Raw {
    Nats(nats::Raw),
    #[cfg(feature = "kafka")]
    Kafka(kafka::Raw),
    Mqtt(mqtt::Raw),
}

impl TryFrom<Raw> for CommandSourceConfig {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let (name, kind) = match raw {
            Raw::Nats(raw) => (
                raw.name.clone(),
                SourceKind::Nats(Box::new(NatsSourceConfig::of(raw)?)),
            ),
            #[cfg(feature = "kafka")]
            Raw::Kafka(raw) => (
                raw.name.clone(),
                SourceKind::Kafka(Box::new(KafkaSourceConfig::of(raw)?)),
            ),
            Raw::Mqtt(raw) => (
                raw.name.clone(),
                SourceKind::Mqtt(Box::new(MqttSourceConfig::of(raw)?)),
            ),
        };
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=63).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(format!(
                "a command source's name is 1 to 63 of a-z, 0-9 and `-`, not `{name}`"
            ));
        }
        Ok(Self { name, kind })
    }
}

/// Checks the sources against one another; relative paths start at `folder`.
pub(super) fn resolve(
    mut sources: Vec<CommandSourceConfig>,
    folder: &Path,
) -> Result<Vec<CommandSourceConfig>, String> {
    for (index, source) in sources.iter().enumerate() {
        let before = sources.iter().take(index);
        if before
            .map(|other| &other.name)
            .any(|name| *name == source.name)
        {
            return Err(format!("two command sources are named `{}`", source.name));
        }
    }
    for source in &mut sources {
        match &mut source.kind {
            SourceKind::Nats(nats) => nats.access.start_at(folder),
            #[cfg(feature = "kafka")]
            SourceKind::Kafka(kafka) => kafka.start_at(folder),
            SourceKind::Mqtt(mqtt) => mqtt.start_at(folder),
        }
    }
    Ok(sources)
}

fn default_group() -> String {
    "landfall".to_owned()
}

fn default_concurrency() -> usize {
    1_000
}

fn concurrency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let concurrency = usize::deserialize(deserializer)?;
    match concurrency {
        1..=65_535 => Ok(concurrency),
        _ => Err(D::Error::custom("concurrency is 1 to 65535")),
    }
}

fn check_group(group: &str) -> Result<(), String> {
    if group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("`group` is a word of printable ASCII".to_owned());
    }
    Ok(())
}
