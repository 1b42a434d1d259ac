//! What all sinks share whose events go to another system: a thread with a runtime of its own,
//! order, retries, and the reports to the connections.
//!
//! A sink brings a [`Courier`], which makes single deliveries. The [`Driver`] takes events from the
//! queue, spreads them over lanes, and keeps each lane in order: after a failed delivery nothing of
//! that lane is sent before everything under way has come back, and then one delivery at a time
//! until one is taken. What comes back for the sake of another delivery goes again at once, in its
//! order, and what may be at fault goes alone. The [`Valve`] bounds what an application in trouble may
//! hold of the queue. Lanes of one application do not wait for those of another, so that one dead
//! endpoint holds up its own application only.

mod courier;
mod driver;
mod lane;
mod ledger;
mod spilling;
mod spool;
#[cfg(test)]
mod tests;
mod valve;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

pub(crate) use courier::{Courier, Outcome, Ticket};
use driver::Driver;
use spool::Spool;
pub use spool::{SpillError, SpillOptions};
use valve::Valve;

use super::health::HealthCell;
use super::queue::{Intake, Queue};
use super::stats::Counters;
use super::{Completion, Handover, Health, OpenBatch, Sequence, Sink, Stats, Unfinished};
use crate::event::Draft;
use crate::record::write_record;

/// Events of one application are gathered in pieces of about this size.
const GROUP_BYTES: usize = 64 << 10;

/// A sink whose events a courier delivers.
pub struct Remote {
    name: Box<str>,
    shared: Arc<Shared>,
    queue: Arc<Queue>,
}

/// What the sink's thread and its readers share.
struct Shared {
    name: Box<str>,
    health: HealthCell,
    counters: Counters,
    /// The courier's client has reported trouble since the last delivery was taken.
    alarmed: AtomicBool,
    valve: Valve,
    /// Events that are on disk; `None` without a spill.
    spilled: Option<AtomicU64>,
    /// The spill cannot be written, or is full.
    spill_failed: AtomicBool,
}

impl Shared {
    fn count_spilled(&self, events: u64) {
        if let Some(spilled) = &self.spilled {
            spilled.store(events, Ordering::Relaxed);
        }
    }
}

/// How a client reports trouble that no delivery has told yet. The next delivery that is taken ends
/// it.
#[cfg_attr(
    not(feature = "kafka"),
    allow(dead_code, reason = "librdkafka alone reports trouble by itself")
)]
#[derive(Clone, Default)]
pub(crate) struct Watch(Option<Arc<Shared>>);

#[cfg_attr(
    not(feature = "kafka"),
    allow(dead_code, reason = "librdkafka alone reports trouble by itself")
)]
impl Watch {
    pub(crate) fn trouble(&self, reason: &str) {
        let Some(shared) = &self.0 else { return };
        shared.alarmed.store(true, Ordering::Relaxed);
        if shared.health.set_failing(reason.to_owned()) {
            tracing::warn!(sink = %shared.name, reason, "the sink's events are not taken; they are kept");
        }
    }
}

/// What all remote sinks are started with.
pub(crate) struct RemoteOptions {
    /// Bound of the queue.
    pub(crate) queue_bytes: usize,
    /// As [`Courier::lanes`].
    pub(crate) lanes: u16,
    /// Where events go while the remote system does not take them.
    pub(crate) spill: Option<SpillOptions>,
}

/// Why a remote sink cannot be started; the operator can mend each.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The thread cannot be started.
    #[error("the sink's thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// The spill cannot be used.
    #[error("spill: {0}")]
    Spill(#[from] SpillError),
}

impl Remote {
    /// Starts the sink's thread, where `courier` is made.
    pub(crate) fn start<C: Courier>(
        name: &str,
        options: RemoteOptions,
        courier: impl FnOnce() -> C + Send + 'static,
    ) -> Result<Self, RemoteError> {
        Self::watched(name, options, |_| courier())
    }

    /// The same for a courier whose client reports trouble by itself.
    pub(crate) fn watched<C: Courier>(
        name: &str,
        options: RemoteOptions,
        courier: impl FnOnce(Watch) -> C + Send + 'static,
    ) -> Result<Self, RemoteError> {
        let RemoteOptions {
            queue_bytes,
            lanes,
            spill,
        } = options;
        let spool = spill.map(|spill| Spool::open(&spill, lanes)).transpose()?;
        let queue = Arc::new(Queue::keeping_events_apart(queue_bytes, GROUP_BYTES));
        let shared = Arc::new(Shared {
            name: name.into(),
            health: HealthCell::new(),
            counters: Counters::default(),
            alarmed: AtomicBool::new(true),
            valve: Valve::new(queue_bytes),
            spilled: spool.as_ref().map(|spool| AtomicU64::new(spool.events())),
            spill_failed: AtomicBool::new(false),
        });
        shared
            .health
            .set_failing("the other system has not been reached yet".to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (intake, its) = (Intake::of(Arc::clone(&queue)), Arc::clone(&shared));
        thread::Builder::new()
            .name(format!("sink-{name}"))
            .spawn(move || {
                let _attendance = its.health.attend();
                runtime.block_on(async {
                    let courier = courier(Watch(Some(Arc::clone(&its))));
                    Driver::new(courier, intake, spool, &its).run().await;
                });
                its.valve.end();
                // Deliveries that nobody waits for any more are given up.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            name: name.into(),
            shared,
            queue,
        })
    }
}

impl Sink for Remote {
    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, draft: &Draft<'_>, sequence: Sequence, batch: &mut OpenBatch) {
        batch.push(sequence, |out| write_record(draft, out));
    }

    fn hand_over(&self, handover: Handover<'_>) {
        self.queue.push(handover);
    }

    fn has_room(&self, application: &str) -> bool {
        self.queue.has_room() && self.shared.valve.is_open(application)
    }

    fn notify_room(&self, application: &str, slot: usize, completion: &Arc<dyn Completion>) {
        let waiter = || (slot, Arc::clone(completion));
        if !self.shared.valve.wait(application, waiter) {
            self.queue.notify_room(slot, completion);
        }
    }

    /// With a spill, events are taken whether the other system is there or not.
    fn health(&self) -> Health {
        let shared = &self.shared;
        match shared.health.get() {
            Health::Failing { .. }
                if shared.spilled.is_some() && !shared.spill_failed.load(Ordering::Relaxed) =>
            {
                Health::Up
            }
            health => health,
        }
    }

    fn stats(&self) -> Stats {
        let spilled = self.shared.spilled.as_ref();
        Stats {
            spilled: spilled.map_or(0, |spilled| spilled.load(Ordering::Relaxed)),
            ..self.queue.add_depth(self.shared.counters.read())
        }
    }

    fn close(&self, patience: Duration) -> Result<(), Unfinished> {
        self.queue.close(patience)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _unfinished = self.close(Duration::ZERO);
    }
}
