//! A session with a caller that answers as it is told, and a clock that stands still until moved.

use std::fmt::Write as _;

use landfall_protocol::packet::{Packet, PublishProperties};
use landfall_protocol::session::{Accept, Delivery, Event, Session};
use landfall_protocol::{Limits, QoS, ReasonCode};

/// Both sides of a connection but for the client's bytes, which the test writes.
pub(crate) struct Peer {
    pub(crate) session: Session,
    pub(crate) limits: Limits,
    pub(crate) now: u64,
    /// What the client has sent and the session has not taken.
    unread: Vec<u8>,
    /// One line for each event that the caller has seen.
    pub(crate) events: Vec<String>,
}

impl Peer {
    pub(crate) fn new(limits: Limits) -> Self {
        let now = 1_000_000;
        Self {
            session: Session::new(now),
            limits,
            now,
            unread: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The client sends bytes; the session takes what it wants.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        self.read();
    }

    pub(crate) fn read(&mut self) {
        while let Some((used, event)) =
            self.session
                .handle_input(&self.limits, self.now, &self.unread)
        {
            if let Some(line) = describe(&event) {
                self.events.push(line);
            }
            self.unread.drain(..used);
        }
    }

    /// Bytes the session wants to send.
    pub(crate) fn received(&mut self) -> Vec<u8> {
        std::mem::take(self.session.output())
    }

    pub(crate) fn accept(&mut self, assigned: Option<&str>) {
        let accept = Accept {
            assigned_client_identifier: assigned,
        };
        self.session.accept(&self.limits, self.now, accept);
        self.read();
    }

    pub(crate) fn accepted(&mut self, up_to: u64) {
        self.session.accepted(self.now, &self.limits, up_to);
        self.read();
    }

    pub(crate) fn deliver(&mut self, topic: &str, payload: &[u8], qos: QoS, token: u64) -> String {
        let properties = PublishProperties::default();
        let delivery = Delivery {
            topic,
            qos,
            payload,
            properties,
        };
        format!("{:?}", self.session.deliver(delivery, token))
    }

    /// Time passes, timer by timer.
    pub(crate) fn wait(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while let Some(at) = self
            .session
            .poll_timeout(&self.limits)
            .filter(|at| *at <= end)
        {
            self.now = self.now.max(at);
            self.session.handle_timeout(&self.limits, self.now);
        }
        self.now = end;
    }

    /// How the session ended, in a line.
    pub(crate) fn ending(&self) -> String {
        match self.session.closed() {
            None => "no".to_owned(),
            Some(closed) if closed.will_due => format!("{}; will", closed.close),
            Some(closed) => closed.close.to_string(),
        }
    }
}

fn describe(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Handled | Event::Closed => return None,
        Event::Connect(connect) => format!("CONNECT {}", connect.client_id),
        Event::Publish(sequence, publish) => {
            let mut line = format!("PUBLISH {sequence} {} ", publish.topic);
            write!(line, "{}", publish.payload.escape_ascii()).unwrap();
            line
        }
        Event::Subscribe(subscribe) => {
            let filters: Vec<_> = subscribe.filters.iter().map(|s| s.filter).collect();
            format!("SUBSCRIBE {} {}", subscribe.packet_id, filters.join(" "))
        }
        Event::Unsubscribe(unsubscribe) => {
            let filters: Vec<_> = unsubscribe.filters.iter().map(|s| s.filter).collect();
            format!(
                "UNSUBSCRIBE {} {}",
                unsubscribe.packet_id,
                filters.join(" ")
            )
        }
        Event::Acknowledged(token, ReasonCode::SUCCESS) => format!("ACKNOWLEDGED {token}"),
        Event::Acknowledged(token, reason) => format!("ACKNOWLEDGED {token} {:02X}", reason.0),
    })
}

/// The packets in a run of bytes of the server.
pub(crate) fn packets(bytes: &[u8], version: landfall_protocol::Version) -> Vec<String> {
    let mut rest = bytes;
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let raw = landfall_protocol::codec::split(rest, u32::MAX)
            .unwrap()
            .expect("whole packets");
        let packet: Packet<'_> =
            landfall_protocol::codec::decode_from_server(&raw, version).unwrap();
        packets.push(format!("{packet:?}"));
        rest = &rest[raw.size..];
    }
    packets
}
