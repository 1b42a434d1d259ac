//! One connection to the broker, which ends for good when it is lost.

use std::sync::Arc;
use std::time::Duration;

use landfall_events::sink::mqtt::MqttVersion;
use rumqttc_v4 as v4;
use rumqttc_v5 as v5;
use tokio::time::timeout;

use super::MqttSource;
use super::message::{Message, Reply};
use super::resume::NothingUnderWay;
use crate::command::event::OutcomeEvent;

/// How often an idle connection shows that it lives, in seconds.
const KEEP_ALIVE: u16 = 30;
/// Requests that the client takes in before it sends them.
const REQUESTS: usize = 256;
/// An attempt to connect may take this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a message may have beside its payload.
const OVERHEAD: usize = 64 << 10;

/// A connection that the broker has let in.
pub(super) struct Connection {
    client: Client,
    events: Events,
    session_present: bool,
}

/// What is said to the broker.
#[derive(Clone, Debug)]
pub(super) enum Client {
    V5(v5::AsyncClient),
    V4(v4::AsyncClient),
}

enum Events {
    V5(Box<v5::EventLoop>),
    V4(Box<v4::EventLoop>),
}

/// What the broker says.
pub(super) enum Incoming {
    /// The subscription stands.
    Subscribed,
    /// It does not.
    Refused(String),
    /// A command.
    Message(Message),
}

impl Connection {
    /// Connects. The error is for the log, and shows no secret.
    pub(super) async fn open(source: &MqttSource) -> Result<Self, String> {
        let opening = async {
            match source.version {
                MqttVersion::V5 => open_v5(source).await,
                MqttVersion::V311 => open_v4(source).await,
            }
        };
        let opened = timeout(PATIENCE, opening).await;
        opened.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether the broker knows what it has sent before.
    pub(super) const fn session_present(&self) -> bool {
        self.session_present
    }

    pub(super) async fn subscribe(&self, filter: &str) -> Result<(), String> {
        match &self.client {
            Client::V5(client) => {
                let subscribed = client
                    .subscribe(filter, v5::mqttbytes::QoS::AtLeastOnce)
                    .await;
                subscribed.map(drop).map_err(|error| error.to_string())
            }
            Client::V4(client) => {
                let subscribed = client
                    .subscribe(filter, v4::mqttbytes::QoS::AtLeastOnce)
                    .await;
                subscribed.map(drop).map_err(|error| error.to_string())
            }
        }
    }

    /// What comes next; an error is the connection's end.
    pub(super) async fn next(&mut self) -> Result<Incoming, String> {
        loop {
            let incoming = match &mut self.events {
                Events::V5(events) => {
                    let event = events.poll().await.map_err(|error| error.to_string())?;
                    incoming_v5(event)
                }
                Events::V4(events) => {
                    let event = events.poll().await.map_err(|error| error.to_string())?;
                    incoming_v4(event)
                }
            };
            if let Some(incoming) = incoming {
                return Ok(incoming);
            }
        }
    }
}

async fn open_v5(source: &MqttSource) -> Result<Connection, String> {
    let (host, port) = &source.broker;
    let mut options = v5::MqttOptions::new(source.client_id.as_str(), (host.as_str(), *port));
    let most = u32::try_from(source.most_bytes + OVERHEAD).unwrap_or(u32::MAX);
    options
        .set_clean_start(false)
        .set_keep_alive(KEEP_ALIVE)
        .set_connect_timeout(PATIENCE)
        .set_request_channel_capacity(REQUESTS)
        .set_session_expiry_interval(Some(source.session_expiry))
        // No more are sent than may be under way.
        .set_receive_maximum(Some(source.concurrency))
        .set_max_packet_size(Some(most))
        .set_session_store(NothingUnderWay {
            session_expiry: source.session_expiry,
        })
        .set_ack_mode(v5::AckMode::Manual);
    if let Some((username, password)) = &source.credentials {
        options.set_credentials(username.as_str(), password.clone());
    }
    if let Some(tls) = &source.tls {
        let tls = v5::TlsConfiguration::Rustls(Arc::clone(tls));
        options.set_transport(v5::Transport::tls_with_config(tls));
    }
    let (client, mut events) = v5::AsyncClient::builder(options).capacity(REQUESTS).build();
    let session_present = loop {
        let event = events.poll().await.map_err(|error| error.to_string())?;
        if let v5::Event::Incoming(v5::Packet::ConnAck(connack)) = event {
            break connack.session_present;
        }
    };
    Ok(Connection {
        client: Client::V5(client),
        events: Events::V5(Box::new(events)),
        session_present,
    })
}

async fn open_v4(source: &MqttSource) -> Result<Connection, String> {
    let (host, port) = &source.broker;
    let mut options = v4::MqttOptions::new(source.client_id.as_str(), (host.as_str(), *port));
    options
        .set_clean_session(source.session_expiry == 0)
        .set_keep_alive(KEEP_ALIVE)
        .set_max_packet_size(source.most_bytes + OVERHEAD, usize::MAX)
        .set_ack_mode(v4::AckMode::Manual);
    if let Some((username, password)) = &source.credentials {
        options.set_credentials(username.as_str(), password.clone());
    }
    if let Some(tls) = &source.tls {
        let tls = v4::TlsConfiguration::Rustls(Arc::clone(tls));
        options.set_transport(v4::Transport::tls_with_config(tls));
    }
    let (client, mut events) = v4::AsyncClient::builder(options).capacity(REQUESTS).build();
    let session_present = loop {
        let event = events.poll().await.map_err(|error| error.to_string())?;
        if let v4::Event::Incoming(v4::Packet::ConnAck(connack)) = event {
            break connack.session_present;
        }
    };
    Ok(Connection {
        client: Client::V4(client),
        events: Events::V4(Box::new(events)),
        session_present,
    })
}

fn incoming_v5(event: v5::Event) -> Option<Incoming> {
    let v5::Event::Incoming(packet) = event else {
        return None;
    };
    match packet {
        v5::Packet::SubAck(suback) => Some(match suback.return_codes.first() {
            Some(v5::mqttbytes::v5::SubscribeReasonCode::Success(_)) => Incoming::Subscribed,
            code => Incoming::Refused(format!("the broker refuses the subscription: {code:?}")),
        }),
        v5::Packet::Publish(publish) => {
            let properties = publish.properties.unwrap_or_default();
            let correlation = properties.correlation_data;
            Some(Incoming::Message(Message {
                topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                payload: publish.payload,
                id: publish.pkid,
                dup: publish.dup,
                content_type: properties.content_type,
                user_properties: properties.user_properties,
                reply: properties
                    .response_topic
                    .map(|topic| Reply { topic, correlation }),
            }))
        }
        _ => None,
    }
}

fn incoming_v4(event: v4::Event) -> Option<Incoming> {
    let v4::Event::Incoming(packet) = event else {
        return None;
    };
    match packet {
        v4::Packet::SubAck(suback) => Some(match suback.return_codes.first() {
            Some(v4::SubscribeReasonCode::Success(_)) => Incoming::Subscribed,
            code => Incoming::Refused(format!("the broker refuses the subscription: {code:?}")),
        }),
        v4::Packet::Publish(publish) => Some(Incoming::Message(Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload,
            id: publish.pkid,
            dup: publish.dup,
            content_type: None,
            user_properties: Vec::new(),
            reply: None,
        })),
        _ => None,
    }
}

