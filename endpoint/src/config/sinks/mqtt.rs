//! Keys of a sink of type `mqtt`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use landfall_events::sink::mqtt::{MqttMode, MqttOptions, MqttVersion};
use landfall_events::template::Template;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{DEFAULT_QUEUE, Secret, TlsClientConfig, queue_bytes, value};

/// `mqtt`: publishes events to an MQTT broker (CloudEvents MQTT binding). Accepted means acknowledged
/// by the broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct MqttSinkConfig {
    /// `url`: `mqtt://host:1883`, or `mqtts://host:8883` with TLS. No default.
    pub broker: Broker,
    /// `version`: `"5"` (default) or `"3.1.1"`.
    pub version: MqttVersion,
    /// `client_id_prefix`: the client id is this, `-`, and the first part of a UUID that is made at
    /// start. Default `landfall`.
    pub client_id_prefix: String,
    /// `topic`, with the fields of [`super::HttpSinkConfig::url`]; levels of a channel stay levels.
    /// Default `events/{application}/{device}/{channel}`.
    pub topic: Template,
    /// `mode`: `binary` (default; needs MQTT 5) or `structured`.
    pub mode: MqttMode,
    /// `retain`: whether the broker keeps the last message of each topic. Default `false`.
    pub retain: bool,
    /// `message_expiry`: how long the broker keeps a message for subscribers that are away, in whole
    /// seconds. Default: as long as it likes. MQTT 5 only.
    pub message_expiry: Option<u32>,
    /// `response_topic`: where answers are expected; with fields as `topic`. MQTT 5 only.
    pub response_topic: Option<Template>,
    /// `session_expiry`: how long the broker keeps the sink's session, in seconds; none if -1 or
    /// less. Default 86400. MQTT 5 only.
    pub session_expiry: Option<u32>,
    /// `username`, with `password` or `password_file`.
    pub log_in: Option<(String, Secret)>,
    /// `tls`, for `mqtts://`.
    pub tls: TlsClientConfig,
    /// `timeout`: how long an acknowledgement, or an attempt to connect, may take. Default 10s, from
    /// 100ms to 10m.
    pub timeout: Duration,
    /// `reconnect_attempts`: attempts to connect in a row that may fail, 0 to 1000. Default: without
    /// limit. Danger: then the sink gives up until the next start; what it holds is not acknowledged.
    pub reconnect_attempts: Option<u32>,
    /// `maximum_packet_size`: largest packet that the broker takes. Default: what it says (MQTT 5).
    /// Brokers of 3.1.1 cannot say, and end the connection: set it there.
    pub maximum_packet_size: Option<u32>,
    /// `window`: publishes of one application that may wait for acknowledgements. Default 1000, from
    /// 1 to 65,535.
    pub window: usize,
    /// As [`super::LogSinkConfig::queue_bytes`].
    pub queue_bytes: usize,
}

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Over TLS.
    pub tls: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: String,
    #[serde(default)]
    version: Version,
    #[serde(default)]
    role: Role,
    #[serde(default = "default_prefix")]
    client_id_prefix: String,
    #[serde(default = "default_topic")]
    topic: String,
    mode: Option<Mode>,
    #[serde(default)]
    retain: bool,
    #[serde(default, deserialize_with = "message_expiry")]
    message_expiry: Option<u32>,
    response_topic: Option<String>,
    session_expiry: Option<i64>,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    tls: Option<TlsClientConfig>,
    #[serde(default = "default_timeout", deserialize_with = "timeout")]
    timeout: Duration,
    reconnect_attempts: Option<u32>,
    #[serde(default, deserialize_with = "packet_size")]
    maximum_packet_size: Option<u32>,
    #[serde(default = "default_window")]
    window: u16,
    #[serde(default = "default_queue", deserialize_with = "queue_bytes")]
    queue_bytes: usize,
}

#[derive(Default, Deserialize)]
pub(in crate::config) enum Version {
    #[default]
    #[serde(rename = "5")]
    V5,
    #[serde(rename = "3.1.1")]
    V311,
}

impl From<Version> for MqttVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::V5 => Self::V5,
            Version::V311 => Self::V311,
        }
    }
}

/// User name and password, both or none.
pub(in crate::config) fn log_in(
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
) -> Result<Option<(String, Secret)>, String> {
    let password = Secret::either("password", password, password_file)?;
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), Some(password)) => Ok(Some((username, password))),
        _ => Err("`username` and `password` belong together".to_owned()),
    }
}

