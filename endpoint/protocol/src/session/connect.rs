//! The connect gate: what must hold before a client is let in, and CONNACK.

use std::num::NonZeroU16;

use super::{Close, Event, Session, State, Time};
use crate::codec::{self, RawPacket};
use crate::limits::Limits;
use crate::packet::{ConnAck, ConnAckProperties, Connect, Packet, Version};
use crate::{PeerError, ReasonCode};

/// What the caller adds to a successful CONNACK.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accept<'a> {
    /// The client id made up for a client that gave none, of at most
    /// [`MAX_ASSIGNED_CLIENT_IDENTIFIER`] bytes.
    pub assigned_client_identifier: Option<&'a str>,
}

/// Longest client id that [`Accept::assigned_client_identifier`] may hold.
pub const MAX_ASSIGNED_CLIENT_IDENTIFIER: usize = 64;

/// As long as any assigned client id.
const ANY_ASSIGNED: &str = "0123456789012345678901234567890123456789012345678901234567890123";
const _: () = assert!(ANY_ASSIGNED.len() == MAX_ASSIGNED_CLIENT_IDENTIFIER);

/// Text of the CONNACK that refuses a persistent session.
const CLEAN_ONLY: &str = "sessions are not kept: set clean session or clean start";

impl Session {
    /// The first packet: CONNECT or nothing.
    pub(super) fn handle_first<'a>(
        &'a mut self,
        limits: &Limits,
        raw: &RawPacket<'a>,
    ) -> Event<'a> {
        let connect = match codec::decode_connect(raw) {
            Ok(connect) => connect,
            Err(error) => return self.fail_before_connect(error),
        };
        self.note_client(limits, &connect);
        if let Some((reason, text)) = gate(&connect) {
            self.refuse_with(reason, Some(text), Close::Refused(reason));
            return Event::Closed;
        }
        // [MQTT-3.1.2-24]: whoever has no room for CONNACK cannot be answered at all. CONNACK is longer
        // than any acknowledgement of a publish, so those have room too.
        let assigned = connect.client_id.is_empty().then_some(ANY_ASSIGNED);
        if !self.fits(&self.acceptance(limits, assigned)) {
            let reason = ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR;
            self.refuse_with(reason, None, Close::Refused(reason));
            return Event::Closed;
        }
        self.state = State::Deciding;
        Event::Connect(connect)
    }

    /// An unknown version gets an answer that its speaker may understand; other bad bytes get none.
    fn fail_before_connect(&mut self, error: PeerError) -> Event<'static> {
        if let PeerError::UnsupportedVersion { level } = error {
            // [MQTT-3.1.2-2]: CONNACK, then close. From level 5 on, acknowledgements have properties.
            self.version = if level > 5 {
                Version::V5
            } else {
                Version::V311
            };
            self.refuse_with(
                ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
                None,
                Close::Peer(error),
            );
            return Event::Closed;
        }
        self.fail(error)
    }

    fn note_client(&mut self, limits: &Limits, connect: &Connect<'_>) {
        let properties = &connect.properties;
        self.version = connect.version;
        self.expiry_asked = properties.session_expiry_interval.unwrap_or(0) > 0;
        self.wants_problem_information = properties.request_problem_information.unwrap_or(true);
        self.client_maximum_packet_size = properties
            .maximum_packet_size
            .map_or(u32::MAX, std::num::NonZeroU32::get);
        let receive_maximum = properties.receive_maximum.unwrap_or(NonZeroU16::MAX);
        self.outbound
            .set_window(receive_maximum.min(limits.send_maximum));
        let keep_alive = match (connect.version, limits.maximum_keep_alive) {
            // [MQTT-3.1.2-21]: only MQTT 5 can tell a client to use another keep-alive.
            (Version::V5, maximum) if maximum > 0 => match connect.keep_alive {
                0 => maximum,
                asked => asked.min(maximum),
            },
            _ => connect.keep_alive,
        };
        self.clock.set_keep_alive(keep_alive);
        self.server_keep_alive = (keep_alive != connect.keep_alive).then_some(keep_alive);
    }

    /// Lets the client in: writes CONNACK and turns input on.
    pub fn accept(&mut self, limits: &Limits, now: Time, accept: Accept<'_>) {
        if self.state != State::Deciding {
            return;
        }
        self.state = State::Connected;
        self.clock.packet_arrived(now);
        self.write(&self.acceptance(limits, accept.assigned_client_identifier));
    }

    /// CONNACK with success.
    fn acceptance<'a>(&self, limits: &Limits, assigned: Option<&'a str>) -> Packet<'a> {
        Packet::ConnAck(ConnAck {
            // [MQTT-3.2.2-2]: a clean session has nothing present.
            session_present: false,
            reason: ReasonCode::SUCCESS,
            properties: ConnAckProperties {
                session_expiry_interval: self.expiry_asked.then_some(0),
                receive_maximum: Some(limits.receive_maximum),
                retain_available: Some(false),
                maximum_packet_size: Some(limits.maximum_packet_size),
                assigned_client_identifier: assigned,
                topic_alias_maximum: Some(limits.topic_alias_maximum),
                shared_subscription_available: Some(false),
                server_keep_alive: self.server_keep_alive,
                ..ConnAckProperties::default()
            },
        })
    }

    /// Keeps the client out: writes CONNACK with the reason, and ends.
    ///
    /// `text` reaches the client (MQTT 5 only): nothing internal in it.
    pub fn refuse(&mut self, reason: ReasonCode, text: Option<&str>) {
        if self.state == State::Deciding {
            self.refuse_with(reason, text, Close::Refused(reason));
        }
    }

    fn refuse_with(&mut self, reason: ReasonCode, text: Option<&str>, close: Close) {
        let mut ack = ConnAck {
            session_present: false,
            reason,
            properties: ConnAckProperties {
                reason_string: text,
                ..ConnAckProperties::default()
            },
        };
        // [MQTT-3.2.2-19]: no reason string that makes the packet too large for the client.
        if !self.fits(&Packet::ConnAck(ack.clone())) {
            ack.properties.reason_string = None;
        }
        // [MQTT-3.1.2-24]
        let ack = Packet::ConnAck(ack);
        if self.fits(&ack) {
            self.write(&ack);
        }
        self.finish(close, false);
    }
}

/// Why this CONNECT cannot be served by anyone, whoever the client is.
fn gate(connect: &Connect<'_>) -> Option<(ReasonCode, &'static str)> {
    // [MQTT-4.12.0-1]: the server does not support any authentication method.
    if connect.properties.authentication_method.is_some() {
        return Some((
            ReasonCode::BAD_AUTHENTICATION_METHOD,
            "enhanced authentication is not supported",
        ));
    }
    // [MQTT-3.1.3-8] (3.1.1), and 3.1: a client id of 1 byte at least.
    if connect.client_id.is_empty()
        && (connect.version == Version::V31 || (connect.version == Version::V311 && !connect.clean))
    {
        return Some((
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            "the client id is empty",
        ));
    }
    if !connect.clean {
        // 3.x: 0x03; 5: 0x83.
        return Some((ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR, CLEAN_ONLY));
    }
    match &connect.will {
        // [MQTT-3.2.2-13]: retain is not available.
        Some(will) if will.retain && connect.version == Version::V5 => Some((
            ReasonCode::RETAIN_NOT_SUPPORTED,
            "a will cannot be retained",
        )),
        _ => None,
    }
}
