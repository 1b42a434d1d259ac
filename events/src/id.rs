//! Event ids: UUID version 7.

use std::cell::RefCell;

use uuid::Uuid;

use crate::time::Timestamp;

/// Bits of the counter that orders ids within a millisecond: the 12 of `rand_a` and the first 14
/// of `rand_b`.
const COUNTER_BITS: u32 = 26;
/// Each millisecond starts at a random count, its top bit clear so that there is room to count.
const SEED_MASK: u64 = (1 << (COUNTER_BITS - 1)) - 1;
/// Bits of `rand_b` below the counter, random in every id.
const RANDOM_BITS: u32 = 48;
const RANDOM_MASK: u64 = (1 << RANDOM_BITS) - 1;
const MILLIS_MASK: u64 = (1 << 48) - 1;

/// Makes UUIDs of version 7 (RFC 9562, 5.7) for one thread: no lock, no system call.
///
/// Ids of one source strictly rise, also within a millisecond and when the clock is set back
/// (RFC 9562, 6.2, method 1: a counter of 26 bits with a random start in every millisecond). Ids of
/// different sources are told apart by the counter's start and 48 random bits. They are unique, not
/// unguessable.
#[derive(Debug)]
pub struct IdSource {
    millis: u64,
    counter: u64,
    random: fastrand::Rng,
}

impl IdSource {
    /// A source with a random start of its own, taken from the operating system's generator.
    #[must_use]
    pub fn new() -> Self {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        Self {
            millis: 0,
            counter: 0,
            // Version and variant bits are fixed in one half each; the sum has entropy in all bits.
            random: fastrand::Rng::with_seed(high.wrapping_add(low.rotate_left(32))),
        }
    }

    /// The next id, for an event of the given time.
    pub fn next(&mut self, time: Timestamp) -> Uuid {
        let millis = time.as_millis() & MILLIS_MASK;
        if millis > self.millis {
            self.start(millis);
        } else {
            self.counter += 1;
            if self.counter >> COUNTER_BITS != 0 {
                // RFC 9562, 6.2: a counter that runs over may borrow from the next tick.
                self.start(self.millis + 1);
            }
        }
        let random = self.random.u64(..) & RANDOM_MASK;
        let version_and_counter = 0x7000 | (self.counter >> 14);
        let variant = 0b10 << 62;
        Uuid::from_u64_pair(
            self.millis << 16 | version_and_counter,
            variant | (self.counter & 0x3fff) << RANDOM_BITS | random,
        )
    }

    fn start(&mut self, millis: u64) {
        self.millis = millis;
        self.counter = self.random.u64(..) & SEED_MASK;
    }
}

impl Default for IdSource {
    fn default() -> Self {
        Self::new()
    }
}

/// The id of an event that another process may have to say again: the same whenever it is made.
///
/// It carries `time` in microseconds (RFC 9562, 6.2, method 3: increased clock precision in `rand_a`),
/// and behind them `rank`, of which two bits count: ids of one time rise with it. 62 bits that are
/// made of `name` tell ids of the same time and rank apart.
#[must_use]
pub fn lasting_id(time: Timestamp, rank: u8, name: &[u8]) -> Uuid {
    let millis = time.as_millis() & MILLIS_MASK;
    let micros = time.0 % 1_000;
    let version_and_time = 0x7000 | micros << 2 | u64::from(rank & 0b11);
    let variant = 0b10 << 62;
    Uuid::from_u64_pair(millis << 16 | version_and_time, variant | fnv_1a(name) >> 2)
}

/// FNV-1a of Fowler, Noll and Vo, 64 bits: unlike the standard library's hash, the same in every build.
#[must_use]
pub fn fnv_1a(bytes: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

/// The next id of the calling thread's own [`IdSource`].
#[must_use]
pub fn next_id(time: Timestamp) -> Uuid {
    thread_local! {
        static SOURCE: RefCell<IdSource> = RefCell::new(IdSource::new());
    }
    SOURCE.with_borrow_mut(|source| source.next(time))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::{Variant, Version};

    use super::*;

    #[test]
    fn ids_are_version_7_and_carry_the_time() {
        let id = IdSource::new().next(Timestamp(1_793_882_096_123_456));
        assert_eq!(id.get_version(), Some(Version::SortRand));
        assert_eq!(id.get_variant(), Variant::RFC4122);
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_793_882_096, 123_000_000));
    }

    #[test]
    fn ids_rise_within_a_millisecond_and_when_the_clock_is_set_back() {
        let mut source = IdSource::new();
        let mut last = Uuid::nil();
        for micros in [5_000_000; 10_000]
            .into_iter()
            .chain([4_000_000; 100])
            .chain(5_000_000..5_010_000)
        {
            let id = source.next(Timestamp(micros));
            assert!(id > last, "{id} after {last}");
            last = id;
        }
    }

    #[test]
    fn a_counter_that_runs_over_borrows_the_next_millisecond() {
        let mut source = IdSource::new();
        let first = source.next(Timestamp(5_000));
        source.counter = (1 << COUNTER_BITS) - 1;
        let next = source.next(Timestamp(5_000));
        assert!(next > first);
        assert_eq!(next.get_version(), Some(Version::SortRand));
        assert_eq!(source.millis, 6);
        assert!(source.next(Timestamp(5_000)) > next);
    }

    #[test]
    fn lasting_ids_are_version_7_and_the_same_in_every_build() {
        let time = Timestamp(1_793_882_096_123_456);
        let id = lasting_id(time, 1, b"instance");
        assert_eq!(id.to_string(), "01a1abb4-81fb-7721-9052-84d3093be054");
        assert_eq!(id.get_version(), Some(Version::SortRand));
        assert_eq!(id.get_variant(), Variant::RFC4122);
        assert_eq!(id.get_timestamp().unwrap().to_unix().0, 1_793_882_096);
        assert_ne!(id, lasting_id(time, 1, b"another"));
        // The published test vector of FNV-1a.
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn lasting_ids_rise_with_time_and_then_with_rank() {
        let ids: Vec<_> = [(5_999, 2), (6_000, 0), (6_000, 1), (6_000, 2), (6_001, 0)]
            .into_iter()
            .map(|(micros, rank)| lasting_id(Timestamp(micros), rank, b"n"))
            .collect();
        assert!(ids.is_sorted() && ids.first() < ids.last(), "{ids:?}");
    }

    #[test]
    fn ids_of_many_threads_in_one_millisecond_are_unique() {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(|| {
                    (0..20_000)
                        .map(|_| next_id(Timestamp(7_000)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let ids: HashSet<Uuid> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(ids.len(), 160_000);
    }
}
