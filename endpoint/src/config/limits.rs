//! `[limits]`: what one connection, and all of them together, may take.

use std::{
    num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize},
    time::Duration,
};

use landfall_protocol::Limits;
use serde::{Deserialize, Deserializer, de::Error};

use super::value;
use crate::connection::Rates;

/// Bounds of memory and time. They hold for every listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Connections at once, of all listeners together, those not yet logged in included. One more
    /// is told "server busy" and closed. Default 100,000. The process also needs that many file
    /// descriptors; it raises its soft limit to the hard one at start.
    pub connections: NonZeroUsize,
    /// Connections of one device at once; one more closes the oldest. Default 4, so that a
    /// publishing and a subscribing client may use the same device; 1 is one device, one
    /// connection. Each of several instances counts its own.
    pub connections_per_device: NonZeroUsize,
    /// Largest packet taken from a client, its fixed header included. Default 64KiB, from 128B to
    /// 268,435,460 bytes (what MQTT can say). Refused from the fixed header on, before the rest is
    /// read. It is also the largest payload of a command that the API takes. Danger: each
    /// connection may hold one packet of this size in memory.
    #[serde(deserialize_with = "packet_size")]
    pub maximum_packet_size: NonZeroU32,
    /// QoS 1 and 2 publishes of one connection that may wait for their acknowledgement. Default
    /// 100. MQTT 5 clients are told (Receive Maximum), and a breach closes; 3.x clients are no
    /// longer read from while that many wait.
    pub receive_maximum: NonZeroU16,
    /// PUBLISH packets a second of one connection, of any QoS, on average; as many may come at once.
    /// Beyond them the client is read no further until the next may come. Default: any number.
    /// Danger: a gateway publishes for many devices over one connection.
    pub publish_rate: Option<NonZeroU32>,
    /// The same for the bytes of these packets. Default: any number; else at least 1KiB.
    #[serde(deserialize_with = "publish_byte_rate")]
    pub publish_byte_rate: Option<NonZeroU64>,
    /// Topic aliases that an MQTT 5 client may set. Default 16; 0 turns them off. Danger: each may
    /// keep a topic of 64KiB in memory, per connection.
    pub topic_alias_maximum: u16,
    /// Subscriptions of one connection. Default 100.
    pub subscriptions: NonZeroUsize,
    /// QoS 1 commands that may wait for one connection's acknowledgement at once, even if the
    /// client offers to take more. Default 32.
    pub send_maximum: NonZeroU16,
    /// Commands for one device that may wait to be written to one connection; for all the devices of
    /// a gateway together, eight times as many. Default 32. A command beyond it is refused, and its
    /// sender is told.
    pub command_queue: NonZeroUsize,
    /// Commands that may be held for one device that is not there, at their sender's wish. Default
    /// 100; 0 holds none. One beyond it is refused, and its sender is told.
    pub held_commands: usize,
    /// Bytes of all held commands together. Default 256MiB, at least 1MiB.
    #[serde(deserialize_with = "held_command_bytes")]
    pub held_command_bytes: u64,
    /// Connections of one application at once; one more is told that the quota is exceeded. Default:
    /// only `connections` counts.
    pub connections_per_application: Option<NonZeroUsize>,
    /// From the start of a connection to the end of its PROXY header, TLS handshake and HTTP
    /// upgrade, where the listener has them. Default 10s, from 1s to 5m. Small devices on slow links
    /// need more.
    #[serde(deserialize_with = "connect_timeout")]
    pub handshake_timeout: Duration,
    /// From there to the complete CONNECT. Default 10s, from 1s to 5m.
    #[serde(deserialize_with = "connect_timeout")]
    pub connect_timeout: Duration,
    /// Failed log-ins of one address (of IPv6: of its /64 network) that are free within 10 minutes;
    /// beyond them it waits, 1s first and twice as long after each further failure. Default 100; 0
    /// allows any number. Devices that were let in from there within a day are spared. Danger:
    /// behind a load balancer that hides the devices' addresses they all share one: set it to 0.
    pub log_in_failures_per_address: u32,
    /// The same for the log-ins of one device, from wherever. Default 10; 0 allows any number.
    /// Danger: without it, a short password can be guessed.
    pub log_in_failures_per_device: u32,
    /// The longest such wait. Default 1m, from 1s to 1h. Danger: for as long, somebody who fails on
    /// purpose keeps a device out that was not let in from its address before.
    #[serde(deserialize_with = "longest_wait")]
    pub log_in_longest_wait: Duration,
    /// How long publishes may wait for their sinks without any progress before the connection is
    /// closed, so that the client learns of it. Default 30s, from 1s to 1h.
    #[serde(deserialize_with = "stall_timeout")]
    pub stall_timeout: Duration,
    /// Longest keep-alive, which also holds for clients that ask for none. MQTT 5 clients are told;
    /// 3.x clients are held to what they asked for. Default: no limit; else whole seconds from 1s
    /// to 65535s. Danger: without a limit, a client that asks for no keep-alive and vanishes
    /// without a word holds its connection until the network reports it gone.
    #[serde(deserialize_with = "keep_alive")]
    pub maximum_keep_alive: Option<NonZeroU16>,
    /// What a 3.x client is told of a QoS 1 or 2 publish that is refused: MQTT 3.x has no negative
    /// acknowledgement. `false`, the default, closes the connection. Danger: `true` acknowledges
    /// and drops, so that the client believes the event was taken.
    pub acknowledge_refused: bool,
    /// How long a stopping server waits for what was handed to the sinks to be taken and
    /// acknowledged, before it closes what is left. Default 10s, from 0s to 10m.
    #[serde(deserialize_with = "drain_timeout")]
    pub drain_timeout: Duration,
    /// Over how long a stopping server spreads its goodbyes, so that not all devices connect
    /// elsewhere at once. `drain_timeout` begins after it. Default 0s, up to 10m.
    #[serde(deserialize_with = "drain_timeout")]
    pub drain_spread: Duration,
    /// Where MQTT 5 devices are told to go when the server stops: host names or addresses, with
    /// ports, parted by spaces (MQTT 5, 4.11). They get DISCONNECT 0x9C instead of 0x8B. Default:
    /// none. 1 to 255 bytes.
    #[serde(deserialize_with = "server_reference")]
    pub server_reference: Option<String>,
}

