//! What the rest of the process holds of a connection: a mailbox, and the sinks' reports.
//!
//! One allocation per connection, shared by its task, the session table, the command hub and the
//! batches that are on their way through a sink.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::SystemTime;

use landfall_events::sink::{Completion, Refusal, Sequence};
use landfall_protocol::{QoS, ReasonCode, Version};
use landfall_registry::{CredentialId, Found};
use tokio::sync::oneshot;

use crate::command::{Command, Handed, SessionFailure};
use crate::dialect::{Inbox, Outgoing, Own};
use crate::listener::Peer;
use crate::records::Epoch;

/// How many devices' full queues the queue of a gateway's connection has room for.
const SHARES: usize = 8;

/// Who is connected, from where, since when.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Application.
    pub application: Arc<str>,
    /// Device.
    pub device: Arc<str>,
    /// Client id; made up if the client gave none.
    pub client_id: Box<str>,
    /// Where it connects from.
    pub peer: Peer,
    /// `tcp`, `tls`, `ws`, `wss` or `unix`.
    pub transport: &'static str,
    /// Protocol version.
    pub version: Version,
    /// When it was let in.
    pub since: SystemTime,
    /// Of two connections of one client, the one with the higher epoch stays.
    pub epoch: Epoch,
    /// The credential it logged in with; `None` for a listener's anonymous device.
    pub credential: Option<CredentialId>,
}

/// The shared half of a connection.
pub struct Link {
    /// Who it is.
    pub identity: Identity,
    /// For each slot of the connection's route: "accepted up to".
    accepted: Box<[AtomicU64]>,
    /// There are refusals in the mailbox.
    refused: AtomicBool,
    mail: Mutex<Mail>,
}

#[derive(Default)]
struct Mail {
    /// The connection's task while it sleeps.
    waker: Option<Waker>,
    /// Something happened since the task last looked.
    rung: bool,
    /// The connection is over: nothing more is taken in.
    over: bool,
    /// Its server stops: no further command is taken in.
    stopping: bool,
    /// What happened, but for acceptances and commands: seldom, so not part of every link.
    news: Option<Box<News>>,
    commands: VecDeque<Handed>,
    inbox: Inbox,
    /// What follows the connection's end; nothing most of the time.
    parting: Option<Box<Parting>>,
    /// Its last events are accepted.
    gone: bool,
    /// A later session of its client is connected to another instance.
    superseded_by: Option<Epoch>,
}

/// A connection's end, until its last events are accepted.
#[derive(Default)]
struct Parting {
    farewell: Option<Farewell>,
    /// Told by their senders' end.
    waiters: Vec<oneshot::Sender<()>>,
}

/// What is done when a connection's last events are accepted.
pub struct Farewell {
    /// The last event.
    pub last: Sequence,
    /// The slots of the required sinks.
    pub required: Box<[usize]>,
    /// Done once, by the thread of the sink that is the last to accept.
    pub then: Box<dyn FnOnce() + Send>,
}

/// What the task finds in its mailbox.
#[derive(Default)]
pub struct News {
    /// Close now, with this reason.
    pub close: Option<ReasonCode>,
    /// The server stops: take nothing more, finish what is in flight, close.
    pub stop: bool,
    /// A sink that was full has room again.
    pub room: bool,
    /// The registry's documents changed.
    pub found: Option<Found>,
    /// Publishes that sinks refuse.
    pub refused: Vec<Refused>,
}

/// A publish that a sink will never take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The sink's slot.
    pub slot: usize,
    /// The publish.
    pub sequence: Sequence,
    /// Why.
    pub refusal: Refusal,
}

/// What became of a command that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Queued; its reporter will be used.
    Taken,
    /// No subscription of this connection covers the device.
    NotSubscribed,
    /// As many commands wait as may.
    Full,
}

impl Mail {
    fn takes_commands(&self) -> bool {
        !self.over && !self.stopping
    }

    /// Whether another command for the device is one too many: for it, so that a flood of commands
    /// to one device behind a gateway leaves room for the others', or for them all.
    fn is_full(&self, device: &str, queue: usize) -> bool {
        let commands = &self.commands;
        let of_device = |command: &&Handed| *command.command.device == *device;
        commands.len() >= queue
            && (commands.len() >= queue.saturating_mul(SHARES)
                || commands.iter().filter(of_device).count() >= queue)
    }

    /// Whether there is room for another command; those whose sender has gone make room for the
    /// living.
    fn has_room(&mut self, device: &str, queue: usize) -> bool {
        if self.is_full(device, queue) {
            self.commands.retain(|command| !command.is_abandoned());
        }
        !self.is_full(device, queue)
    }

    fn news(&mut self) -> &mut News {
        self.news.get_or_insert_default()
    }
}

