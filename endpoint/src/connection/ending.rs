//! The end: the socket is closed, the will published, the connection taken out of the table.

use std::time::Duration;

use landfall_protocol::session::Close;

use super::Stream;
use super::departing::Departing;
use super::farewell::{await_close, finish_writing};
use super::live::Live;
use crate::telemetry::ConnectionEnded;

impl<S: Stream> Live<S> {
    /// Ends the connection. Will and connection event are in the sinks' hands when it returns.
    pub(super) async fn end(mut self: Box<Self>) {
        self.link.finish();
        self.shared.alarms.clear(&self.link);
        // Whoever waits for an acknowledgement or an answer of this connection learns now.
        self.downlink.end();
        let closed = self.session.closed();
        let lost = closed.is_some_and(|closed| closed.close == Close::Lost);
        // [MQTT-3.14.4-1], [MQTT-3.14.4-2]: after its DISCONNECT nothing more comes from a client, but
        // the end of TLS or WebSocket around it.
        let said_goodbye = closed.is_some_and(|closed| matches!(closed.close, Close::Client(_)));
        let all_read = said_goodbye && self.link.identity.transport.is_bare();
        if !lost {
            finish_writing(&mut self.stream, &[]).await;
        }
        let will_due = closed.is_some_and(|closed| closed.will_due);
        let will = self.will.take().filter(|_| will_due);
        let live = &mut *self;
        let departing = Departing {
            shared: &live.shared,
            link: &live.link,
            uplink: &mut live.uplink,
            last: live.session.last_sequence(),
            patience: Duration::from_millis(live.door.limits.stall_timeout),
        };
        departing.depart(will.as_deref()).await;
        let cause = closed.map(|closed| closed.close);
        ConnectionEnded {
            link: &self.link,
            cause,
        }
        .emit(&self.shared.telemetry);
        if !lost && !all_read {
            await_close(&mut self.stream).await;
        }
    }
}
