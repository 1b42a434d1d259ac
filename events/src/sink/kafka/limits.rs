//! What was learned of what brokers take.
//!
//! A batch that is larger than its topic takes is refused as a whole, and has everything under way
//! come back; so does one with an event that brokers hold for invalid. So batches become smaller when
//! that happens, and events of about the size of one that was refused by itself do not go into batches,
//! nor do those of a sender whose event was invalid. None of that refuses an event: brokers judge what is
//! compressed, and their limits change. All is forgotten after [`MEMORY`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a limit is remembered.
const MEMORY: Duration = Duration::from_secs(600);
/// Batches do not become smaller than this, in bytes.
const SMALLEST_BATCH: usize = 16 << 10;
/// Topics, and senders, that are remembered; the one that would be forgotten first makes room.
const MOST: usize = 1_000;

/// See the module. Clones are the same.
#[derive(Clone)]
pub(super) struct Limits(Arc<Inner>);

struct Inner {
    /// The configured size of batches, in bytes.
    batch_bytes: usize,
    /// Events below this size, in bytes, are no suspects in any topic.
    least_suspect: AtomicUsize,
    /// No sender is a suspect.
    trusts_all: AtomicBool,
    learned: Mutex<Learned>,
}

#[derive(Default)]
struct Learned {
    batch: Option<Bound>,
    /// By topic.
    sizes: Remembered,
    /// By key; the size says nothing.
    senders: Remembered,
    /// When the last of these is forgotten.
    senders_until: Option<Instant>,
}

/// Bounds that are forgotten, at most [`MOST`] of them.
#[derive(Default)]
struct Remembered(HashMap<String, Bound>);

/// A size in bytes, until it is forgotten.
#[derive(Clone, Copy)]
struct Bound {
    bytes: usize,
    until: Instant,
}

impl Limits {
    /// `batch_bytes`: the configured size of batches.
    pub(super) fn new(batch_bytes: usize) -> Self {
        Self(Arc::new(Inner {
            batch_bytes,
            least_suspect: AtomicUsize::new(usize::MAX),
            trusts_all: AtomicBool::new(true),
            learned: Mutex::default(),
        }))
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        let learned = self.0.learned.lock();
        learned.unwrap_or_else(PoisonError::into_inner)
    }

    /// How large a batch may be while nothing else was learned, in bytes.
    pub(super) fn configured_batch_bytes(&self) -> usize {
        self.0.batch_bytes
    }

    /// How large a batch may be now, in bytes.
    pub(super) fn batch_bytes(&self, now: Instant) -> usize {
        let batch = self.learned().batch.filter(|bound| now < bound.until);
        batch.map_or(self.0.batch_bytes, |bound| bound.bytes)
    }

    /// Batches were refused that had so many bytes together: the next ones are to be smaller.
    pub(super) fn refused_batch(&self, bytes: usize, now: Instant) {
        let half = self.batch_bytes(now).min(bytes) / 2;
        let bytes = half.max(SMALLEST_BATCH).min(self.0.batch_bytes);
        self.learned().batch = Some(Bound::new(bytes, now));
    }

    /// Whether a batch cannot be made smaller: an event of this size is one by itself, or batches
    /// are at their smallest.
    pub(super) fn is_smallest(batch_bytes: usize, event_bytes: usize) -> bool {
        event_bytes >= batch_bytes || batch_bytes <= SMALLEST_BATCH
    }

    /// An event of so many bytes was refused by itself.
    pub(super) fn refused_event(&self, topic: &str, bytes: usize, now: Instant) {
        let sizes = &mut self.learned().sizes;
        // Half of it is near enough: who tries smaller sizes does not find as many of them.
        let before = sizes
            .get(topic, now)
            .map_or(usize::MAX, |bound| bound.bytes);
        sizes.insert(topic, Bound::new((bytes / 2).min(before), now));
        let least = sizes.0.values().map(|bound| bound.bytes).min();
        let least = least.unwrap_or(usize::MAX);
        self.0.least_suspect.store(least, Ordering::Relaxed);
    }

    /// An event of the sender with this key was invalid, by itself.
    pub(super) fn refused_sender(&self, key: &str, now: Instant) {
        let mut learned = self.learned();
        let bound = Bound::new(0, now);
        learned.senders.insert(key, bound);
        learned.senders_until = Some(bound.until);
        self.0.trusts_all.store(false, Ordering::Relaxed);
    }

    /// Whether no event of this size is a suspect, whatever its topic and sender.
    pub(super) fn are_trusted(&self, bytes: usize) -> bool {
        bytes < self.0.least_suspect.load(Ordering::Relaxed)
            && self.0.trusts_all.load(Ordering::Relaxed)
    }