impl Link {
    /// A link for a connection whose events go to `slots` sinks.
    pub fn new(identity: Identity, slots: usize) -> Self {
        let accepted = (0..slots).map(|_| AtomicU64::new(0)).collect();
        Self {
            identity,
            accepted,
            refused: AtomicBool::new(false),
            mail: Mutex::default(),
        }
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the task once; called with news already in the mailbox.
    fn ring(mut mail: MutexGuard<'_, Mail>) {
        mail.rung = true;
        let waker = mail.waker.take();
        drop(mail);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Asks the connection to close with a reason. The first reason counts.
    pub fn close(&self, reason: ReasonCode) {
        let mut mail = self.mail();
        mail.news().close.get_or_insert(reason);
        Self::ring(mail);
    }

    /// Closes the connection, as its client has gone on to another instance.
    pub fn supersede(&self, later: Epoch) {
        let mut mail = self.mail();
        mail.superseded_by = mail.superseded_by.max(Some(later));
        drop(mail);
        self.close(ReasonCode::SESSION_TAKEN_OVER);
    }

    /// The epoch of the session by which its client has gone on, if it has.
    pub fn superseded_by(&self) -> Option<Epoch> {
        self.mail().superseded_by
    }

    /// Asks the connection to finish what is in flight and to say goodbye.
    pub fn stop(&self) {
        let mut mail = self.mail();
        mail.news().stop = true;
        mail.stopping = true;
        let commands = std::mem::take(&mut mail.commands);
        Self::ring(mail);
        report_gone(commands);
    }

    /// Hands in changed documents; the next publish uses them.
    pub fn update(&self, found: Found) {
        let mut mail = self.mail();
        mail.news().found = Some(found);
        Self::ring(mail);
    }

    /// A command as the inbox is asked about it.
    pub fn outgoing<'c>(&'c self, command: &'c Command) -> Outgoing<'c> {
        Outgoing {
            own: Own {
                application: &self.identity.application,
                device: &self.identity.device,
            },
            device: &command.device,
            name: command.name.as_str(),
            content_type: command.content_type.as_deref(),
            payload: &command.payload,
        }
    }

    /// What would become of a command if it were offered now.
    pub fn would_take(&self, command: &Command, queue: usize) -> Offer {
        let mut mail = self.mail();
        if !mail.takes_commands() || !mail.inbox.covers(&self.outgoing(command)) {
            return Offer::NotSubscribed;
        }
        if mail.has_room(&command.device, queue) {
            Offer::Taken
        } else {
            Offer::Full
        }
    }

    /// Offers a command; at most `queue` wait for one device.
    pub fn offer(&self, command: &Command, queue: usize, make: impl FnOnce() -> Handed) -> Offer {
        let device: &str = &command.device;
        let mut mail = self.mail();
        if !mail.takes_commands() || !mail.inbox.covers(&self.outgoing(command)) {
            return Offer::NotSubscribed;
        }
        if !mail.has_room(device, queue) {
            return Offer::Full;
        }
        mail.commands.push_back(make());
        Self::ring(mail);
        Offer::Taken
    }

    /// Reads or changes the inbox subscriptions.
    pub fn with_inbox<T>(&self, act: impl FnOnce(&mut Inbox) -> T) -> T {
        act(&mut self.mail().inbox)
    }

    /// The task is awake: what happened since it slept. Nobody needs to wake it until
    /// [`sleep`](Self::sleep).
    pub fn news(&self) -> Option<Box<News>> {
        let mut mail = self.mail();
        mail.waker = None;
        mail.rung = false;
        mail.news.take()
    }

    /// The next command that waits, if `wanted` says so.
    pub fn next_command(&self, wanted: impl FnOnce(&Handed) -> bool) -> Option<Handed> {
        let mut mail = self.mail();
        if !mail.commands.front().is_some_and(wanted) {
            return None;
        }
        let command = mail.commands.pop_front();
        if mail.commands.is_empty() {
            mail.commands = VecDeque::new();
        }
        command
    }

    /// The task is about to sleep. False: there is news, so it must look again.
    pub fn sleep(&self, waker: &Waker) -> bool {
        let mut mail = self.mail();
        if mail.rung {
            return false;
        }
        mail.waker = Some(waker.clone());
        true
    }

    /// The connection is over: the senders of commands that still wait learn that.
    pub fn finish(&self) {
        let mut mail = self.mail();
        mail.over = true;
        mail.waker = None;
        let commands = std::mem::take(&mut mail.commands);
        drop(mail);
        report_gone(commands);
    }

    /// Whether the connection is over; its last events may still be on their way.
    pub fn is_over(&self) -> bool {
        self.mail().over
    }

    /// The connection has handed over its last events: `farewell` follows when they are accepted.
    pub fn part(&self, farewell: Farewell) {
        let mut mail = self.mail();
        mail.parting.get_or_insert_default().farewell = Some(farewell);
        let parted = self.take_parted(&mut mail);
        drop(mail);
        if let Some(farewell) = parted {
            (farewell.then)();
        }
    }

    /// Is closed when the connection is over and its last events are accepted.
    pub fn parted(&self) -> oneshot::Receiver<()> {
        let (waiter, parted) = oneshot::channel();
        let mut mail = self.mail();
        if !mail.gone {
            mail.parting.get_or_insert_default().waiters.push(waiter);
        }
        parted
    }

    /// The farewell, if it is due.
    fn take_parted(&self, mail: &mut Mail) -> Option<Farewell> {
        let farewell = mail.parting.as_ref()?.farewell.as_ref()?;
        let is_accepted = |slot: &usize| self.accepted_by(*slot) >= farewell.last;
        if !farewell.required.iter().all(is_accepted) {
            return None;
        }
        mail.gone = true;
        mail.parting.take()?.farewell
    }

    /// The refusals that came with what has been accepted. A sink tells a refusal before the
    /// acceptance that passes it: ask [`accepted_by`](Self::accepted_by) first, then this, and no
    /// refused publish is taken for an accepted one.
    pub fn take_refused(&self) -> Vec<Refused> {
        if !self.refused.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut mail = self.mail();
        self.refused.store(false, Ordering::Release);
        let news = mail.news.as_mut();
        news.map(|news| std::mem::take(&mut news.refused))
            .unwrap_or_default()
    }

    /// Up to which publish the sink in `slot` has accepted.
    pub fn accepted_by(&self, slot: usize) -> Sequence {
        self.accepted
            .get(slot)
            .map_or(0, |n| n.load(Ordering::Acquire))
    }
}

/// Nobody will get these: their senders may safely send them again.
fn report_gone(commands: VecDeque<Handed>) {
    for command in commands {
        command.report(QoS::AtMostOnce, Err(SessionFailure::Gone));
    }
}

impl Completion for Link {
    fn accepted(&self, slot: usize, up_to: Sequence) {
        if let Some(accepted) = self.accepted.get(slot) {
            accepted.fetch_max(up_to, Ordering::Release);
        }
        let mut mail = self.mail();
        let parted = self.take_parted(&mut mail);
        Self::ring(mail);
        if let Some(farewell) = parted {
            (farewell.then)();
        }
    }

    fn refused(&self, slot: usize, sequence: Sequence, refusal: Refusal) {
        let mut mail = self.mail();
        mail.news().refused.push(Refused {
            slot,
            sequence,
            refusal,
        });
        self.refused.store(true, Ordering::Release);
        Self::ring(mail);
    }

    fn room(&self, _slot: usize) {
        let mut mail = self.mail();
        mail.news().room = true;
        Self::ring(mail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(slots: usize) -> Link {
        let identity = Identity {
            application: "app".into(),
            device: "device".into(),
            client_id: "c".into(),
            peer: Peer::Local,
            transport: "unix",
            version: Version::V5,
            since: SystemTime::now(),
            epoch: 1,
            credential: None,
        };
        Link::new(identity, slots)
    }

    #[test]
    fn a_farewell_follows_when_every_required_sink_has_accepted_and_once() {
        let link = link(3);
        let parted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&parted);
        let mut waiter = link.parted();
        link.accepted(0, 7);
        link.part(Farewell {
            last: 7,
            required: Box::new([0, 2]),
            then: Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            }),
        });
        link.accepted(2, 6);
        assert_eq!(parted.load(Ordering::SeqCst), 0);
        assert_eq!(waiter.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        link.accepted(2, 7);
        link.accepted(2, 8);
        assert_eq!(parted.load(Ordering::SeqCst), 1);
        let closed = Err(oneshot::error::TryRecvError::Closed);
        assert_eq!(waiter.try_recv(), closed);
        assert_eq!(link.parted().try_recv(), closed, "who asks later");
    }

    #[test]
    fn a_farewell_without_events_or_required_sinks_follows_at_once() {
        for (last, required) in [(0, vec![0]), (9, vec![])] {
            let link = link(1);
            let parted = Arc::new(AtomicBool::new(false));
            let note = Arc::clone(&parted);
            link.part(Farewell {
                last,
                required: required.into(),
                then: Box::new(move || note.store(true, Ordering::SeqCst)),
            });
            assert!(parted.load(Ordering::SeqCst));
        }
    }

    #[test]
    fn whoever_sees_an_acceptance_sees_the_refusals_that_it_passes() {
        const EVENTS: Sequence = 20_000;
        let link = link(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for sequence in 1..=EVENTS {
                    link.refused(0, sequence, Refusal::TooLarge);
                    link.accepted(0, sequence);
                }
            });
            let mut seen = 0;
            while seen < EVENTS {
                let accepted = link.accepted_by(0);
                for refused in link.take_refused() {
                    seen += 1;
                    assert_eq!(refused.sequence, seen);
                }
                assert!(
                    seen >= accepted,
                    "{accepted} accepted, {seen} refusals seen"
                );
            }
        });
    }
}
