//! Messages to the client: packet ids, the client's receive maximum and maximum packet size.

use std::num::NonZeroU16;

use super::{Event, Session};
use crate::ProtocolError;
use crate::codec;
use crate::packet::{Ack, Packet, PacketId, Publish, PublishProperties, QoS};

/// A message for the client.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// QoS 0 or 1; 2 is sent as 1.
    pub qos: QoS,
    /// Payload.
    pub payload: &'a [u8],
    /// Properties; not written in 3.x.
    pub properties: PublishProperties<'a>,
}

/// Why a message was not written. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliverError {
    /// The session is not connected, or over.
    NotConnected,
    /// As many QoS 1 messages wait for the client as it takes: try again after an acknowledgement.
    WindowFull,
    /// Larger than the client's maximum packet size `[MQTT-3.1.2-24]`, or than MQTT can carry.
    TooLarge,
}

/// What the session keeps of its QoS 1 messages.
#[derive(Debug)]
pub(super) struct Outbound {
    window: NonZeroU16,
    last_id: u16,
    /// Unacknowledged: packet id and the caller's token.
    waiting: Vec<(PacketId, u64)>,
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            window: NonZeroU16::MIN,
            last_id: 0,
            waiting: Vec::new(),
        }
    }
}

impl Outbound {
    pub(super) fn set_window(&mut self, window: NonZeroU16) {
        self.window = window;
    }

    /// The next packet id that is not in use. There is one: the window is smaller than the range.
    fn next_id(&mut self) -> PacketId {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.last_id)
                && self.waiting.iter().all(|(used, _)| *used != id)
            {
                return id;
            }
        }
    }
}

/// A message as a packet; with a packet id, at QoS 1.
fn publish(delivery: Delivery<'_>, packet_id: Option<PacketId>) -> Packet<'_> {
    Packet::Publish(Publish {
        dup: false,
        qos: match packet_id {
            Some(_) => QoS::AtLeastOnce,
            None => QoS::AtMostOnce,
        },
        retain: false,
        topic: delivery.topic,
        packet_id,
        properties: delivery.properties,
        payload: delivery.payload,
    })
}

impl Session {
    /// Whether a QoS 1 message can be delivered now.
    pub fn can_deliver(&self) -> bool {
        self.is_connected() && self.outbound.waiting.len() < usize::from(self.outbound.window.get())
    }

    /// Whether a message is within what the client and MQTT can take, now or later.
    pub fn can_carry(&self, delivery: Delivery<'_>) -> bool {
        // Every packet id is as long.
        let packet_id = (delivery.qos != QoS::AtMostOnce).then_some(PacketId::MIN);
        let len = codec::encoded_len(&publish(delivery, packet_id), self.version);
        len.is_ok_and(|len| len <= self.client_maximum_packet_size as usize)
    }

    /// Writes a message. A QoS 1 message comes back as [`Event::Acknowledged`] with its token;
    /// it is never sent again within the connection `[MQTT-4.4.0-1]`.
    pub fn deliver(&mut self, delivery: Delivery<'_>, token: u64) -> Result<(), DeliverError> {
        if !self.is_connected() {
            return Err(DeliverError::NotConnected);
        }
        let acknowledged = delivery.qos != QoS::AtMostOnce;
        // [MQTT-3.3.4-7]: no more than the client's receive maximum.
        if acknowledged && !self.can_deliver() {
            return Err(DeliverError::WindowFull);
        }
        let packet_id = acknowledged.then(|| self.outbound.next_id());
        let packet = publish(delivery, packet_id);
        // [MQTT-3.1.2-24]: nothing larger than the client takes.
        if !self.fits(&packet) || codec::encode(&packet, self.version, &mut self.out).is_err() {
            return Err(DeliverError::TooLarge);
        }
        self.written = self.written.wrapping_add(1);
        if let Some(packet_id) = packet_id {
            self.outbound.waiting.push((packet_id, token));
        }
        Ok(())
    }

    /// Whether the packet is within the client's maximum packet size.
    pub(super) fn fits(&self, packet: &Packet<'_>) -> bool {
        self.client_maximum_packet_size == u32::MAX
            || codec::encoded_len(packet, self.version).is_ok_and(|len| {
                u32::try_from(len).is_ok_and(|len| len <= self.client_maximum_packet_size)
            })
    }

    pub(super) fn handle_puback(&mut self, ack: &Ack<'_>) -> Event<'static> {
        let waiting = &mut self.outbound.waiting;
        let Some(at) = waiting.iter().position(|(id, _)| *id == ack.packet_id) else {
            return self.fail(ProtocolError::UnknownPacketId.into());
        };
        let (_, token) = waiting.remove(at);
        if waiting.is_empty() {
            *waiting = Vec::new();
        }
        Event::Acknowledged(token, ack.reason)
    }
}
