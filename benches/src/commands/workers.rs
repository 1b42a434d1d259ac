//! Senders that wait for each outcome, a thread each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::{Load, Source};
use crate::error::{Error, Result};
use crate::latency::{Latencies, Summary};

/// Sends commands, one after the other.
pub(super) trait Sender: Send {
    /// Sends command `number` to a device, and returns once it is acknowledged.
    fn send(&mut self, device: &str, number: u64) -> Result<()>;
}

pub(super) struct Workers(pub(super) Vec<Box<dyn Sender>>);

impl Source for Workers {
    fn saturate(&mut self, load: &Load<'_>, duration: Duration) -> Result<(Summary, f64)> {
        let started = Instant::now();
        let summary = self.each(|sender, failed| {
            let mut latencies = Latencies::new()?;
            while started.elapsed() < duration && !failed.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let (number, device) = load.next();
                sender.send(&device, number)?;
                latencies.record(begun.elapsed());
            }
            Ok(latencies)
        })?;
        let per_second = summary.count as f64 / started.elapsed().as_secs_f64();
        Ok((summary, per_second))
    }

    fn at_rate(&mut self, load: &Load<'_>, rate: f64) -> Result<Summary> {
        let started = Instant::now();
        let next = AtomicU64::new(0);
        self.each(|sender, failed| {
            let mut latencies = Latencies::new()?;
            // Whoever is free takes the next: one that is late makes no other late.
            let due =
                || Duration::from_secs_f64(next.fetch_add(1, Ordering::Relaxed) as f64 / rate);
            let mut at = due();
            while at < load.spec.duration && !failed.load(Ordering::Relaxed) {
                if let Some(early) = at.checked_sub(started.elapsed()) {
                    thread::park_timeout(early);
                    continue;
                }
                let (number, device) = load.next();
                sender.send(&device, number)?;
                latencies.record(started.elapsed().saturating_sub(at));
                at = due();
            }
            Ok(latencies)
        })
    }
}

impl Workers {
    /// Runs all workers; the first failure stops the others.
    fn each(
        &mut self,
        work: impl Fn(&mut Box<dyn Sender>, &AtomicBool) -> Result<Latencies> + Sync,
    ) -> Result<Summary> {
        let failed = AtomicBool::new(false);
        let mut all = Latencies::new()?;
        thread::scope(|scope| {
            let (work, failed) = (&work, &failed);
            let start = |sender| {
                scope.spawn(move || {
                    let done = work(sender, failed);
                    failed.fetch_or(done.is_err(), Ordering::Relaxed);
                    done
                })
            };
            let workers: Vec<_> = self.0.iter_mut().map(start).collect();
            for worker in workers {
                all.merge(&join(worker)?);
            }
            Ok(all.summary())
        })
    }
}

fn join(worker: ScopedJoinHandle<'_, Result<Latencies>>) -> Result<Latencies> {
    let panicked = |_| Err(Error::Usage("a worker's thread failed".to_owned()));
    worker.join().unwrap_or_else(panicked)
}
