//! Which partition an event goes to, and which partitions know a producer.
//!
//! Brokers check the sequence of batches only of producers that they have taken something from, in
//! that partition. Behind a first batch that they refuse they take the second, and what was in the
//! first would follow it. So the first event of an application in a partition that has taken nothing of
//! a producer yet is waited for before more of the application is sent: then nothing of its sender is
//! behind it.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::producer::Partitioner;

/// For so long a partition is held to know the producer. Brokers forget producers of which they hear
/// nothing for a day (`producer.id.expiration.ms`).
const MEMORY: Duration = Duration::from_secs(3_600);

thread_local! {
    /// Where the message went that this thread handed to librdkafka last.
    static PLACED: Cell<Option<i32>> = const { Cell::new(None) };
}

/// Places the events of one producer.
pub(super) struct Placement(Mutex<Known>);

struct Known {
    /// By topic.
    partitions: HashMap<String, HashSet<i32>>,
    since: Instant,
}

impl Placement {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Known {
            partitions: HashMap::new(),
            since: now,
        }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what brokers may have forgotten; asked between events, not with each.
    pub(super) fn forget_old(&self, now: Instant) {
        let mut known = self.known();
        if now.saturating_duration_since(known.since) >= MEMORY {
            known.partitions.clear();
            known.since = now;
        }
    }

    /// Brokers have taken an event of the producer in this partition.
    pub(super) fn was_taken(&self, topic: &str, partition: i32) {
        let mut known = self.known();
        if let Some(partitions) = known.partitions.get_mut(topic) {
            partitions.insert(partition);
        } else {
            let partitions = HashSet::from([partition]);
            known.partitions.insert(topic.to_owned(), partitions);
        }
    }

    /// Whether the message for this topic that this thread has just handed to librdkafka may be the
    /// first of the producer in its partition; asked after each. It may be while brokers have not
    /// told yet which partitions there are.
    pub(super) fn was_first(&self, topic: &str) -> bool {
        let Some(placed) = PLACED.take() else {
            return true;
        };
        let known = self.known();
        let partitions = known.partitions.get(topic);
        !partitions.is_some_and(|partitions| partitions.contains(&placed))
    }
}

/// As Kafka's own clients place keys. Each event has one.
impl Partitioner for Placement {
    fn partition(
        &self,
        _topic: &str,
        key: Option<&[u8]>,
        partitions: i32,
        _is_available: impl Fn(i32) -> bool,
    ) -> i32 {
        let hash = murmur2(key.unwrap_or_default()) & 0x7fff_ffff;
        // Brokers name at least one partition of a topic that is there.
        let partitions = u32::try_from(partitions).unwrap_or_default().max(1);
        let partition = i32::try_from(hash % partitions).unwrap_or_default();
        PLACED.set(Some(partition));
        partition
    }
}

/// MurmurHash2, 32 bits, with the seed that Kafka's clients use.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const FACTOR: u32 = 0x5bd1_e995;
    // Modulo 2^32, as the algorithm has it; keys are shorter.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, rest) = key.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        word ^= word >> 24;
        hash = hash.wrapping_mul(FACTOR) ^ word.wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let bytes = rest.iter().rev();
        hash ^= bytes.fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(FACTOR);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_first(placement: &Placement, topic: &str, key: &str) -> bool {
        placement.partition(topic, Some(key.as_bytes()), 1, |_| true);
        placement.was_first(topic)
    }

    #[test]
    fn a_partition_knows_a_producer_once_it_has_taken_an_event_and_for_a_while() {
        let now = Instant::now();
        let placement = Placement::new(now);
        assert!(is_first(&placement, "a", "k"));
        placement.was_taken("a", 1);
        assert!(is_first(&placement, "a", "k"), "another partition");
        placement.was_taken("a", 0);
        assert!(!is_first(&placement, "a", "k"));
        assert!(is_first(&placement, "b", "k"), "another topic");
        placement.forget_old(now + MEMORY / 2);
        assert!(!is_first(&placement, "a", "k"));
        placement.forget_old(now + MEMORY);
        assert!(is_first(&placement, "a", "k"));
    }

    #[test]
    fn while_partitions_are_not_known_an_event_may_be_the_first() {
        let placement = Placement::new(Instant::now());
        placement.was_taken("a", 0);
        assert!(!is_first(&placement, "a", "k"));
        // Nothing was placed.
        assert!(placement.was_first("a"));
    }
}
