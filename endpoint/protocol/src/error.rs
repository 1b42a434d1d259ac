//! What can be wrong with a peer's bytes, sorted by who is to blame and mapped once to reason codes.

use crate::ReasonCode;

/// Why a connection cannot go on because of what its peer sent.
///
/// Each variant names the rule that was broken; the text is for the log. What the peer is told is
/// [`reason`](Self::reason) and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The bytes do not follow the specification.
    #[error("malformed packet: {0}")]
    Malformed(Malformed),
    /// The bytes follow the specification, but such a packet may not come here.
    #[error("protocol error: {0}")]
    Protocol(ProtocolError),
    /// The fixed header announces more than the maximum packet size.
    #[error("packet of {size} bytes is larger than the maximum of {maximum}")]
    TooLarge {
        /// Bytes of the whole packet, fixed header included.
        size: u32,
        /// The limit in force.
        maximum: u32,
    },
    /// Protocol name or level is not one of the three versions.
    #[error("unsupported protocol version (level {level})")]
    UnsupportedVersion {
        /// The protocol level given; decides in which format the refusal is written.
        level: u8,
    },
}

impl PeerError {
    /// The reason code for CONNACK or DISCONNECT.
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::Malformed(_) => ReasonCode::MALFORMED_PACKET,
            Self::Protocol(error) => error.reason(),
            Self::TooLarge { .. } => ReasonCode::PACKET_TOO_LARGE,
            Self::UnsupportedVersion { .. } => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        }
    }
}

impl From<Malformed> for PeerError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<ProtocolError> for PeerError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

/// Bytes that no version of the specification allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Packet type 0, or AUTH before MQTT 5.
    #[error("reserved packet type {0}")]
    PacketType(u8),
    /// Flags of the fixed header differ from what the packet type demands `[MQTT-2.1.3-1]`.
    #[error("reserved fixed header flags")]
    FixedHeaderFlags,
    /// Remaining length of more than four bytes, or not in its shortest form `[MQTT-1.5.5-1]`.
    #[error("variable byte integer too long or not minimal")]
    VariableByteInteger,
    /// A field runs past the end of its packet.
    #[error("a field runs past the end of the packet")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("trailing bytes")]
    TrailingBytes,
    /// Not well-formed UTF-8, or U+0000 within a string `[MQTT-1.5.4-1]` `[MQTT-1.5.4-2]`.
    #[error("ill-formed UTF-8 string")]
    Utf8,
    /// A reserved bit or value within the variable header or payload.
    #[error("reserved bit or value")]
    Reserved,
    /// QoS 3 in PUBLISH `[MQTT-3.3.1-4]`, in a will `[MQTT-3.1.2-12]`, or in a 3.x SUBSCRIBE
    /// (MQTT 5 calls that one a protocol error).
    #[error("QoS 3")]
    QoS,
    /// DUP set with QoS 0 `[MQTT-3.3.1-2]`.
    #[error("DUP set on QoS 0")]
    DupOnQos0,
    /// Packet identifier 0 `[MQTT-2.2.1-3]`.
    #[error("packet identifier 0")]
    PacketIdZero,
    /// A property that this packet does not have, or an unassigned one.
    #[error("property 0x{0:02X} does not belong here")]
    Property(u8),
    /// A property value outside its range.
    #[error("bad value of property 0x{0:02X}")]
    PropertyValue(u8),
    /// A reason code that this packet does not have.
    #[error("reason code 0x{0:02X} does not belong here")]
    ReasonCode(u8),
    /// Password without user name in 3.x `[MQTT-3.1.2-22]`, will flags without will.
    #[error("contradictory connect flags")]
    ConnectFlags,
    /// A topic name with wildcards `[MQTT-3.3.2-2]`, or empty without an alias `[MQTT-4.7.3-1]`.
    #[error("bad topic name")]
    TopicName,
    /// A topic filter that is empty or whose wildcards stand wrong `[MQTT-4.7.1-1]`.
    #[error("bad topic filter")]
    TopicFilter,
}

