//! One connection to the broker, which ends for good when it is lost.
//!
//! The clients would connect again by themselves and send what they still held, but not in front of
//! what was lost with the old connection. Order is only kept if the sink sends it all again.

use std::sync::Arc;

use rumqttc_v4 as v4;
use rumqttc_v5 as v5;
use rustls::ClientConfig;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

use super::message::Message;
use super::{MqttError, MqttOptions, MqttVersion, tls};
use crate::sink::Refusal;
use crate::sink::remote::Outcome;

/// How often an idle connection shows that it lives, in seconds.
const KEEP_ALIVE: u16 = 30;
/// Requests that the client takes in before it sends them.
const REQUESTS: usize = 256;
/// Packets that it writes at once.
const BATCH: usize = 64;

/// Where and how to connect.
pub(super) struct Broker {
    options: MqttOptions,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection that the broker has let in.
pub(super) struct Connection {
    client: Client,
    task: JoinHandle<()>,
    maximum_packet_size: Option<u32>,
}

enum Client {
    V5(v5::AsyncClient),
    V4(v4::AsyncClient),
}

/// What a publish waits for.
pub(super) enum Acknowledgement {
    V5(v5::PublishNotice),
    V4(v4::PublishNotice),
}

impl Broker {
    pub(super) fn new(options: &MqttOptions) -> Result<Self, MqttError> {
        if !MqttOptions::is_topic(&options.topic)
            || options
                .response_topic
                .as_ref()
                .is_some_and(|topic| !MqttOptions::is_topic(topic))
        {
            return Err(MqttError::Topic);
        }
        if options.version == MqttVersion::V311 {
            if options.response_topic.is_some() {
                return Err(MqttError::OfVersion5("a response topic"));
            }
            if options.message_expiry.is_some() {
                return Err(MqttError::OfVersion5("a message expiry"));
            }
        }
        let tls = options.tls.as_ref().map(tls::client_config).transpose()?;
        let broker = Self {
            options: options.clone(),
            tls,
        };
        // What the client refuses is said here, where somebody reads it.
        match options.version {
            MqttVersion::V5 => broker.options_v5().validate().map_err(|e| said(&e))?,
            MqttVersion::V311 => {}
        }
        Ok(broker)
    }

