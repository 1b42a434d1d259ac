//! The server's side of one MQTT connection, as a state machine without I/O and without a clock.
//!
//! The caller owns the socket and the clock, and calls in this order:
//!
//! 1. [`Session::handle_input`] with the bytes at hand, again and again while
//!    [`Session::wants_input`]; each call takes at most one packet and returns an [`Event`] that
//!    the caller answers: [`Event::Connect`] with [`Session::accept`] or [`Session::refuse`],
//!    [`Event::Publish`] with [`Session::accepted`] or [`Session::refuse_publish`],
//!    [`Event::Subscribe`] with [`Session::suback`].
//! 2. [`Session::handle_timeout`] when the time of [`Session::poll_timeout`] has come.
//! 3. [`Session::output`]: bytes to be written, at any time; flushed before closing.
//! 4. [`Session::closed`]: `Some` once nothing more will happen.
//!
//! Time is an argument: milliseconds since an origin of the caller's choice.

mod close;
mod connect;
mod deliver;
mod event;
mod publish;
mod subscribe;
mod timer;

use std::collections::VecDeque;

use crate::codec::{self, RawPacket};
use crate::limits::Limits;
use crate::packet::{Packet, Version};
use crate::{PeerError, ProtocolError};

pub use close::{Close, Closed};
pub use connect::{Accept, MAX_ASSIGNED_CLIENT_IDENTIFIER};
pub use deliver::{DeliverError, Delivery};
pub use event::Event;
pub use timer::{Time, Timer};

/// Counts the publishes of a connection, from 1, whatever their QoS.
pub type Sequence = u64;

/// One connection, from its first byte to its end.
#[derive(Debug)]
pub struct Session {
    state: State,
    version: Version,
    /// Bytes for the peer.
    out: Vec<u8>,
    inbound: publish::Inbound,
    outbound: deliver::Outbound,
    clock: timer::Clock,
    /// CONNECT asked for a session expiry above 0, so DISCONNECT may name one too.
    expiry_asked: bool,
    /// The client takes reason strings in acknowledgements, too `[MQTT-3.1.2-29]`.
    wants_problem_information: bool,
    /// The keep-alive to use instead of the one the client asked for.
    server_keep_alive: Option<u16>,
    /// Largest packet the client takes.
    client_maximum_packet_size: u32,
    /// Packets in `out` since the caller last asked.
    written: u32,
}

/// Where in its life a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but CONNECT may come.
    Unconnected,
    /// CONNECT is with the caller; input waits.
    Deciding,
    /// CONNACK with success has been written.
    Connected,
    /// Over.
    Closed(Closed),
}

impl Session {
    /// A connection that was accepted at `now`.
    pub fn new(now: Time) -> Self {
        Self {
            state: State::Unconnected,
            version: Version::V311,
            out: Vec::new(),
            inbound: publish::Inbound::default(),
            outbound: deliver::Outbound::default(),
            clock: timer::Clock::new(now),
            expiry_asked: false,
            wants_problem_information: true,
            server_keep_alive: None,
            client_maximum_packet_size: u32::MAX,
            written: 0,
        }
    }

    /// The version of the client's CONNECT; 3.1.1 before there was one.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether CONNACK with success has been written and the session is not over.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// Whether the next packet may be handed in now.
    ///
    /// False while CONNECT is being decided, after the end, and in 3.x while the in-flight window
    /// is full: there the only way to slow a client down is not to read.
    pub fn wants_input(&self, limits: &Limits) -> bool {
        match self.state {
            State::Unconnected => true,
            State::Connected => self.version == Version::V5 || !self.inbound.is_full(limits),
            State::Deciding | State::Closed(_) => false,
        }
    }

    /// Takes the packet at the front of `input`: how many bytes it was, and what it means.
    ///
    /// `None`: the packet is not complete yet, or [`wants_input`](Self::wants_input) is false.
    /// Whatever is wrong with the packet ends the session: [`Event::Closed`].
    pub fn handle_input<'a>(
        &'a mut self,
        limits: &Limits,
        now: Time,
        input: &'a [u8],
    ) -> Option<(usize, Event<'a>)> {
        if !self.wants_input(limits) {
            return None;
        }
        let raw = match codec::split(input, limits.maximum_packet_size.get()) {
            Ok(Some(raw)) => raw,
            Ok(None) => return None,
            Err(error) => return Some((input.len(), self.fail(error))),
        };
        // [MQTT-3.1.2-22] (3.1.1: -24): any control packet of the client restarts the clock.
        self.clock.packet_arrived(now);
        let event = if self.state == State::Unconnected {
            self.handle_first(limits, &raw)
        } else {
            self.handle_packet(limits, now, &raw)
        };
        Some((raw.size, event))
    }

    fn handle_packet<'a>(
        &'a mut self,
        limits: &Limits,
        now: Time,
        raw: &RawPacket<'a>,
    ) -> Event<'a> {
        let packet = match codec::decode_from_client(raw, self.version) {
            Ok(packet) => packet,
            Err(error) => return self.fail(error),
        };
        match packet {
            Packet::Publish(publish) => self.handle_publish(limits, now, publish),
            Packet::PubAck(ack) => self.handle_puback(&ack),
            Packet::PubRel(ack) => self.handle_pubrel(ack.packet_id),
            Packet::Subscribe(subscribe) => self.handle_subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => Event::Unsubscribe(unsubscribe),
            Packet::PingReq => self.answer_ping(),
            Packet::Disconnect(disconnect) => self.handle_disconnect(&disconnect),
            // [MQTT-3.1.0-2]: a second CONNECT is a violation.
            Packet::Connect(_) => self.fail(ProtocolError::SecondConnect.into()),
            // No delivery of ours is at QoS 2.
            Packet::PubRec(_) | Packet::PubComp(_) => {
                self.fail(ProtocolError::UnknownPacketId.into())
            }
            // [MQTT-4.12.0-1]: no authentication method was agreed.
            Packet::Auth(_) => self.fail(ProtocolError::UnexpectedAuth.into()),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                self.fail(ProtocolError::WrongDirection.into())
            }
        }
    }

    /// [MQTT-3.12.4-1]: PINGREQ is answered with PINGRESP.
    fn answer_ping(&mut self) -> Event<'static> {
        self.write(&Packet::PingResp);
        Event::Handled
    }

    /// Bytes for the peer. The caller removes from the front what it has written.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// How many packets have been put into [`output`](Self::output) since this was last asked.
    pub fn take_written(&mut self) -> u32 {
        std::mem::take(&mut self.written)
    }

    /// Encodes a packet of ours. Only texts of this crate and of the caller go in, all of them
    /// bounded; what still cannot be encoded is left out.
    fn write(&mut self, packet: &Packet<'_>) {
        match codec::encode(packet, self.version, &mut self.out) {
            Ok(_) => self.written = self.written.wrapping_add(1),
            Err(_) => debug_assert!(false, "a packet of the server's own cannot be encoded"),
        }
    }

    fn fail(&mut self, error: PeerError) -> Event<'static> {
        self.end(Close::Peer(error));
        Event::Closed
    }
}

/// The in-flight queue keeps its memory only while it is in use.
fn release<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() {
        *queue = VecDeque::new();
    }
}
