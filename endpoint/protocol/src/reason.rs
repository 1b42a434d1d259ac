//! Reason codes of MQTT 5 and their return codes in 3.x.

/// A reason code (MQTT 5, 2.4). 0x80 and above are failures.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReasonCode(pub u8);

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl ReasonCode {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The name of the code in the specification, in lower case.
            pub const fn text(self) -> &'static str {
                match self.0 { $($value => $text,)* _ => "unassigned reason code" }
            }
        }
    };
}

reasons! {
    /// 0x00: success; normal disconnection; granted QoS 0.
    SUCCESS = 0x00, "success";
    /// 0x01: granted QoS 1.
    GRANTED_QOS_1 = 0x01, "granted QoS 1";
    /// 0x02: granted QoS 2.
    GRANTED_QOS_2 = 0x02, "granted QoS 2";
    /// 0x04: disconnect, but publish the will.
    DISCONNECT_WITH_WILL = 0x04, "disconnect with will message";
    /// 0x10: taken, but nobody subscribes.
    NO_MATCHING_SUBSCRIBERS = 0x10, "no matching subscribers";
    /// 0x11: there was no such subscription.
    NO_SUBSCRIPTION_EXISTED = 0x11, "no subscription existed";
    /// 0x18: continue the authentication.
    CONTINUE_AUTHENTICATION = 0x18, "continue authentication";
    /// 0x19: authenticate again.
    RE_AUTHENTICATE = 0x19, "re-authenticate";
    /// 0x80: no reason given.
    UNSPECIFIED_ERROR = 0x80, "unspecified error";
    /// 0x81: the bytes do not follow the specification.
    MALFORMED_PACKET = 0x81, "malformed packet";
    /// 0x82: well-formed, but not allowed here.
    PROTOCOL_ERROR = 0x82, "protocol error";
    /// 0x83: valid, but not accepted by this server.
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83, "implementation specific error";
    /// 0x84: the version is not supported.
    UNSUPPORTED_PROTOCOL_VERSION = 0x84, "unsupported protocol version";
    /// 0x85: the client id is not allowed.
    CLIENT_IDENTIFIER_NOT_VALID = 0x85, "client identifier not valid";
    /// 0x86: wrong or missing credentials.
    BAD_USER_NAME_OR_PASSWORD = 0x86, "bad user name or password";
    /// 0x87: known, but not allowed.
    NOT_AUTHORIZED = 0x87, "not authorized";
    /// 0x88: the server cannot serve now.
    SERVER_UNAVAILABLE = 0x88, "server unavailable";
    /// 0x89: the server is busy.
    SERVER_BUSY = 0x89, "server busy";
    /// 0x8A: the client is banned.
    BANNED = 0x8A, "banned";
    /// 0x8B: the server stops.
    SERVER_SHUTTING_DOWN = 0x8B, "server shutting down";
    /// 0x8C: the authentication method is not supported.
    BAD_AUTHENTICATION_METHOD = 0x8C, "bad authentication method";
    /// 0x8D: silent for one and a half times the keep-alive.
    KEEP_ALIVE_TIMEOUT = 0x8D, "keep alive timeout";
    /// 0x8E: another connection took the session over.
    SESSION_TAKEN_OVER = 0x8E, "session taken over";
    /// 0x8F: the filter is well-formed, but not accepted.
    TOPIC_FILTER_INVALID = 0x8F, "topic filter invalid";
    /// 0x90: the topic is well-formed, but not accepted.
    TOPIC_NAME_INVALID = 0x90, "topic name invalid";
    /// 0x91: the packet identifier is in use.
    PACKET_IDENTIFIER_IN_USE = 0x91, "packet identifier in use";
    /// 0x92: the packet identifier is not known.
    PACKET_IDENTIFIER_NOT_FOUND = 0x92, "packet identifier not found";
    /// 0x93: more unacknowledged publishes than the receive maximum.
    RECEIVE_MAXIMUM_EXCEEDED = 0x93, "receive maximum exceeded";
    /// 0x94: the topic alias is 0, too high or unknown.
    TOPIC_ALIAS_INVALID = 0x94, "topic alias invalid";
    /// 0x95: larger than the maximum packet size.
    PACKET_TOO_LARGE = 0x95, "packet too large";
    /// 0x96: too fast.
    MESSAGE_RATE_TOO_HIGH = 0x96, "message rate too high";
    /// 0x97: a limit of the server is reached.
    QUOTA_EXCEEDED = 0x97, "quota exceeded";
    /// 0x98: closed by an administrator.
    ADMINISTRATIVE_ACTION = 0x98, "administrative action";
    /// 0x99: the payload is not what its format or content type says.
    PAYLOAD_FORMAT_INVALID = 0x99, "payload format invalid";
    /// 0x9A: retain is not supported.
    RETAIN_NOT_SUPPORTED = 0x9A, "retain not supported";
    /// 0x9B: the QoS is not supported.
    QOS_NOT_SUPPORTED = 0x9B, "QoS not supported";
    /// 0x9C: use another server for now.
    USE_ANOTHER_SERVER = 0x9C, "use another server";
    /// 0x9D: use another server from now on.
    SERVER_MOVED = 0x9D, "server moved";
    /// 0x9E: shared subscriptions are not supported.
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E, "shared subscriptions not supported";
    /// 0x9F: too many connections in a short time.
    CONNECTION_RATE_EXCEEDED = 0x9F, "connection rate exceeded";
    /// 0xA0: connected for longer than allowed.
    MAXIMUM_CONNECT_TIME = 0xA0, "maximum connect time";
    /// 0xA1: subscription identifiers are not supported.
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1, "subscription identifiers not supported";
    /// 0xA2: wildcard subscriptions are not supported.
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2, "wildcard subscriptions not supported";
}

impl ReasonCode {
    /// Whether the code says that something failed (0x80 and above).
    pub const fn is_failure(self) -> bool {
        self.0 >= 0x80
    }

    /// The CONNACK return code of 3.1 and 3.1.1 for this reason (3.1.1, table 3.1):
    /// 0 accepted, 1 version, 2 identifier, 3 unavailable, 4 credentials, 5 not authorised.
    pub const fn connect_return_code(self) -> u8 {
        match self {
            r if !r.is_failure() => 0,
            Self::UNSUPPORTED_PROTOCOL_VERSION => 1,
            Self::CLIENT_IDENTIFIER_NOT_VALID => 2,
            Self::BAD_USER_NAME_OR_PASSWORD => 4,
            Self::NOT_AUTHORIZED | Self::TOPIC_NAME_INVALID | Self::BANNED => 5,
            _ => 3,
        }
    }
}

impl std::fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{:02X} {}", self.0, self.text())
    }
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}
