//! SUBSCRIBE and UNSUBSCRIBE: what the protocol refuses, and the answers.

use super::{Close, Event, Session};
use crate::packet::{Packet, PacketId, ReasonProperties, SubAck, Subscribe, Version};
use crate::{ProtocolError, ReasonCode};

impl Session {
    pub(super) fn handle_subscribe<'a>(&'a mut self, subscribe: Subscribe<'a>) -> Event<'a> {
        // [MQTT-3.2.2.3.15]: CONNACK said that shared subscriptions are not available.
        let shared = |filter: &str| filter.starts_with("$share/");
        if self.version == Version::V5 && subscribe.filters.iter().any(|s| shared(s.filter)) {
            return self.fail(ProtocolError::SharedSubscription.into());
        }
        Event::Subscribe(subscribe)
    }

    /// Answers a SUBSCRIBE: one reason for each filter, in order `[MQTT-3.8.4-5]`.
    pub fn suback(&mut self, packet_id: PacketId, reasons: &mut [ReasonCode]) {
        if self.version == Version::V31 {
            // 3.1 has no failure code; the refused subscription is granted and stays silent.
            for reason in reasons.iter_mut().filter(|r| r.is_failure()) {
                *reason = ReasonCode::SUCCESS;
            }
        }
        self.write_suback(packet_id, reasons, Packet::SubAck);
    }

    /// Answers an UNSUBSCRIBE: one reason for each filter, in order `[MQTT-3.11.3-1]`.
    pub fn unsuback(&mut self, packet_id: PacketId, reasons: &[ReasonCode]) {
        self.write_suback(packet_id, reasons, Packet::UnsubAck);
    }

    fn write_suback<'a>(
        &mut self,
        packet_id: PacketId,
        reasons: &'a [ReasonCode],
        kind: fn(SubAck<'a>) -> Packet<'a>,
    ) {
        if self.is_connected() {
            let properties = ReasonProperties::default();
            let answer = kind(SubAck {
                packet_id,
                properties,
                reasons: reasons.into(),
            });
            // [MQTT-3.1.2-24]: the client asked about more filters than it can hear about.
            if !self.fits(&answer) {
                return self.end(Close::Server(ReasonCode::PACKET_TOO_LARGE));
            }
            self.write(&answer);
        }
    }
}