impl LimitsConfig {
    /// The limits of one session.
    pub fn session(&self) -> Limits {
        Limits {
            maximum_packet_size: self.maximum_packet_size,
            receive_maximum: self.receive_maximum,
            topic_alias_maximum: self.topic_alias_maximum,
            send_maximum: self.send_maximum,
            connect_timeout: milliseconds(self.connect_timeout),
            stall_timeout: milliseconds(self.stall_timeout),
            maximum_keep_alive: self.maximum_keep_alive.map_or(0, NonZeroU16::get),
            acknowledge_refused: self.acknowledge_refused,
        }
    }

    /// What one connection may publish in a second.
    pub const fn rates(&self) -> Rates {
        Rates {
            publishes: self.publish_rate,
            bytes: self.publish_byte_rate,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let session = Limits::default();
        Self {
            connections: non_zero(100_000),
            connections_per_device: non_zero(4),
            connections_per_application: None,
            handshake_timeout: Duration::from_secs(10),
            maximum_packet_size: session.maximum_packet_size,
            receive_maximum: session.receive_maximum,
            publish_rate: None,
            publish_byte_rate: None,
            topic_alias_maximum: session.topic_alias_maximum,
            subscriptions: non_zero(100),
            send_maximum: session.send_maximum,
            command_queue: non_zero(32),
            held_commands: 100,
            held_command_bytes: 256 << 20,
            connect_timeout: Duration::from_millis(session.connect_timeout),
            log_in_failures_per_address: 100,
            log_in_failures_per_device: 10,
            log_in_longest_wait: Duration::from_secs(60),
            stall_timeout: Duration::from_millis(session.stall_timeout),
            maximum_keep_alive: NonZeroU16::new(session.maximum_keep_alive),
            acknowledge_refused: session.acknowledge_refused,
            drain_timeout: Duration::from_secs(10),
            drain_spread: Duration::ZERO,
            server_reference: None,
        }
    }
}

const fn non_zero(n: usize) -> NonZeroUsize {
    match NonZeroUsize::new(n) {
        Some(n) => n,
        None => NonZeroUsize::MIN,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Room for a CONNECT with a client id, a user name and a password of usual length.
const LEAST_PACKET: u64 = 128;
/// The largest remaining length (MQTT 5, 1.5.5) and a fixed header of five bytes.
const MOST_PACKET: u64 = 268_435_455 + 5;

fn packet_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroU32, D::Error> {
    let size = value::size_within(deserializer, LEAST_PACKET, MOST_PACKET)?;
    u32::try_from(size)
        .ok()
        .and_then(NonZeroU32::new)
        .ok_or_else(|| D::Error::custom("not a packet size"))
}

fn publish_byte_rate<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NonZeroU64>, D::Error> {
    let rate = value::size_within(deserializer, 1 << 10, i64::MAX.unsigned_abs())?;
    Ok(NonZeroU64::new(rate))
}

fn held_command_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    value::size_within(deserializer, 1 << 20, i64::MAX.unsigned_abs())
}

fn connect_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    value::duration_within(deserializer, seconds(1), seconds(300))
}

fn longest_wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    value::duration_within(deserializer, seconds(1), seconds(3_600))
}

fn stall_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    value::duration_within(deserializer, seconds(1), seconds(3_600))
}

fn drain_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    value::duration_within(deserializer, seconds(0), seconds(600))
}

fn server_reference<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        return Err(D::Error::custom(
            "a server reference is 1 to 255 bytes without control characters, as \"other.example:8883\"",
        ));
    }
    Ok(Some(text))
}

fn keep_alive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NonZeroU16>, D::Error> {
    let most = u64::from(u16::MAX);
    let duration = value::duration_within(deserializer, seconds(1), seconds(most))?;
    if duration.subsec_millis() != 0 {
        return Err(D::Error::custom(
            "a keep-alive is a whole number of seconds",
        ));
    }
    Ok(u16::try_from(duration.as_secs())
        .ok()
        .and_then(NonZeroU16::new))
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