    /// Connects. The error is for log and readiness, and shows no secret.
    pub(super) async fn connect(&self) -> Result<Connection, String> {
        let connecting = async {
            match self.options.version {
                MqttVersion::V5 => self.connect_v5().await,
                MqttVersion::V311 => self.connect_v4().await,
            }
        };
        timeout(self.options.timeout, connecting)
            .await
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    fn options_v5(&self) -> v5::MqttOptions {
        let options = &self.options;
        let broker = (options.host.as_str(), options.port);
        let mut mqtt = v5::MqttOptions::new(options.client_id.as_str(), broker);
        mqtt.set_clean_start(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_connect_timeout(options.timeout)
            .set_request_channel_capacity(REQUESTS)
            .set_max_request_batch(BATCH)
            .set_session_expiry_interval(options.session_expiry);
        if let Some((username, password)) = &options.credentials {
            mqtt.set_credentials(username.as_str(), password.clone());
        }
        if let Some(tls) = &self.tls {
            let tls = v5::TlsConfiguration::Rustls(Arc::clone(tls));
            mqtt.set_transport(v5::Transport::tls_with_config(tls));
        }
        mqtt
    }

    async fn connect_v5(&self) -> Result<Connection, String> {
        let (client, mut events) = v5::AsyncClient::builder(self.options_v5())
            .capacity(REQUESTS)
            .build();
        let maximum_packet_size = loop {
            let event = events.poll().await.map_err(|error| error.to_string())?;
            if let v5::Event::Incoming(v5::Packet::ConnAck(connack)) = event {
                let properties = connack.properties;
                break properties.and_then(|properties| properties.max_packet_size);
            }
        };
        let task = tokio::spawn(async move { while events.poll().await.is_ok() {} });
        Ok(Connection {
            client: Client::V5(client),
            task,
            maximum_packet_size,
        })
    }

    async fn connect_v4(&self) -> Result<Connection, String> {
        let options = &self.options;
        let broker = (options.host.as_str(), options.port);
        let mut mqtt = v4::MqttOptions::new(options.client_id.as_str(), broker);
        mqtt.set_clean_session(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_max_packet_size(64 << 10, usize::MAX)
            .set_max_request_batch(BATCH);
        if let Some((username, password)) = &options.credentials {
            mqtt.set_credentials(username.as_str(), password.clone());
        }
        if let Some(tls) = &self.tls {
            let tls = v4::TlsConfiguration::Rustls(Arc::clone(tls));
            mqtt.set_transport(v4::Transport::tls_with_config(tls));
        }
        let (client, mut events) = v4::AsyncClient::builder(mqtt).capacity(REQUESTS).build();
        loop {
            let event = events.poll().await.map_err(|error| error.to_string())?;
            if matches!(event, v4::Event::Incoming(v4::Packet::ConnAck(_))) {
                break;
            }
        }
        let task = tokio::spawn(async move { while events.poll().await.is_ok() {} });
        Ok(Connection {
            client: Client::V4(client),
            task,
            maximum_packet_size: None,
        })
    }
}

fn said(error: &dyn std::fmt::Display) -> MqttError {
    MqttError::Options(error.to_string())
}

impl Connection {
    pub(super) fn is_lost(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends the connection: whatever waits for an acknowledgement waits no more.
    pub(super) fn end(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// What the broker has said.
    pub(super) fn maximum_packet_size(&self) -> Option<u32> {
        self.maximum_packet_size
    }

    pub(super) async fn publish(&self, message: Message) -> Result<Acknowledgement, String> {
        let Message {
            topic,
            payload,
            retain,
            content_type,
            user_properties,
            response_topic,
            message_expiry,
        } = message;
        match &self.client {
            Client::V5(client) => {
                let properties = v5::PublishProperties {
                    message_expiry_interval: message_expiry,
                    response_topic,
                    user_properties,
                    content_type,
                    ..v5::PublishProperties::default()
                };
                let options = v5::PublishOptions::at_least_once()
                    .retain(retain)
                    .properties(properties);
                let sent = client.publish_tracked(topic, payload, options).await;
                sent.map(Acknowledgement::V5)
                    .map_err(|error| error.to_string())
            }
            Client::V4(client) => {
                let options = v4::PublishOptions::at_least_once().retain(retain);
                let sent = client.publish_tracked(topic, payload, options).await;
                sent.map(Acknowledgement::V4)
                    .map_err(|error| error.to_string())
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Acknowledgement {
    pub(super) async fn outcome(self) -> Outcome {
        match self {
            Self::V5(notice) => match notice.wait_async().await {
                Ok(v5::PublishResult::Qos1(ack)) => judge(ack.reason),
                Ok(_) => Outcome::Accepted,
                Err(v5::PublishNoticeError::V5PubAck(reason)) => judge(reason),
                Err(v5::PublishNoticeError::RetainNotSupported) => {
                    Outcome::retry("the broker keeps no retained messages")
                }
                Err(error) => lost(&error),
            },
            Self::V4(notice) => match notice.wait_async().await {
                Ok(_) => Outcome::Accepted,
                Err(error) => lost(&error),
            },
        }
    }
}

fn lost(error: &dyn std::fmt::Display) -> Outcome {
    tracing::debug!(%error, "a publish was not acknowledged");
    Outcome::retry("the connection to the MQTT broker was lost")
}

/// MQTT 5, 3.4.2.1. That nobody subscribes is the broker's operator's affair.
fn judge(reason: v5::PubAckReason) -> Outcome {
    use v5::PubAckReason as Reason;
    let said = format!("the broker answered {reason:?}");
    match reason {
        Reason::Success | Reason::NoMatchingSubscribers => Outcome::Accepted,
        Reason::TopicNameInvalid
        | Reason::PayloadFormatInvalid
        | Reason::ImplementationSpecificError => Outcome::Refused(Refusal::Rejected, said),
        Reason::UnspecifiedError
        | Reason::NotAuthorized
        | Reason::PacketIdentifierInUse
        | Reason::QuotaExceeded => Outcome::retry(said),
    }
}
