//! Whom the scripts are run against, and how their bytes arrive there.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::harness::Server;
use crate::wire::secure::{Tls, websocket_client};
use crate::wire::{Client, Version};

/// A transport.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Tcp,
    Tls,
    WebSocket,
}

/// How the client's bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Each packet in one piece.
    Whole,
    /// Each byte by itself: a segment, a TLS record, a WebSocket message.
    Bytes,
    /// All packets in one piece.
    Glued,
}

impl Arrival {
    pub(super) fn send(self, client: &mut Client, packet: &[u8]) {
        match self {
            Self::Bytes => packet.chunks(1).for_each(|byte| client.send(byte)),
            Self::Whole | Self::Glued => client.send(packet),
        }
    }
}

/// A server.
pub(super) enum Peer<'s> {
    Landfall(&'s Server, &'s Tls),
    Mosquitto(SocketAddr),
}

impl<'s> Peer<'s> {
    pub(super) fn landfall(server: &'s Server, tls: &'s Tls) -> Self {
        Self::Landfall(server, tls)
    }

    pub(super) fn mosquitto(port: u16) -> Self {
        Self::Mosquitto((Ipv4Addr::LOCALHOST, port).into())
    }

    pub(super) fn open(&self, way: Way, version: Version) -> Client {
        match self {
            Self::Mosquitto(address) => {
                let client = Client::open(*address, version);
                // It may leave unanswered what we expect an answer to.
                let patience = Some(Duration::from_millis(500));
                client
                    .stream()
                    .set_read_timeout(patience)
                    .expect("an open socket");
                client
            }
            Self::Landfall(server, tls) => match way {
                Way::Tcp => Client::open(server.mqtt(), version),
                Way::Tls => tls.open(server.address("tls"), version),
                Way::WebSocket => websocket_client(server.address("ws"), version),
            },
        }
    }
}