/// Packets that are well-formed and still not allowed at this point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Not CONNECT, though nothing else may come first `[MQTT-3.1.0-1]`.
    #[error("first packet is not CONNECT")]
    ConnectExpected,
    /// A second CONNECT `[MQTT-3.1.0-2]`.
    #[error("second CONNECT")]
    SecondConnect,
    /// A packet that only the other side may send.
    #[error("packet for the other direction")]
    WrongDirection,
    /// A property given twice.
    #[error("property 0x{0:02X} given twice")]
    DuplicateProperty(u8),
    /// A value that the specification calls a protocol error: receive maximum 0, maximum packet
    /// size 0, subscription identifier 0, and the like.
    #[error("value of property 0x{0:02X} not allowed")]
    PropertyValue(u8),
    /// A property that this packet has, but only in the other direction: a subscription identifier
    /// in a client's PUBLISH `[MQTT-3.3.4-6]`, a session expiry interval in a server's DISCONNECT
    /// `[MQTT-3.14.2-2]`.
    #[error("property 0x{0:02X} may not be sent by this side")]
    PropertyDirection(u8),
    /// Authentication data without a method.
    #[error("authentication data without method")]
    AuthenticationDataWithoutMethod,
    /// AUTH without an authentication method (MQTT 5, 3.15.2.2.2).
    #[error("AUTH without authentication method")]
    AuthenticationMethodMissing,
    /// SUBSCRIBE `[MQTT-3.8.3-2]` or UNSUBSCRIBE `[MQTT-3.10.3-2]` without a filter.
    #[error("no topic filter")]
    NoFilter,
    /// QoS 3 in the options of an MQTT 5 SUBSCRIBE (3.8.3.1).
    #[error("QoS 3 in subscription options")]
    QoS,
    /// Retain Handling 3 in the options of an MQTT 5 SUBSCRIBE (3.8.3.1).
    #[error("retain handling 3 in subscription options")]
    RetainHandling,
    /// Neither topic nor known alias.
    #[error("no topic and no alias")]
    NoTopic,
    /// AUTH though no enhanced authentication is going on `[MQTT-4.12.0-1]`.
    #[error("AUTH out of place")]
    UnexpectedAuth,
    /// No Local on a shared subscription `[MQTT-3.8.3-4]`.
    #[error("no local on a shared subscription")]
    NoLocalOnShared,
    /// An acknowledgement for a packet that was never sent.
    #[error("acknowledgement for an unknown packet identifier")]
    UnknownPacketId,
    /// A packet id that is in use for another unfinished exchange.
    #[error("packet identifier in use")]
    PacketIdInUse,
    /// Session expiry raised from 0 by DISCONNECT `[MQTT-3.14.2-2]`.
    #[error("session expiry raised by DISCONNECT")]
    SessionExpiryRaised,
    /// More unacknowledged publishes than the receive maximum `[MQTT-3.3.4-9]`.
    #[error("receive maximum exceeded")]
    ReceiveMaximumExceeded,
    /// Topic alias 0 `[MQTT-3.3.2-8]` or above the maximum `[MQTT-3.2.2-17]`.
    #[error("topic alias invalid")]
    TopicAlias,
    /// Retained publish, though retain was announced as not available `[MQTT-3.2.2-14]`.
    #[error("retain not supported")]
    RetainNotSupported,
    /// Shared subscription, though announced as not available.
    #[error("shared subscription not supported")]
    SharedSubscription,
}

impl ProtocolError {
    /// The reason code for DISCONNECT.
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::ReceiveMaximumExceeded => ReasonCode::RECEIVE_MAXIMUM_EXCEEDED,
            Self::TopicAlias => ReasonCode::TOPIC_ALIAS_INVALID,
            Self::RetainNotSupported => ReasonCode::RETAIN_NOT_SUPPORTED,
            Self::SharedSubscription => ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
            _ => ReasonCode::PROTOCOL_ERROR,
        }
    }
}