    /// Whether an event of this size may be too large for its topic, or its sender's are invalid.
    pub(super) fn is_suspect(
        &self,
        key: &str,
        bytes: usize,
        now: Instant,
        topic: impl FnOnce() -> String,
    ) -> bool {
        let mut learned = self.learned();
        if learned
            .senders_until
            .take_if(|until| *until <= now)
            .is_some()
        {
            learned.senders = Remembered::default();
            self.0.trusts_all.store(true, Ordering::Relaxed);
        }
        if learned.senders.get(key, now).is_some() {
            return true;
        }
        let is_large = bytes >= self.0.least_suspect.load(Ordering::Relaxed);
        let bound = is_large.then(|| learned.sizes.get(&topic(), now).copied());
        bound.flatten().is_some_and(|bound| bytes >= bound.bytes)
    }
}

impl Remembered {
    fn get(&self, name: &str, now: Instant) -> Option<&Bound> {
        self.0.get(name).filter(|bound| now < bound.until)
    }

    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, bound| now < bound.until);
    }

    fn insert(&mut self, name: &str, bound: Bound) {
        self.forget(bound.until - MEMORY);
        if self.0.len() >= MOST && !self.0.contains_key(name) {
            let first = self.0.iter().min_by_key(|(_, bound)| bound.until);
            if let Some(first) = first.map(|(name, _)| name.clone()) {
                self.0.remove(&first);
            }
        }
        self.0.insert(name.to_owned(), bound);
    }
}

impl Bound {
    fn new(bytes: usize, now: Instant) -> Self {
        Self {
            bytes,
            until: now + MEMORY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspects(limits: &Limits, topic: &str, key: &str, bytes: usize, now: Instant) -> bool {
        limits.is_suspect(key, bytes, now, || topic.to_owned())
    }

    #[test]
    fn batches_become_smaller_while_they_are_refused_and_larger_after_a_while() {
        let limits = Limits::new(1_000_000);
        let now = Instant::now();
        assert_eq!(limits.batch_bytes(now), 1_000_000);
        limits.refused_batch(300_000, now);
        assert_eq!(limits.batch_bytes(now), 150_000);
        // Several batches at once.
        limits.refused_batch(600_000, now);
        assert_eq!(limits.batch_bytes(now), 75_000);
        assert!(!Limits::is_smallest(75_000, 74_999));
        assert!(Limits::is_smallest(75_000, 75_000), "a batch by itself");
        for _ in 0..10 {
            limits.refused_batch(600_000, now);
        }
        assert_eq!(limits.batch_bytes(now), SMALLEST_BATCH);
        assert!(Limits::is_smallest(SMALLEST_BATCH, 1));
        assert_eq!(limits.batch_bytes(now + MEMORY), 1_000_000);
    }

    #[test]
    fn batches_that_are_configured_to_be_smaller_stay_so() {
        let limits = Limits::new(5_000);
        let now = Instant::now();
        limits.refused_batch(5_000, now);
        assert_eq!(limits.batch_bytes(now), 5_000);
    }

    #[test]
    fn events_of_half_a_refused_size_are_suspects_in_their_topic_for_a_while() {
        let limits = Limits::new(1_000_000);
        let now = Instant::now();
        assert!(!suspects(&limits, "a", "k", usize::MAX, now));
        limits.refused_event("a", 1_000, now);
        limits.refused_event("a", 2_000, now);
        assert!(suspects(&limits, "a", "k", 500, now) && !suspects(&limits, "a", "k", 499, now));
        assert!(!suspects(&limits, "b", "k", 5_000, now));
        assert!(limits.are_trusted(499) && !limits.are_trusted(500));
        let later = now + MEMORY;
        assert!(!suspects(&limits, "a", "k", 5_000, later));
        limits.refused_event("b", 3_000, later);
        assert!(limits.are_trusted(1_499) && !limits.are_trusted(1_500));
    }

    #[test]
    fn a_sender_of_an_invalid_event_is_a_suspect_for_a_while() {
        let limits = Limits::new(1_000_000);
        let now = Instant::now();
        limits.refused_sender("bad", now);
        assert!(!limits.are_trusted(1));
        assert!(suspects(&limits, "a", "bad", 1, now) && !suspects(&limits, "a", "good", 1, now));
        let later = now + MEMORY;
        assert!(!suspects(&limits, "a", "bad", 1, later));
        assert!(limits.are_trusted(1));
    }

    #[test]
    fn sizes_of_so_many_topics_are_remembered_and_no_more() {
        let limits = Limits::new(1_000_000);
        let now = Instant::now();
        for number in 0..=u32::try_from(MOST).unwrap() {
            let then = now + Duration::from_millis(number.into());
            limits.refused_event(&number.to_string(), 1_000, then);
        }
        assert_eq!(limits.learned().sizes.0.len(), MOST);
        assert!(!suspects(&limits, "0", "k", 1_000, now), "the oldest");
        assert!(suspects(&limits, "1", "k", 1_000, now));
    }
}
