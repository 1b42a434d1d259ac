//! What the rest of the process holds of a connection: a mailbox, and the sinks' reports.
//!
//! One allocation per connection, shared by its task, the session table, the command hub and the
//! batches that are on their way through a sink.

mod mail;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use landfall_events::event::Timestamp;
use landfall_events::sink::{Completion, Refusal, Sequence};
use landfall_protocol::{QoS, ReasonCode, Version};
use landfall_registry::{CredentialId, Found};
use tokio::sync::oneshot;

use crate::alarm;
use crate::command::{Command, Handed, SessionFailure};
use crate::dialect::{Inbox, Outgoing, Own};
use crate::listener::{Carrier, Peer};
use crate::records::Epoch;
use mail::{Commands, Mail};
pub(super) use mail::{Farewell, News, Refused};

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
    /// What it comes in.
    pub transport: Carrier,
    /// Protocol version.
    pub version: Version,
    /// When it was let in.
    pub since: Timestamp,
    /// Of two connections of one client, the one with the higher epoch stays.
    pub epoch: Epoch,
    /// The credential it logged in with; `None` for a listener's anonymous device.
    pub credential: Option<CredentialId>,
}

impl Identity {
    /// How long it has been connected.
    pub fn age(&self) -> Duration {
        Duration::from_micros(Timestamp::now().0.saturating_sub(self.since.0))
    }
}

/// The shared half of a connection.
pub struct Link {
    /// Who it is.
    pub identity: Identity,
    /// For each slot of the connection's route: "accepted up to".
    accepted: Box<[AtomicU64]>,
    /// There are refusals in the mailbox.
    refused: AtomicBool,
    /// Its place among the alarms, which they alone look at.
    pub(crate) alarm: alarm::Place,
    mail: Mutex<Mail>,
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

impl Link {
    /// A link for a connection whose events go to `slots` sinks.
    pub fn new(identity: Identity, slots: usize) -> Self {
        let accepted = (0..slots).map(|_| AtomicU64::new(0)).collect();
        Self {
            identity,
            accepted,
            refused: AtomicBool::new(false),
            alarm: alarm::Place::default(),
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

    /// Wakes the task, without any news.
    pub fn wake(&self) {
        Self::ring(self.mail());
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
        mail.superseded_by = mail.superseded_by.max(later);
        drop(mail);
        self.close(ReasonCode::SESSION_TAKEN_OVER);
    }

    /// The epoch of the session by which its client has gone on, if it has.
    pub fn superseded_by(&self) -> Option<Epoch> {
        Some(self.mail().superseded_by).filter(|later| *later > 0)
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
        mail.commands.pop_front()
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

    /// Whether its device is connected by it, for another client that comes: also if it is over, until
    /// it has [decided](Self::decide) what to say.
    pub fn is_relied_on(&self) -> bool {
        let mut mail = self.mail();
        mail.relied_on |= mail.over && !mail.decided;
        !mail.decided
    }

    /// What is said of its end can no longer change. True: since it was over, another client was told that
    /// the device is connected by it, and the device is not gone.
    pub fn decide(&self) -> bool {
        let mut mail = self.mail();
        mail.decided = true;
        mail.relied_on
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
fn report_gone(mut commands: Commands) {
    while let Some(command) = commands.pop_front() {
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
