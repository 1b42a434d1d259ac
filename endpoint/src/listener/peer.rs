//! Who is at the other end of a socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end of a connection, as far as the network, or a trusted balancer, tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A process on this machine, through a Unix socket.
    Local,
}

impl Peer {
    /// Its address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Local => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    /// IPv4 addresses that come mapped into IPv6, as to a socket bound to `[::]`, are shown and
    /// counted as IPv4.
    fn from(address: SocketAddr) -> Self {
        Self::Ip((address.ip().to_canonical(), address.port()).into())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Local => f.write_str("unix"),
        }
    }
}
