//! What a sink has done: numbers for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of [`Stats::commit_times`]' buckets, in microseconds; a last bucket has none.
pub const COMMIT_BOUNDS: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000,
];

/// What a sink has done since it was opened. All but the queue's figures only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events reported accepted.
    pub accepted: u64,
    /// Encoded bytes of these.
    pub accepted_bytes: u64,
    /// Events reported refused.
    pub refused: u64,
    /// Events handed over and not reported yet.
    pub queued: u64,
    /// Encoded bytes of these.
    pub queued_bytes: u64,
    /// Connections waiting for room.
    pub waiting: u64,
    /// Events that were reported accepted and wait on disk for their system.
    pub spilled: u64,
    /// Commits (or writes) that succeeded.
    pub commits: u64,
    /// Commits that failed and were, or will be, tried again.
    pub failed_commits: u64,
    /// Time that the successful commits took, summed.
    pub commit_time: Duration,
    /// How many of them took how long: see [`COMMIT_BOUNDS`]. Not cumulative.
    pub commit_times: [u64; COMMIT_BOUNDS.len() + 1],
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    accepted_bytes: AtomicU64,
    refused: AtomicU64,
    commits: AtomicU64,
    failed_commits: AtomicU64,
    commit_micros: AtomicU64,
    commit_times: [AtomicU64; COMMIT_BOUNDS.len() + 1],
}

impl Counters {
    pub(crate) fn accepted(&self, events: u64, bytes: u64) {
        self.accepted.fetch_add(events, Relaxed);
        self.accepted_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn committed(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Relaxed);
        self.commit_micros.fetch_add(micros, Relaxed);
        let bucket = COMMIT_BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.commit_times.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn refused(&self, events: u64) {
        self.refused.fetch_add(events, Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed_commits.fetch_add(1, Relaxed);
    }

    /// All but the queue's figures, which the queue knows.
    pub(crate) fn read(&self) -> Stats {
        Stats {
            accepted: self.accepted.load(Relaxed),
            accepted_bytes: self.accepted_bytes.load(Relaxed),
            refused: self.refused.load(Relaxed),
            commits: self.commits.load(Relaxed),
            failed_commits: self.failed_commits.load(Relaxed),
            commit_time: Duration::from_micros(self.commit_micros.load(Relaxed)),
            commit_times: self
                .commit_times
                .each_ref()
                .map(|count| count.load(Relaxed)),
            ..Stats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_times_fall_into_the_bucket_whose_bound_they_do_not_exceed() {
        let counters = Counters::default();
        for micros in [0, 100, 101, 2_500_000, 2_500_001, 60_000_000] {
            counters.committed(Duration::from_micros(micros));
        }
        let stats = counters.read();
        assert_eq!(stats.commit_times[..2], [2, 1]);
        assert_eq!(stats.commit_times[COMMIT_BOUNDS.len() - 1..], [1, 2]);
        assert_eq!(stats.commits, 6);
        assert_eq!(stats.commit_time, Duration::from_micros(65_000_202));
    }
}
