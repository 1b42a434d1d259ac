//! One neutral set of packets for MQTT 3.1, 3.1.1 and 5.
//!
//! A packet borrows every string and every payload from the bytes it was decoded from. What a
//! version does not have (properties in 3.x, reason codes in a 3.x PUBACK) is simply absent here:
//! empty properties, [`ReasonCode::SUCCESS`](crate::ReasonCode::SUCCESS). The codec alone knows how each version writes a packet.

use std::num::NonZeroU16;

use crate::ReasonCode;

/// Identifies an exchange that is not yet complete; never zero `[MQTT-2.2.1-3]`.
pub type PacketId = NonZeroU16;

/// The protocol version a connection speaks, agreed by its CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1: protocol name `MQTT`, level 4.
    V311,
    /// MQTT 5.0: protocol name `MQTT`, level 5.
    V5,
}

impl Version {
    /// The version as people write it: `3.1`, `3.1.1` or `5`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V31 => "3.1",
            Self::V311 => "3.1.1",
            Self::V5 => "5",
        }
    }
}

/// How hard sender and receiver try to deliver a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0: no acknowledgement.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: PUBACK.
    AtLeastOnce = 1,
    /// QoS 2: PUBREC, PUBREL, PUBCOMP.
    ExactlyOnce = 2,
}

