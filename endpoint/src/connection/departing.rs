//! What is said of a session that is over: its will, and that the device is gone.
//!
//! The same for a connection that ends and for a session of a process that died. The session's
//! record is removed when every required sink has accepted what was said; until then a process that
//! dies has the next one say it again, under the same ids.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use landfall_events::event::Timestamp;
use landfall_events::sink::Sequence;
use tokio::time::Instant;

use super::asking::note_registration;
use super::link::Farewell;
use super::milestone::Milestone;
use super::owned::OwnedPublish;
use super::registering::Asked;
use super::ruling::{Ruled, Tries};
use super::uplink::{Arrival, Uplink};
use super::verdict::Verdict;
use super::{Link, Scratch};
use crate::cluster::Standing;
use crate::server::Shared;
use crate::telemetry::{RefusalCause, WillDropped};

/// What the others have said holds for so long: they wait three times as long for a session's end.
const FRESH: Duration = Duration::from_millis(250);

/// A session that is over.
pub(super) struct Departing<'s> {
    pub(super) shared: &'s Arc<Shared>,
    pub(super) link: &'s Arc<Link>,
    pub(super) uplink: &'s mut Uplink,
    /// The number of its last publish.
    pub(super) last: Sequence,
    /// How long the will may wait for room in a sink, and as long again for a rule's endpoints.
    pub(super) patience: Duration,
}

/// What other instances know of the device.
struct Known {
    standing: Standing,
    /// Since when.
    since: Instant,
}

