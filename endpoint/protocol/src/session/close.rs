//! The end of a session: why it ended, what the peer is told, and whether the will is due.

use super::{Event, Session, State, Timer};
use crate::packet::{Disconnect, Packet, ReasonProperties, Version};
use crate::{PeerError, ProtocolError, ReasonCode};

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The client said DISCONNECT, with this reason.
    Client(ReasonCode),
    /// The client broke the protocol.
    Peer(PeerError),
    /// A timer ran out.
    Timeout(Timer),
    /// CONNECT was refused with this reason.
    Refused(ReasonCode),
    /// A publish was refused, and 3.x has no other way to say so.
    PublishRefused(ReasonCode),
    /// The server closes for this reason.
    Server(ReasonCode),
    /// The network connection is gone.
    Lost,
}

impl Close {
    /// The reason for the DISCONNECT that tells the client (MQTT 5).
    pub fn reason(self) -> ReasonCode {
        match self {
            Self::Client(_) | Self::Lost => ReasonCode::SUCCESS,
            Self::Peer(error) => error.reason(),
            Self::Timeout(Timer::KeepAlive) => ReasonCode::KEEP_ALIVE_TIMEOUT,
            Self::Timeout(Timer::Stall) => ReasonCode::QUOTA_EXCEEDED,
            Self::Timeout(Timer::Connect) => ReasonCode::UNSPECIFIED_ERROR,
            Self::Refused(reason) | Self::PublishRefused(reason) | Self::Server(reason) => reason,
        }
    }
}

impl std::fmt::Display for Close {
    /// For the log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(reason) => write!(f, "disconnected by the client: {reason}"),
            Self::Peer(error) => error.fmt(f),
            Self::Timeout(Timer::Connect) => f.write_str("no CONNECT in time"),
            Self::Timeout(Timer::KeepAlive) => f.write_str("silent past the keep-alive"),
            Self::Timeout(Timer::Stall) => f.write_str("publishes were not taken in time"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::PublishRefused(reason) => write!(f, "a publish was refused: {reason}"),
            Self::Server(reason) => write!(f, "closed by the server: {reason}"),
            Self::Lost => f.write_str("connection lost"),
        }
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub close: Close,
    /// Whether the will is to be published `[MQTT-3.1.2-8]`; true only for a session that was let in.
    pub will_due: bool,
}

impl Session {
    /// How the session ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        match self.state {
            State::Closed(closed) => Some(closed),
            _ => None,
        }
    }

    /// Ends the session by the server's will: take-over, revocation, stop.
    pub fn close(&mut self, reason: ReasonCode) {
        self.end(Close::Server(reason));
    }

    /// Ends the session and tells an MQTT 5 client where to connect instead (MQTT 5, 4.11).
    pub fn redirect(&mut self, server_reference: &str) {
        let close = Close::Server(ReasonCode::USE_ANOTHER_SERVER);
        self.end_with(close, Some(server_reference));
    }

    /// The network connection is gone: nothing more can be written.
    pub fn connection_lost(&mut self) {
        self.end(Close::Lost);
        self.out.clear();
    }

    pub(super) fn handle_disconnect(&mut self, disconnect: &Disconnect<'_>) -> Event<'static> {
        // [MQTT-3.14.2-2]: a session expiry of 0 cannot be raised later.
        if disconnect.session_expiry_interval.unwrap_or(0) > 0 && !self.expiry_asked {
            return self.fail(ProtocolError::SessionExpiryRaised.into());
        }
        // [MQTT-3.14.4-3]: after DISCONNECT 0x00 the will is forgotten.
        let will_due = disconnect.reason != ReasonCode::SUCCESS;
        self.finish(Close::Client(disconnect.reason), will_due);
        Event::Closed
    }

    /// Ends the session once; a connected MQTT 5 client is told why `[MQTT-3.14.0-1]`.
    pub(super) fn end(&mut self, close: Close) {
        self.end_with(close, None);
    }

    fn end_with(&mut self, close: Close, server_reference: Option<&str>) {
        let connected = match self.state {
            State::Closed(_) => return,
            state => state == State::Connected,
        };
        if connected && self.version == Version::V5 {
            let mut disconnect = Disconnect {
                reason: close.reason(),
                server_reference,
                ..Disconnect::default()
            };
            let text = close.reason_string();
            disconnect.properties = ReasonProperties {
                reason_string: text,
                ..Default::default()
            };
            // [MQTT-3.14.2-3]: no reason string that makes the packet too large for the client.
            if !self.fits(&Packet::Disconnect(disconnect.clone())) {
                disconnect.properties.reason_string = None;
            }
            // The same; without it, 0x9C says no more than that.
            if !self.fits(&Packet::Disconnect(disconnect.clone())) {
                disconnect.server_reference = None;
            }
            self.write(&Packet::Disconnect(disconnect));
        }
        self.finish(close, connected);
    }

    pub(super) fn finish(&mut self, close: Close, will_due: bool) {
        self.state = State::Closed(Closed { close, will_due });
    }
}

impl Close {
    /// What the client is told beside the code: only what helps its owner mend the client.
    fn reason_string(self) -> Option<&'static str> {
        match self {
            Self::Timeout(Timer::Stall) => Some("publishes are not being taken at the moment"),
            Self::Peer(PeerError::TooLarge { .. }) => Some("larger than the maximum packet size"),
            _ => None,
        }
    }
}
