//! Keys of a command source of type `kafka`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{check_group, concurrency, default_concurrency, default_group};
use crate::config::sinks::{Property, Secret, broker_log_in, kafka_properties};

/// How a topic of Kafka is consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSourceConfig {
    /// `brokers`: `host:port`, one or several, joined by commas. No default.
    pub brokers: String,
    /// `topic`: where commands come. Default `commands`. Danger: whoever may produce there may send
    /// commands to every device: restrict it in Kafka.
    pub topic: String,
    /// `reply_topic`: where outcomes go. Default: nowhere.
    pub reply_topic: Option<String>,
    /// `group`: the consumer group; sources of one group, on all instances, share the partitions.
    /// Default `landfall`.
    pub group: String,
    /// `username`, with `password` or `password_file`: as for the sink.
    pub log_in: Option<(String, Secret)>,
    /// `properties`: any of librdkafka's, but those that are keys here or that the source's promise
    /// rests on.
    pub properties: BTreeMap<String, String>,
    /// `concurrency`: commands under way at once. Default 1000, from 1 to 65,535.
    pub concurrency: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) name: String,
    brokers: String,
    #[serde(default = "default_topic")]
    topic: String,
    reply_topic: Option<String>,
    #[serde(default = "default_group")]
    group: String,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    properties: BTreeMap<String, Property>,
    #[serde(default = "default_concurrency", deserialize_with = "concurrency")]
    concurrency: usize,
}

impl KafkaSourceConfig {
    pub(super) fn of(raw: Raw) -> Result<Self, String> {
        if raw.brokers.trim().is_empty() {
            return Err("`brokers` names none".to_owned());
        }
        check_group(&raw.group)?;
        check_topic("topic", &raw.topic)?;
        if let Some(topic) = &raw.reply_topic {
            check_topic("reply_topic", topic)?;
            if *topic == raw.topic {
                return Err("`reply_topic` is `topic`: outcomes are no commands".to_owned());
            }
        }
        let log_in = broker_log_in(raw.username, raw.password, raw.password_file)?;
        let properties = kafka_properties(raw.properties, log_in.is_some())?;
        Ok(Self {
            brokers: raw.brokers,
            topic: raw.topic,
            reply_topic: raw.reply_topic,
            group: raw.group,
            log_in,
            properties,
            concurrency: raw.concurrency,
        })
    }

    pub(super) fn start_at(&mut self, folder: &Path) {
        if let Some((_, password)) = &mut self.log_in {
            password.start_at(folder);
        }
    }
}

fn check_topic(key: &str, topic: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_topic = (1..=249).contains(&topic.len())
        && topic.bytes().all(allowed)
        && !topic.trim_matches('.').is_empty();
    match is_topic {
        true => Ok(()),
        false => Err(format!(
            "`{key}`: a topic has letters, digits, `.`, `_` and `-`, at most 249 of them"
        )),
    }
}

fn default_topic() -> String {
    "commands".to_owned()
}
