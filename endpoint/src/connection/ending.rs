//! The end: the socket is closed, the will published, the connection taken out of the table.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use landfall_events::event::Timestamp;
use landfall_events::sink::Sequence;
use landfall_protocol::session::Close;

use super::downlink::Downlink;
use super::farewell::{await_close, finish_writing};
use super::live::Live;
use super::owned::OwnedPublish;
use super::registering::Asked;
use super::ruling::{Ruled, Tries};
use super::uplink::{Arrival, Uplink};
use super::verdict::Verdict;
use super::{Link, Scratch, Stream};
use crate::telemetry::{ConnectionEnded, WillDropped};

impl<S: Stream> Live<S> {
    /// Ends the connection. Will and connection event are in the sinks' hands when it returns.
    pub(super) async fn end(mut self: Box<Self>) {
        self.link.finish();
        // Whoever waits for an acknowledgement or an answer of this connection learns now.
        self.downlink = Downlink::default();
        let closed = self.session.closed();
        let lost = closed.is_some_and(|closed| closed.close == Close::Lost);
        if !lost {
            finish_writing(&mut self.stream, &[]).await;
        }
        let sequence = self.session.last_sequence() + 1;
        let will_due = closed.is_some_and(|closed| closed.will_due);
        if let Some(will) = self.will.take().filter(|_| will_due) {
            self.publish_will(&will, sequence).await;
        }
        self.leave(sequence + 1);
        let cause = closed.map(|closed| closed.close);
        ConnectionEnded {
            link: &self.link,
            cause,
        }
        .emit(&self.shared.telemetry);
        if !lost {
            await_close(&mut self.stream).await;
        }
    }

    /// By the same rules as a publish `[MQTT-3.1.2-8]`.
    async fn publish_will(&mut self, will: &OwnedPublish, sequence: Sequence) {
        let patience = Duration::from_millis(self.door.limits.stall_timeout);
        if tokio::time::timeout(patience, room_comes(&self.link, &self.uplink))
            .await
            .is_err()
        {
            WillDropped {
                link: &self.link,
                cause: "no_room",
            }
            .emit(&self.shared.telemetry);
            return;
        }
        let mut verdict = self.try_will(will, sequence, None);
        // Asked about, and then, maybe, registered.
        for _ in 0..2 {
            let (device, question) = match &verdict {
                Verdict::Ask(device) => (device.clone(), self.look_up(device)),
                Verdict::Register(device) => (device.clone(), self.registration(device)),
                _ => break,
            };
            match question.await {
                Ok(asked) => {
                    self.note_registration(&device, &asked);
                    verdict = self.try_will(will, sequence, Some(&asked));
                }
                Err(_) => {
                    let cause = "registry_unavailable";
                    WillDropped {
                        link: &self.link,
                        cause,
                    }
                    .emit(&self.shared.telemetry);
                    return;
                }
            }
        }
        if let Verdict::Consult(consultation) = verdict {
            let settled = consultation.settle(Tries::Any);
            verdict = match tokio::time::timeout(patience, settled).await {
                Ok(Some(ruled)) => self.hand_over_will(ruled, sequence),
                Ok(None) | Err(_) => Verdict::NoRoom,
            };
        }
        let cause = match verdict {
            Verdict::Taken => {
                self.shared.telemetry.publishes_taken.inc();
                return;
            }
            Verdict::Dropped => {
                self.shared.telemetry.publishes_forgotten.inc();
                return;
            }
            Verdict::Refused(_, because, _) => because.as_str(),
            Verdict::NoRoom | Verdict::Ask(_) | Verdict::Register(_) | Verdict::Consult(_) => {
                "no_room"
            }
        };
        WillDropped {
            link: &self.link,
            cause,
        }
        .emit(&self.shared.telemetry);
    }

    fn try_will(
        &mut self,
        will: &OwnedPublish,
        sequence: Sequence,
        asked: Option<&Asked>,
    ) -> Verdict {
        let mut scratch = Scratch::take(self.shared.sinks.all().len());
        let registry = &self.shared.registry;
        let arrival = Arrival {
            sequence,
            time: Timestamp::now(),
            registry,
            asked,
        };
        let verdict = self.uplink.publish(&will.borrow(), &arrival, &mut scratch);
        self.uplink.hand_over(&mut scratch);
        scratch.give_back();
        verdict
    }

    /// The will that the endpoints of the application's rules have decided on.
    fn hand_over_will(&mut self, ruled: Ruled, sequence: Sequence) -> Verdict {
        let mut scratch = Scratch::take(self.shared.sinks.all().len());
        let verdict = self.uplink.ruled(ruled, sequence, &mut scratch);
        self.uplink.hand_over(&mut scratch);
        scratch.give_back();
        verdict
    }

    /// Takes the connection out of the table; the device's last one leaves an event.
    fn leave(&mut self, sequence: Sequence) {
        let uplink = &mut self.uplink;
        let sinks = self.shared.sinks.all().len();
        self.shared.sessions.remove(&self.link, || {
            let mut scratch = Scratch::take(sinks);
            uplink.connection_event(false, sequence, &mut scratch);
            uplink.hand_over(&mut scratch);
            scratch.give_back();
        });
    }
}

/// Waits for room in the sinks.
async fn room_comes(link: &Link, uplink: &Uplink) {
    poll_fn(|cx| {
        let _ = link.news();
        if uplink.has_room() {
            return Poll::Ready(());
        }
        if link.sleep(cx.waker()) {
            uplink.wait_for_room();
        } else {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}