/// Every control packet of the three versions, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Client asks to connect.
    Connect(Connect<'a>),
    /// Server's answer to CONNECT.
    ConnAck(ConnAck<'a>),
    /// Application message, either direction.
    Publish(Publish<'a>),
    /// QoS 1 acknowledgement.
    PubAck(Ack<'a>),
    /// QoS 2, first answer.
    PubRec(Ack<'a>),
    /// QoS 2, release.
    PubRel(Ack<'a>),
    /// QoS 2, complete.
    PubComp(Ack<'a>),
    /// Client subscribes.
    Subscribe(Subscribe<'a>),
    /// Server's answer to SUBSCRIBE.
    SubAck(SubAck<'a>),
    /// Client unsubscribes.
    Unsubscribe(Unsubscribe<'a>),
    /// Server's answer to UNSUBSCRIBE.
    UnsubAck(SubAck<'a>),
    /// Keep-alive request.
    PingReq,
    /// Keep-alive response.
    PingResp,
    /// End of the connection. Sent by servers in version 5 only.
    Disconnect(Disconnect<'a>),
    /// Enhanced authentication, version 5 only.
    Auth(Auth<'a>),
}

/// CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect<'a> {
    /// Version, from protocol name and level. The bridge bit (0x80) is not part of any version.
    pub version: Version,
    /// Clean session (3.x) or clean start (5).
    pub clean: bool,
    /// Seconds between two packets of the client at most; 0 turns the check off.
    pub keep_alive: u16,
    /// Properties; empty in 3.x.
    pub properties: ConnectProperties<'a>,
    /// May be empty: then the server makes one up (5: and says so).
    pub client_id: &'a str,
    /// The will, if one is set.
    pub will: Option<Will<'a>>,
    /// User name, if given.
    pub user_name: Option<&'a str>,
    /// Password, if given. Binary data; secret, and so left out of `Debug`.
    pub password: Option<&'a [u8]>,
}

/// Properties of CONNECT (MQTT 5, 3.1.2.11).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnectProperties<'a> {
    /// Seconds the session should outlive the connection; absent is 0.
    pub session_expiry_interval: Option<u32>,
    /// How many unacknowledged QoS 1 and 2 publishes the client takes; absent is 65,535; never 0.
    pub receive_maximum: Option<NonZeroU16>,
    /// Largest packet the client takes, in bytes; absent is no limit; never 0.
    pub maximum_packet_size: Option<std::num::NonZeroU32>,
    /// Highest topic alias the client takes from the server; absent is 0 (none).
    pub topic_alias_maximum: Option<u16>,
    /// Client asks for response information in CONNACK.
    pub request_response_information: Option<bool>,
    /// `Some(false)`: reason strings and user properties only in PUBLISH, CONNACK, DISCONNECT.
    pub request_problem_information: Option<bool>,
    /// User properties.
    pub user_properties: UserProperties<'a>,
    /// Name of the enhanced authentication method asked for.
    pub authentication_method: Option<&'a str>,
    /// Data of the enhanced authentication method. Never without a method; secret, and so left out
    /// of `Debug`, like a password.
    pub authentication_data: Option<&'a [u8]>,
}

/// The message that is published when a connection ends without a DISCONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// Topic; no wildcards.
    pub topic: &'a str,
    /// Payload.
    pub payload: &'a [u8],
    /// QoS to publish with.
    pub qos: QoS,
    /// Whether it is to be published retained.
    pub retain: bool,
    /// Seconds to wait after the end of the connection (MQTT 5); absent is 0.
    pub delay_interval: Option<u32>,
    /// The remaining will properties, those of a PUBLISH (no alias, no subscription identifier).
    pub properties: PublishProperties<'a>,
}

/// CONNACK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Whether the server resumes a session. Always false with a reason that is no success.
    pub session_present: bool,
    /// Outcome. In 3.x written as the return code that corresponds best.
    pub reason: ReasonCode,
    /// Properties; not written in 3.x.
    pub properties: ConnAckProperties<'a>,
}

/// Properties of CONNACK (MQTT 5, 3.2.2.3).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnAckProperties<'a> {
    /// Session expiry the server uses instead of the one asked for, in seconds.
    pub session_expiry_interval: Option<u32>,
    /// How many unacknowledged QoS 1 and 2 publishes the server takes.
    pub receive_maximum: Option<NonZeroU16>,
    /// Highest QoS the server takes; absent is 2. Never `ExactlyOnce` on the wire.
    pub maximum_qos: Option<QoS>,
    /// Whether retained messages are available; absent is true.
    pub retain_available: Option<bool>,
    /// Largest packet the server takes, in bytes.
    pub maximum_packet_size: Option<std::num::NonZeroU32>,
    /// Client id the server made up for an empty one.
    pub assigned_client_identifier: Option<&'a str>,
    /// Highest topic alias the server takes.
    pub topic_alias_maximum: Option<u16>,
    /// Text for a person, never parsed.
    pub reason_string: Option<&'a str>,
    /// User properties.
    pub user_properties: UserProperties<'a>,
    /// Whether wildcard subscriptions are available; absent is true.
    pub wildcard_subscription_available: Option<bool>,
    /// Whether subscription identifiers are available; absent is true.
    pub subscription_identifiers_available: Option<bool>,
    /// Whether shared subscriptions are available; absent is true.
    pub shared_subscription_available: Option<bool>,
    /// Keep-alive the server uses instead of the one asked for, in seconds.
    pub server_keep_alive: Option<u16>,
    /// Basis for response topics.
    pub response_information: Option<&'a str>,
    /// Another server to use.
    pub server_reference: Option<&'a str>,
    /// Enhanced authentication method.
    pub authentication_method: Option<&'a str>,
    /// Enhanced authentication data.
    pub authentication_data: Option<&'a [u8]>,
}

/// PUBLISH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Sent before with the same packet id.
    pub dup: bool,
    /// QoS.
    pub qos: QoS,
    /// Retain flag.
    pub retain: bool,
    /// Topic name; no wildcards. Empty only in MQTT 5 with a topic alias.
    pub topic: &'a str,
    /// `Some` exactly when `qos` is above 0.
    pub packet_id: Option<PacketId>,
    /// Properties; empty in 3.x.
    pub properties: PublishProperties<'a>,
    /// Payload; may be empty.
    pub payload: &'a [u8],
}

/// Properties of PUBLISH (MQTT 5, 3.3.2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishProperties<'a> {
    /// `Some(true)`: the payload is said to be UTF-8 text.
    pub payload_is_utf8: Option<bool>,
    /// Life of the message, in seconds.
    pub message_expiry_interval: Option<u32>,
    /// Stands for the topic; never 0.
    pub topic_alias: Option<NonZeroU16>,
    /// Where an answer should go; no wildcards.
    pub response_topic: Option<&'a str>,
    /// Tells the asker which request an answer belongs to.
    pub correlation_data: Option<&'a [u8]>,
    /// User properties, in order.
    pub user_properties: UserProperties<'a>,
    /// Identifiers of the subscriptions that matched (server to client only).
    pub subscription_identifiers: SubscriptionIdentifiers<'a>,
    /// MIME type of the payload.
    pub content_type: Option<&'a str>,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The exchange it belongs to.
    pub packet_id: PacketId,
    /// Outcome; not written in 3.x.
    pub reason: ReasonCode,
    /// Properties; not written in 3.x.
    pub properties: ReasonProperties<'a>,
}

/// The properties that acknowledgements share: a reason string and user properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonProperties<'a> {
    /// Text for a person, never parsed.
    pub reason_string: Option<&'a str>,
    /// User properties.
    pub user_properties: UserProperties<'a>,
}

/// SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The exchange it belongs to.
    pub packet_id: PacketId,
    /// Given to every subscription of this packet; 1 to 268,435,455.
    pub subscription_identifier: Option<std::num::NonZeroU32>,
    /// User properties.
    pub user_properties: UserProperties<'a>,
    /// At least one.
    pub filters: Filters<'a>,
}

/// One subscription of a SUBSCRIBE packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// Topic filter, well-formed, not empty.
    pub filter: &'a str,
    /// The highest QoS the client wants.
    pub qos: QoS,
    /// MQTT 5: do not send the client's own publishes back.
    pub no_local: bool,
    /// MQTT 5: keep the retain flag as published.
    pub retain_as_published: bool,
    /// MQTT 5: when retained messages are sent: 0, 1 or 2 (4.7 has the meanings).
    pub retain_handling: u8,
}

impl<'a> Subscription<'a> {
    /// A subscription with no option of MQTT 5 set.
    pub const fn new(filter: &'a str, qos: QoS) -> Self {
        Self {
            filter,
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: 0,
        }
    }
}

/// SUBACK, or UNSUBACK (whose codes are not written in 3.x).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The exchange it belongs to.
    pub packet_id: PacketId,
    /// Properties; not written in 3.x.
    pub properties: ReasonProperties<'a>,
    /// One code for each filter, in order. In 3.1.1 every failure is written as 0x80; 3.1 has no
    /// failure code, so the caller turns failures into a granted QoS before it encodes.
    pub reasons: ReasonCodes<'a>,
}

/// UNSUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// The exchange it belongs to.
    pub packet_id: PacketId,
    /// User properties.
    pub user_properties: UserProperties<'a>,
    /// At least one.
    pub filters: Filters<'a>,
}

/// DISCONNECT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why; always success in 3.x.
    pub reason: ReasonCode,
    /// New session expiry, in seconds (client to server only).
    pub session_expiry_interval: Option<u32>,
    /// Reason string and user properties.
    pub properties: ReasonProperties<'a>,
    /// Another server to use (server to client only).
    pub server_reference: Option<&'a str>,
}

/// AUTH.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Auth<'a> {
    /// 0x00, 0x18 or 0x19.
    pub reason: ReasonCode,
    /// Method; mandatory on the wire unless the packet is empty.
    pub authentication_method: Option<&'a str>,
    /// Data of the method.
    pub authentication_data: Option<&'a [u8]>,
    /// Reason string and user properties.
    pub properties: ReasonProperties<'a>,
}

pub use crate::codec::lists::{Filters, ReasonCodes, SubscriptionIdentifiers, UserProperties};
