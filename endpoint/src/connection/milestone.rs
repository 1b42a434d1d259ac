//! What is said of a session itself, once each: that its device is there, its will, that it is gone.
//!
//! A process that dies may leave it open whether a session's end was said; then the process after it
//! says it again. Consumers know an event by source and id, so the id must be the same. It is made of
//! what the session's record keeps, and carries the time at which the session began.

use landfall_events::event::{Data, Draft, EventType, Timestamp, lasting_id};
use landfall_events::sink::Sequence;
use uuid::Uuid;

use super::uplink::Uplink;
use super::{Identity, Scratch};
use crate::server::Shared;

/// In the order in which they are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Milestone {
    /// The device is connected.
    Connected,
    /// The session's will.
    Will,
    /// The device is gone.
    Gone,
}

impl Milestone {
    /// The id of its event, for a session of this instance.
    pub(super) fn id(self, session: &Identity, instance: &str) -> Uuid {
        // An epoch is the microsecond of the session's beginning, and the instance's own.
        let time = Timestamp(session.epoch);
        let of_session = [
            instance,
            &*session.application,
            &*session.device,
            &*session.client_id,
        ];
        // [MQTT-1.5.4-2]: no text of MQTT has U+0000, and no name of ours.
        lasting_id(time, self as u8, of_session.join("\0").as_bytes())
    }
}

impl Uplink {
    /// Puts an event of the connection itself, `{"connected": …}`, into the open batches.
    pub(super) fn connection_event(
        &mut self,
        connected: bool,
        shared: &Shared,
        sequence: Sequence,
        scratch: &mut Scratch,
    ) {
        let origin = self.own_origin(&shared.instance);
        let (milestone, data): (_, &[u8]) = if connected {
            (Milestone::Connected, br#"{"connected":true}"#)
        } else {
            (Milestone::Gone, br#"{"connected":false}"#)
        };
        let draft = Draft {
            origin: &origin,
            event_type: EventType::Connection,
            id: milestone.id(self.session(), &shared.instance),
            time: Timestamp::now(),
            subject: "connection",
            data_content_type: Some("application/json"),
            data_schema: None,
            trace_parent: None,
            trace_state: None,
            retain: false,
            extensions: &[],
            data: Data::Json(data),
        };
        self.encode(&draft, sequence, scratch);
    }
}
