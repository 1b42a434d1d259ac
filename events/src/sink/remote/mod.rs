//! What all sinks share whose events go to another system: a thread with a runtime of its own,
//! order, retries, and the reports to the connections.
//!
//! A sink brings a [`Courier`], which makes single deliveries. The [`Driver`] takes events from the
//! queue, spreads them over lanes, and keeps each lane in order: after a failed delivery nothing of
//! that lane is sent before everything under way has come back, and then one delivery at a time
//! until one is taken. Lanes of one application do not wait for those of another, so that one dead
//! endpoint holds up its own application only.

mod courier;
mod driver;
mod lane;
mod ledger;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

pub(crate) use courier::{Courier, Outcome, Ticket};
use driver::Driver;

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
}

/// How a client reports trouble that no delivery has told yet. The next delivery that is taken ends
/// it.
#[derive(Clone, Default)]
pub(crate) struct Watch(Option<Arc<Shared>>);

impl Watch {
    pub(crate) fn trouble(&self, reason: &str) {
        let Some(shared) = &self.0 else { return };
        shared.alarmed.store(true, Ordering::Relaxed);
        if shared.health.set_failing(reason.to_owned()) {
            tracing::warn!(sink = %shared.name, reason, "the sink's events are not taken; they are kept");
        }
    }
}

impl Remote {
    /// Starts the sink's thread, where `courier` is made.
    pub(crate) fn start<C: Courier>(
        name: &str,
        queue_bytes: usize,
        courier: impl FnOnce() -> C + Send + 'static,
    ) -> io::Result<Self> {
        Self::watched(name, queue_bytes, |_| courier())
    }

    /// The same for a courier whose client reports trouble by itself.
    pub(crate) fn watched<C: Courier>(
        name: &str,
        queue_bytes: usize,
        courier: impl FnOnce(Watch) -> C + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::keeping_events_apart(queue_bytes, GROUP_BYTES));
        let shared = Arc::new(Shared {
            name: name.into(),
            health: HealthCell::new(),
            counters: Counters::default(),
            alarmed: AtomicBool::new(false),
        });
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
                    Driver::new(courier, intake, &its).run().await;
                });
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

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    fn notify_room(&self, slot: usize, completion: &Arc<dyn Completion>) {
        self.queue.notify_room(slot, completion);
    }

    fn health(&self) -> Health {
        self.shared.health.get()
    }

    fn stats(&self) -> Stats {
        self.queue.add_depth(self.shared.counters.read())
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