impl Client {
    /// Acknowledges a message.
    pub(super) async fn acknowledge(&self, id: u16) -> Result<(), String> {
        match self {
            Self::V5(client) => {
                let ack = v5::ManualAck::PubAck(v5::PubAck::new(id, None));
                let queued = client.manual_ack(ack).await;
                queued.map_err(|error| error.to_string())
            }
            Self::V4(client) => {
                let ack = v4::ManualAck::PubAck(v4::PubAck::new(id));
                let queued = client.manual_ack(ack).await;
                queued.map_err(|error| error.to_string())
            }
        }
    }

    /// Publishes an outcome, attributes as user properties, and waits until the broker has taken it.
    pub(super) async fn reply(&self, reply: &Reply, outcome: &OutcomeEvent) -> Result<(), Untold> {
        // Only MQTT 5 has response topics.
        let Self::V5(client) = self else {
            return Ok(());
        };
        let attributes = outcome.attributes.iter();
        let properties = v5::PublishProperties {
            content_type: Some(outcome.content_type.clone()),
            correlation_data: reply.correlation.clone(),
            user_properties: attributes
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            ..v5::PublishProperties::default()
        };
        let options = v5::PublishOptions::at_least_once().properties(properties);
        let (topic, data) = (reply.topic.clone(), outcome.data.clone());
        let notice = match client.publish_tracked(topic, data, options).await {
            Ok(notice) => notice,
            Err(v5::ClientError::RequestChannelDisconnected(_)) => return Err(Untold::Lost),
            Err(error) => return Err(Untold::Refused(error.to_string())),
        };
        match notice.wait_async().await {
            Ok(v5::PublishResult::Qos1(ack)) => judge(ack.reason),
            Ok(_) => Ok(()),
            Err(v5::PublishNoticeError::V5PubAck(reason)) => judge(reason),
            Err(_) => Err(Untold::Lost),
        }
    }
}

/// An outcome that the broker has not taken.
pub(super) enum Untold {
    /// It may take it later.
    Lost,
    /// It will not; why, for the log.
    Refused(String),
}

/// MQTT 5, 3.4.2.1.
fn judge(reason: v5::PubAckReason) -> Result<(), Untold> {
    use v5::PubAckReason as Reason;
    match reason {
        // Whoever asked does not listen any more.
        Reason::Success | Reason::NoMatchingSubscribers => Ok(()),
        Reason::QuotaExceeded | Reason::PacketIdentifierInUse => Err(Untold::Lost),
        reason => Err(Untold::Refused(format!("the broker answers {reason:?}"))),
    }
}