impl Departing<'_> {
    /// For a connection: says what is to be said and takes it out of the table; the device's last
    /// one leaves an event.
    pub(super) async fn depart(mut self, will: Option<&OwnedPublish>) {
        self.begin_parting();
        let mut known = self.known().await;
        let will = self.leave_will(will, &mut known).await;
        self.renew(&mut known).await;
        let mut last = will;
        let elsewhere = self.link.decide() || known.standing.elsewhere;
        self.shared.clone().sessions.remove(self.link, || {
            if !elsewhere {
                last = Some(self.say_gone());
            }
        });
        self.part(last);
    }

    /// For a session of a process that died: the device's last one leaves an event.
    pub(super) async fn conclude(mut self, will: Option<&OwnedPublish>, is_last: bool) {
        self.begin_parting();
        let mut known = self.known().await;
        let mut last = self.leave_will(will, &mut known).await;
        self.renew(&mut known).await;
        if is_last && !known.standing.elsewhere {
            last = Some(self.say_gone());
        }
        self.part(last);
    }

    async fn known(&self) -> Known {
        let standing = self.standing().await;
        let since = Instant::now();
        Known { standing, since }
    }

    /// Asks again if the will had to wait: the client may have gone on meanwhile.
    async fn renew(&self, known: &mut Known) {
        if known.since.elapsed() > FRESH || self.link.superseded_by().is_some() {
            *known = self.known().await;
        }
    }

    /// What other instances know of the device; where there are none, nothing.
    async fn standing(&self) -> Standing {
        let Some(cluster) = &self.shared.cluster else {
            return Standing::default();
        };
        let who = &self.link.identity;
        if let later @ Some(_) = self.link.superseded_by() {
            // Told by the other instance itself, which need not be asked.
            cluster.left(&who.application, &who.device, who.epoch);
            return Standing {
                elsewhere: true,
                later,
            };
        }
        cluster.standing(who).await
    }

    /// Returns the will's number.
    async fn leave_will(
        &mut self,
        will: Option<&OwnedPublish>,
        known: &mut Known,
    ) -> Option<Sequence> {
        let will = will?;
        match self.publish_will(will, known).await {
            Ok(is_event) => is_event.then_some(self.last),
            Err(cause) => {
                let link = self.link;
                WillDropped { link, cause }.emit(&self.shared.telemetry);
                None
            }
        }
    }

    /// The client's later session has spoken, or is about to; an older one's will would contradict it.
    async fn may_speak(&self, known: &mut Known) -> Result<(), RefusalCause> {
        self.renew(known).await;
        match known.standing.later {
            Some(_) => Err(RefusalCause::Superseded),
            None => Ok(()),
        }
    }

    /// By the same rules as a publish `[MQTT-3.1.2-8]`, which may say that it leaves no event (`false`).
    /// `Err`: why it was not published, for log and metric.
    async fn publish_will(
        &mut self,
        will: &OwnedPublish,
        known: &mut Known,
    ) -> Result<bool, RefusalCause> {
        self.may_speak(known).await?;
        let room = room_comes(self.link, self.uplink);
        if tokio::time::timeout(self.patience, room).await.is_err() {
            return Err(RefusalCause::NoRoom);
        }
        self.may_speak(known).await?;
        self.last += 1;
        let mut verdict = self.try_will(will, None);
        // Asked about, and then, maybe, registered.
        for _ in 0..2 {
            let registry = &self.shared.registry;
            let (device, question) = match &verdict {
                Verdict::Ask(device) => (device.clone(), self.uplink.look_up(device, registry)),
                Verdict::Register(device) => {
                    (device.clone(), self.uplink.registration(device, registry))
                }
                _ => break,
            };
            let asked = question.await;
            let asked = asked.map_err(|_| RefusalCause::RegistryUnavailable)?;
            note_registration(self.link, self.shared, &device, &asked);
            self.may_speak(known).await?;
            verdict = self.try_will(will, Some(&asked));
        }
        if let Verdict::Consult(consultation) = verdict {
            let settled = consultation.settle(Tries::Any);
            verdict = match tokio::time::timeout(self.patience, settled).await {
                Ok(Some(ruled)) => {
                    self.may_speak(known).await?;
                    self.hand_over_will(ruled)
                }
                Ok(None) | Err(_) => Verdict::NoRoom,
            };
        }
        match verdict {
            Verdict::Taken => {
                self.shared.telemetry.publishes_taken.inc();
                Ok(true)
            }
            Verdict::Dropped => {
                self.shared.telemetry.publishes_forgotten.inc();
                // No sink will tell of it.
                Ok(false)
            }
            Verdict::Refused(_, because, _) => Err(because.into()),
            Verdict::NoRoom | Verdict::Ask(_) | Verdict::Register(_) | Verdict::Consult(_) => {
                Err(RefusalCause::NoRoom)
            }
        }
    }

    fn try_will(&mut self, will: &OwnedPublish, asked: Option<&Asked>) -> Verdict {
        let arrival = Arrival {
            sequence: self.last,
            time: Timestamp::now(),
            shared: self.shared,
            asked,
            id: Some(Milestone::Will.id(&self.link.identity, &self.shared.instance)),
        };
        let mut scratch = Scratch::take(self.shared.sinks.all().len());
        let verdict = self.uplink.publish(&will.borrow(), &arrival, &mut scratch);
        self.uplink.hand_over(&mut scratch);
        scratch.give_back();
        verdict
    }

    /// The will that the endpoints of the application's rules have decided on.
    fn hand_over_will(&mut self, ruled: Ruled) -> Verdict {
        let mut scratch = Scratch::take(self.shared.sinks.all().len());
        let verdict = self.uplink.ruled(ruled, self.last, &mut scratch);
        self.uplink.hand_over(&mut scratch);
        scratch.give_back();
        verdict
    }

    /// The event of the device's last connection; returns its number.
    fn say_gone(&mut self) -> Sequence {
        self.last += 1;
        let mut scratch = Scratch::take(self.shared.sinks.all().len());
        self.uplink
            .connection_event(false, self.shared, self.last, &mut scratch);
        self.uplink.hand_over(&mut scratch);
        scratch.give_back();
        self.last
    }

    /// Other instances may wait for the end of this session.
    fn begin_parting(&self) {
        if self.shared.cluster.is_some() {
            self.shared.sessions.part(self.link);
        }
    }

    /// All is said; `last` is the number of the last event, if there was any.
    fn part(&self, last: Option<Sequence>) {
        let who = &self.link.identity;
        let (application, device) = (Arc::clone(&who.application), Arc::clone(&who.device));
        let (shared, epoch) = (Arc::clone(self.shared), who.epoch);
        self.link.part(Farewell {
            last: last.unwrap_or(0),
            required: self.uplink.required(),
            then: Box::new(move || {
                shared.records.forget(epoch);
                if shared.cluster.is_some() {
                    shared.sessions.parted(&application, &device, epoch);
                }
            }),
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
