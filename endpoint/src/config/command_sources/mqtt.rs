//! Keys of a command source of type `mqtt`.

use std::path::{Path, PathBuf};

use landfall_events::sink::mqtt::MqttVersion;
use landfall_protocol::Version;
use landfall_protocol::topic::check_filter;
use serde::Deserialize;

use super::{concurrency, default_concurrency, default_group};
use crate::config::sinks::{Broker, BrokerVersion, Secret, TlsClientConfig, broker_log_in};

/// How commands are subscribed to at a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttSourceConfig {
    /// `url`: `mqtt://host:1883`, or `mqtts://host:8883` with TLS. No default.
    pub broker: Broker,
    /// `version`: `"5"` (default) or `"3.1.1"`.
    pub version: MqttVersion,
    /// `client_id`: the name of the shared subscription, `$share/{client_id}/{topic}`; instances of
    /// one name share the messages. The client id is this, `-`, and the instance's name. Default
    /// `landfall`.
    pub client_id: String,
    /// `topic`: the filter that is subscribed to. Default `commands/+/+/+`: application, device,
    /// command. Danger: whoever may publish there may send commands to every device: restrict it in
    /// the broker.
    pub topic: String,
    /// `shared`: whether the subscription is shared. Default `true`. Danger: without, each instance
    /// takes every command.
    pub shared: bool,
    /// `session_expiry`: how long the broker keeps messages for a source that is away, in seconds.
    /// Default 86400; 0 is not at all. 3.1.1 knows only 0 and for ever.
    pub session_expiry: u32,
    /// `username`, with `password` or `password_file`.
    pub log_in: Option<(String, Secret)>,
    /// `tls`, for `mqtts://`.
    pub tls: TlsClientConfig,
    /// `concurrency`: commands under way at once. Default 1000, from 1 to 65,535.
    pub concurrency: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) name: String,
    url: String,
    #[serde(default)]
    version: BrokerVersion,
    #[serde(default = "default_group")]
    client_id: String,
    #[serde(default = "default_topic")]
    topic: String,
    #[serde(default = "on")]
    shared: bool,
    #[serde(default = "a_day")]
    session_expiry: u32,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    tls: Option<TlsClientConfig>,
    #[serde(default = "default_concurrency", deserialize_with = "concurrency")]
    concurrency: usize,
}

impl MqttSourceConfig {
    pub(super) fn of(raw: Raw) -> Result<Self, String> {
        let broker = Broker::parse(&raw.url).map_err(|reason| format!("`url`: {reason}"))?;
        if !broker.tls && raw.tls.is_some() {
            return Err("`tls` is for mqtts://".to_owned());
        }
        // [MQTT-4.8.2-1]: it is a level of the filter.
        let client_id = &raw.client_id;
        let is_level =
            !client_id.contains(['/', '+', '#']) && !client_id.contains(char::is_control);
        if !(1..=128).contains(&client_id.len()) || !is_level {
            return Err("`client_id` is 1 to 128 bytes without `/`, `+` and `#`".to_owned());
        }
        if raw.topic.starts_with("$share/") {
            return Err("`topic`: the subscription is shared by itself".to_owned());
        }
        check_filter(&raw.topic, Version::V5).map_err(|error| format!("`topic`: {error}"))?;
        Ok(Self {
            broker,
            version: raw.version.into(),
            client_id: raw.client_id,
            topic: raw.topic,
            shared: raw.shared,
            session_expiry: raw.session_expiry,
            log_in: broker_log_in(raw.username, raw.password, raw.password_file)?,
            tls: raw.tls.unwrap_or_default(),
            concurrency: raw.concurrency,
        })
    }

    pub(super) fn start_at(&mut self, folder: &Path) {
        self.tls.start_at(folder);
        if let Some((_, password)) = &mut self.log_in {
            password.start_at(folder);
        }
    }
}

fn default_topic() -> String {
    "commands/+/+/+".to_owned()
}

const fn on() -> bool {
    true
}

const fn a_day() -> u32 {
    86_400
}