/// `role`: a consumer is a source of commands.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    #[default]
    Producer,
    Consumer,
    Both,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Binary,
    Structured,
}

impl TryFrom<Raw> for MqttSinkConfig {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let broker = Broker::parse(&raw.url).map_err(|reason| format!("`url`: {reason}"))?;
        if !matches!(raw.role, Role::Producer) {
            return Err(
                "`role`: a sink is a producer; a consumer is a section [[command_sources]] of type \
                        mqtt, beside the sink for both roles"
                    .to_owned(),
            );
        }
        if !broker.tls && raw.tls.is_some() {
            return Err("`tls` is for mqtts://".to_owned());
        }
        let log_in = log_in(raw.username, raw.password, raw.password_file)?;
        let version = MqttVersion::from(raw.version);
        let mode = match (raw.mode, version) {
            (Some(Mode::Binary), MqttVersion::V311) => {
                return Err(
                    "`mode`: \"binary\" needs MQTT 5, whose user properties hold the \
                            attributes"
                        .to_owned(),
                );
            }
            (Some(Mode::Structured), _) | (None, MqttVersion::V311) => MqttMode::Structured,
            (Some(Mode::Binary) | None, MqttVersion::V5) => MqttMode::Binary,
        };
        if version == MqttVersion::V311 {
            let of_5 = [
                ("message_expiry", raw.message_expiry.is_some()),
                ("response_topic", raw.response_topic.is_some()),
                ("session_expiry", raw.session_expiry.is_some()),
            ];
            if let Some((key, _)) = of_5.into_iter().find(|(_, given)| *given) {
                return Err(format!("`{key}` is of MQTT 5"));
            }
        }
        if raw.client_id_prefix.is_empty() || raw.client_id_prefix.len() > 128 {
            return Err("`client_id_prefix` is 1 to 128 bytes".to_owned());
        }
        if raw
            .reconnect_attempts
            .is_some_and(|attempts| attempts > 1000)
        {
            return Err("`reconnect_attempts` is 0 to 1000".to_owned());
        }
        if raw.window == 0 {
            return Err("`window` is 1 to 65535".to_owned());
        }
        let response_topic = raw
            .response_topic
            .map(|text| topic("response_topic", &text));
        Ok(Self {
            broker,
            version,
            client_id_prefix: raw.client_id_prefix,
            topic: topic("topic", &raw.topic)?,
            mode,
            retain: raw.retain,
            message_expiry: raw.message_expiry,
            response_topic: response_topic.transpose()?,
            session_expiry: match raw.session_expiry {
                None => Some(86_400),
                Some(..=-1) => None,
                Some(seconds) => Some(
                    u32::try_from(seconds)
                        .map_err(|_| "`session_expiry` is at most 4294967295".to_owned())?,
                ),
            },
            log_in,
            tls: raw.tls.unwrap_or_default(),
            timeout: raw.timeout,
            reconnect_attempts: raw.reconnect_attempts,
            maximum_packet_size: raw.maximum_packet_size,
            window: raw.window.into(),
            queue_bytes: raw.queue_bytes,
        })
    }
}

impl Broker {
    pub(in crate::config) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let (tls, port) = match url.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err("must start with mqtt:// or mqtts://".to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or password".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("must end with the host or its port".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or("names no host")?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            tls,
        })
    }
}

impl MqttSinkConfig {
    pub(super) fn start_at(&mut self, folder: &Path) {
        self.tls.start_at(folder);
        if let Some((_, password)) = &mut self.log_in {
            password.start_at(folder);
        }
    }
}

fn topic(key: &str, text: &str) -> Result<Template, String> {
    let template = Template::parse(text).map_err(|error| format!("`{key}`: {error}"))?;
    if !MqttOptions::is_topic(&template) {
        return Err(format!("`{key}`: a topic has no `+` and no `#`"));
    }
    Ok(template)
}

fn default_prefix() -> String {
    "landfall".to_owned()
}

fn default_topic() -> String {
    "events/{application}/{device}/{channel}".to_owned()
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_window() -> u16 {
    1_000
}

fn default_queue() -> usize {
    DEFAULT_QUEUE
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let (least, most) = (Duration::from_millis(100), Duration::from_secs(600));
    value::duration_within(deserializer, least, most)
}

fn message_expiry<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(u32::MAX.into()));
    let expiry = value::duration_within(deserializer, least, most)?;
    Ok(u32::try_from(expiry.as_secs()).ok())
}

fn packet_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let bytes = value::size_within(deserializer, 128, 256 << 20)?;
    Ok(u32::try_from(bytes).ok())
}
