//! One subscriber that takes everything: what a broker needs in order to hand messages on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use serde::Serialize;

use super::{KEEP_ALIVE, TICK};
use crate::client::{Connection, READ_BUFFER, Target, misplaced, open};
use crate::error::{Error, Result};
use crate::mqtt::{Ack, PINGREQ, Qos, Reply, puback, pubcomp, pubrec};

/// Without a delivery for this long, what is missing counts as lost.
const QUIET: Duration = Duration::from_secs(2);

/// What the subscriber got of the messages that were published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Delivery {
    pub delivered: u64,
    /// Published but not delivered.
    pub lost: u64,
}

/// A subscribed connection on a thread of its own.
pub(super) struct Subscriber {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

struct Shared {
    stop: AtomicBool,
    delivered: AtomicU64,
    started: Instant,
    /// Nanoseconds from `started` to the last delivery.
    last: AtomicU64,
}

impl Subscriber {
    /// Logs in under a client id of its own and subscribes.
    pub(super) fn start(target: &Target, number: usize, filter: &str, qos: Qos) -> Result<Self> {
        let connection = open(target, number, KEEP_ALIVE, Some((filter, qos)))?.connection;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            started: Instant::now(),
            last: AtomicU64::new(0),
        });
        let taker = Arc::clone(&shared);
        Ok(Self {
            shared,
            thread: Some(std::thread::spawn(move || take(connection, &taker))),
        })
    }

    /// Messages delivered since the start.
    pub(super) fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Acquire)
    }

    /// Waits until `expected` messages since the start are delivered, or deliveries have ceased.
    ///
    /// Returns the moment of the last delivery.
    pub(super) fn settle(&self, expected: u64) -> Instant {
        let asked = Instant::now();
        loop {
            let last = self.shared.started
                + Duration::from_nanos(self.shared.last.load(Ordering::Acquire));
            let quiet = Instant::now().saturating_duration_since(last.max(asked));
            if self.delivered() >= expected || quiet > QUIET {
                return last;
            }
            park_timeout(Duration::from_millis(1));
        }
    }

    /// Ends the thread and tells how it fared.
    pub(super) fn finish(mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) | None => Err(Error::Usage("the subscriber's thread failed".to_owned())),
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn take(mut connection: Connection, shared: &Shared) -> Result<()> {
    let mut poll = Poll::new().map_err(Error::machine("epoll"))?;
    connection.register(poll.registry(), Token(0))?;
    let mut events = Events::with_capacity(8);
    let mut buffer = vec![0; READ_BUFFER];
    let mut answers = Vec::new();
    let mut pinged = Instant::now();
    while !shared.stop.load(Ordering::Acquire) {
        poll.poll(&mut events, Some(TICK))
            .map_err(Error::machine("epoll"))?;
        connection.flush()?;
        let mut count = 0;
        connection.receive(&mut buffer, |reply| answer(reply, &mut count, &mut answers))?;
        if count > 0 {
            let last = u64::try_from(shared.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            shared.last.store(last, Ordering::Release);
            shared.delivered.fetch_add(count, Ordering::AcqRel);
        }
        if pinged.elapsed().as_secs() >= u64::from(KEEP_ALIVE) / 2 {
            pinged = Instant::now();
            answers.extend_from_slice(&PINGREQ);
        }
        if !answers.is_empty() {
            connection.send(&answers)?;
            answers.clear();
        }
    }
    Ok(())
}

/// Counts a message and acknowledges it as its QoS asks.
fn answer(reply: Reply, count: &mut u64, answers: &mut Vec<u8>) -> Result<()> {
    match reply {
        Reply::Message { id, qos } => {
            *count += 1;
            match (id, qos) {
                (Some(id), 1) => answers.extend_from_slice(&puback(id)),
                (Some(id), _) => answers.extend_from_slice(&pubrec(id)),
                (None, _) => {}
            }
        }
        Reply::Ack {
            ack: Ack::PubRel,
            id,
            ..
        } => answers.extend_from_slice(&pubcomp(id)),
        Reply::Pong => {}
        reply => return Err(misplaced(reply)),
    }
    Ok(())
}
