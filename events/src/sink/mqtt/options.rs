//! How events are published to a broker.

use std::fmt;
use std::time::Duration;

use crate::sink::DEFAULT_QUEUE_BYTES;
use crate::sink::remote::{RemoteError, SpillOptions};
use crate::template::Template;

/// The protocol spoken to the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MqttVersion {
    /// MQTT 5.
    #[default]
    V5,
    /// MQTT 3.1.1, which has no properties: events are structured.
    V311,
}

/// How events stand in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MqttMode {
    /// Attributes as user properties, the payload as payload. MQTT 5 only.
    #[default]
    Binary,
    /// All as one JSON document.
    Structured,
}

/// TLS. All certificates are PEM.
#[derive(Clone, Default)]
pub struct MqttTls {
    /// Certificates that the broker's may lead to, instead of the system's.
    pub trust: Option<Vec<u8>>,
    /// The sink's own certificate chain and its key, for brokers that ask.
    pub identity: Option<Vec<u8>>,
    /// Accept a certificate for another host name. Danger: whoever has any trusted certificate can
    /// stand in between.
    pub any_host_name: bool,
}

/// How events are published.
#[derive(Clone)]
pub struct MqttOptions {
    /// The broker's host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Default: MQTT 5.
    pub version: MqttVersion,
    /// The client id.
    pub client_id: String,
    /// The topic.
    pub topic: Template,
    /// Default: binary.
    pub mode: MqttMode,
    /// Whether the broker keeps the last message of each topic. Default: no.
    pub retain: bool,
    /// How long the broker keeps a message for those who are away, in seconds; as long as it
    /// likes, if `None`, the default. MQTT 5 only.
    pub message_expiry: Option<u32>,
    /// Where answers are expected. MQTT 5 only.
    pub response_topic: Option<Template>,
    /// How long the broker keeps the sink's session, in seconds; not at all, if `None`. Default
    /// 86,400. MQTT 5 only.
    pub session_expiry: Option<u32>,
    /// User name and password.
    pub credentials: Option<(String, String)>,
    /// TLS; plain TCP, if `None`.
    pub tls: Option<MqttTls>,
    /// How long an acknowledgement, and a connection attempt, may take. Default 10 s.
    pub timeout: Duration,
    /// Attempts to connect again in a row before the sink gives up for good; without limit, if
    /// `None`, the default.
    pub reconnect_attempts: Option<u32>,
    /// Largest packet that the broker takes, beyond what it says itself.
    pub maximum_packet_size: Option<u32>,
    /// Publishes of one application that may wait for acknowledgements. Default 1,000.
    pub window: usize,
    /// Bound of the queue. Default [`DEFAULT_QUEUE_BYTES`].
    pub queue_bytes: usize,
    /// Where events go while the other system does not take them. Default: nowhere, they wait.
    pub spill: Option<SpillOptions>,
}

impl MqttOptions {
    /// The defaults.
    #[must_use]
    pub fn new(
        host: impl Into<String>,
        port: u16,
        client_id: impl Into<String>,
        topic: Template,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            version: MqttVersion::default(),
            client_id: client_id.into(),
            topic,
            mode: MqttMode::default(),
            retain: false,
            message_expiry: None,
            response_topic: None,
            session_expiry: Some(86_400),
            credentials: None,
            tls: None,
            timeout: Duration::from_secs(10),
            reconnect_attempts: None,
            maximum_packet_size: None,
            window: 1_000,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            spill: None,
        }
    }

    /// Whether a topic's own text can stand in one: no wildcards, no U+0000.
    #[must_use]
    pub fn is_topic(template: &Template) -> bool {
        let example = template.example("x");
        example.len() <= usize::from(u16::MAX) && !example.contains(['+', '#', '\0'])
    }
}

/// Shows no secret.
impl fmt::Debug for MqttOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttOptions")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// Why the sink cannot be started; the operator can mend each.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// A topic's own text has what no topic may hold.
    #[error("a topic has no `+` and no `#`")]
    Topic,
    /// MQTT 3.1.1 has no properties.
    #[error("{0} is of MQTT 5")]
    OfVersion5(&'static str),
    /// The trusted certificates cannot be read.
    #[error("the trusted certificates cannot be used: {0}")]
    Trust(String),
    /// The client certificate or its key cannot be read.
    #[error("the client certificate and its key cannot be used: {0}")]
    Identity(String),
    /// The client refuses the options.
    #[error("{0}")]
    Options(String),
    /// Its thread or its spill.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}
