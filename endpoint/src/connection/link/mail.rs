//! The mailbox of a connection.

use std::collections::VecDeque;
use std::task::Waker;

use landfall_events::sink::{Refusal, Sequence};
use landfall_protocol::ReasonCode;
use landfall_registry::Found;
use tokio::sync::oneshot;

use crate::command::Handed;
use crate::dialect::Inbox;
use crate::records::Epoch;

/// How many devices' full queues the queue of a gateway's connection has room for.
const SHARES: usize = 8;

#[derive(Default)]
pub(super) struct Mail {
    /// The connection's task while it sleeps.
    pub(super) waker: Option<Waker>,
    /// Something happened since the task last looked.
    pub(super) rung: bool,
    /// The connection is over: nothing more is taken in.
    pub(super) over: bool,
    /// Its server stops: no further command is taken in.
    pub(super) stopping: bool,
    /// What happened, but for acceptances and commands: seldom, so not part of every link.
    pub(super) news: Option<Box<News>>,
    pub(super) commands: Commands,
    pub(super) inbox: Inbox,
    /// What follows the connection's end; nothing most of the time.
    pub(super) parting: Option<Box<Parting>>,
    /// Its last events are accepted.
    pub(super) gone: bool,
    /// What is said of its end can no longer change.
    pub(super) decided: bool,
    /// Since it was over, another client was told that its device is connected by it.
    pub(super) relied_on: bool,
    /// A later session of its client is connected to another instance; 0 if none is, as no epoch is
    /// that early.
    pub(super) superseded_by: Epoch,
}

/// Commands that wait, in the order in which they came; without memory while there are none.
#[derive(Default)]
#[expect(
    clippy::box_collection,
    reason = "a queue is 32 bytes, which most connections never need"
)]
pub(super) struct Commands(Option<Box<VecDeque<Handed>>>);

impl Commands {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Handed> {
        self.0.iter().flat_map(|queue| queue.iter())
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len())
    }

    pub(super) fn front(&self) -> Option<&Handed> {
        self.0.as_ref()?.front()
    }

    pub(super) fn push_back(&mut self, command: Handed) {
        self.0.get_or_insert_default().push_back(command);
    }

    pub(super) fn pop_front(&mut self) -> Option<Handed> {
        let queue = self.0.as_mut()?;
        let command = queue.pop_front();
        if queue.is_empty() {
            self.0 = None;
        }
        command
    }

    fn retain(&mut self, keep: impl FnMut(&Handed) -> bool) {
        if let Some(queue) = &mut self.0 {
            queue.retain(keep);
        }
    }
}

/// A connection's end, until its last events are accepted.
#[derive(Default)]
pub(super) struct Parting {
    pub(super) farewell: Option<Farewell>,
    /// Told by their senders' end.
    pub(super) waiters: Vec<oneshot::Sender<()>>,
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

impl Mail {
    pub(super) fn takes_commands(&self) -> bool {
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
    pub(super) fn has_room(&mut self, device: &str, queue: usize) -> bool {
        if self.is_full(device, queue) {
            self.commands.retain(|command| !command.is_abandoned());
        }
        !self.is_full(device, queue)
    }

    pub(super) fn news(&mut self) -> &mut News {
        self.news.get_or_insert_default()
    }
}
