//! Who is at the other end of a socket, and what is between.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end of a connection, as far as the network, or a trusted balancer, tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An IP address and port; neither flow nor scope of IPv6, which every connection would have to
    /// keep.
    Ip(IpAddr, u16),
    /// A process on this machine, through a Unix socket.
    Local,
}

impl Peer {
    /// Its address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address, _) => Some(*address),
            Self::Local => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    /// IPv4 addresses that come mapped into IPv6, as to a socket bound to `[::]`, are shown and
    /// counted as IPv4.
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address.ip().to_canonical(), address.port())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address, port) => SocketAddr::new(*address, *port).fmt(f),
            Self::Local => f.write_str("unix"),
        }
    }
}

/// What MQTT comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
    /// WebSocket.
    WebSocket,
    /// WebSocket in TLS.
    SecureWebSocket,
    /// A Unix socket.
    Unix,
    /// Nothing: a session of a process that died, known from its record.
    Record,
}

impl Carrier {
    /// Whether MQTT's bytes are the socket's: no other protocol is between.
    pub const fn is_bare(self) -> bool {
        matches!(self, Self::Tcp | Self::Unix)
    }

    /// For the log, metrics and the list of connections.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::WebSocket => "ws",
            Self::SecureWebSocket => "wss",
            Self::Unix => "unix",
            Self::Record => "record",
        }
    }
}
