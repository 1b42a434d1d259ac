//! The limits a session enforces and announces.

use std::num::{NonZeroU16, NonZeroU32};

/// Limits of one listener's sessions. All of them hold for every version; MQTT 5 clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet taken from a client, in bytes, fixed header included.
    /// Enforced from the fixed header, before the body is buffered.
    pub maximum_packet_size: NonZeroU32,
    /// QoS 1 and 2 publishes of a client that may wait for their acknowledgement at once.
    /// MQTT 5: the receive maximum, a breach closes. 3.x: reading pauses.
    pub receive_maximum: NonZeroU16,
    /// Topic aliases a client may set; each may hold a topic in memory. 0: none.
    pub topic_alias_maximum: u16,
    /// QoS 1 deliveries that may wait for the client's acknowledgement at once, whatever higher
    /// receive maximum the client offers.
    pub send_maximum: NonZeroU16,
    /// Milliseconds from the start of the connection to its CONNECT.
    pub connect_timeout: u64,
    /// Milliseconds that a publish may wait for its acceptance without any progress.
    pub stall_timeout: u64,
    /// Longest keep-alive, in seconds; also used for clients that ask for none. MQTT 5 clients are
    /// told (`Server Keep Alive`), 3.x clients are held to what they asked for. 0: no limit.
    pub maximum_keep_alive: u16,
    /// 3.x has no negative acknowledgement: `true` acknowledges a refused QoS 1 or 2 publish and
    /// drops it, `false` closes the connection, so that the client notices.
    pub acknowledge_refused: bool,
}

impl Default for Limits {
    fn default() -> Self {
        const fn u16_of(n: u16) -> NonZeroU16 {
            match NonZeroU16::new(n) {
                Some(n) => n,
                None => NonZeroU16::MIN,
            }
        }
        Self {
            maximum_packet_size: NonZeroU32::MIN.saturating_add(64 * 1024 - 1),
            receive_maximum: u16_of(100),
            topic_alias_maximum: 16,
            send_maximum: u16_of(32),
            connect_timeout: 10_000,
            stall_timeout: 30_000,
            maximum_keep_alive: 0,
            acknowledge_refused: false,
        }
    }
}
