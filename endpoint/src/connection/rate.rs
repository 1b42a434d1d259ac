//! How much a client may publish in a second: what one device may take of a server that others share.
//!
//! A bucket for each bound, which fills evenly and holds a second's worth. It is kept as one number, the
//! time at which it will be full again (GCRA).

use std::num::{NonZeroU32, NonZeroU64};

use landfall_protocol::session::Time;

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// What a connection may publish in a second, on average; `None`: any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// PUBLISH packets.
    pub publishes: Option<NonZeroU32>,
    /// Their bytes, fixed headers included.
    pub bytes: Option<NonZeroU64>,
}

/// When the buckets will be full again, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Buckets {
    publishes: u64,
    bytes: u64,
}

impl Rates {
    /// Whether there is any bound.
    pub(super) const fn bound(&self) -> bool {
        self.publishes.is_some() || self.bytes.is_some()
    }
}

impl Buckets {
    /// Takes a PUBLISH of so many bytes out. One that is larger than what is left is owed.
    pub(super) fn take(&mut self, rates: &Rates, size: usize, now: Time) {
        let now = now.saturating_mul(MILLISECOND);
        if let Some(rate) = rates.publishes {
            let interval = SECOND / u64::from(rate.get());
            self.publishes = self.publishes.max(now).saturating_add(interval);
        }
        if let Some(rate) = rates.bytes {
            let interval = (size as u64).saturating_mul(SECOND) / rate;
            self.bytes = self.bytes.max(now).saturating_add(interval);
        }
    }

    /// From when on something may be taken.
    pub(super) fn ready_at(&self) -> Time {
        let full_again = self.publishes.max(self.bytes);
        full_again.saturating_sub(SECOND).div_ceil(MILLISECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = 5_000;

    fn rates(publishes: u32, bytes: u64) -> Rates {
        Rates {
            publishes: NonZeroU32::new(publishes),
            bytes: NonZeroU64::new(bytes),
        }
    }

    /// Publishes as fast as it may for so many milliseconds: how often.
    fn published(rates: &Rates, size: usize, from: Time, milliseconds: Time) -> usize {
        let mut buckets = Buckets::default();
        let mut count = 0;
        for now in from..from + milliseconds {
            while buckets.ready_at() <= now {
                buckets.take(rates, size, now);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn a_second_s_worth_is_free_and_then_the_rate_holds() {
        // One more for the start of each span: the bucket is never below one.
        assert_eq!(published(&rates(10, 0), 1, START, 1), 11);
        assert_eq!(published(&rates(10, 0), 1, START, 10_000), 10 + 100);
        assert_eq!(published(&rates(7, 0), 1, START, 60_000), 7 + 420);
    }

    #[test]
    fn bytes_count_as_much_as_publishes() {
        assert_eq!(published(&rates(0, 1_000), 100, START, 10_000), 10 + 100);
        assert_eq!(published(&rates(10, 500), 100, START, 10_000), 5 + 50);
        assert_eq!(published(&rates(3, 1_000_000), 100, START, 10_000), 3 + 30);
    }

    #[test]
    fn a_packet_larger_than_a_second_s_bytes_is_taken_and_paid_for_later() {
        let rates = rates(0, 1_000);
        let mut buckets = Buckets::default();
        buckets.take(&rates, 5_000, START);
        assert_eq!(buckets.ready_at(), START + 4_000);
    }

    #[test]
    fn nothing_is_saved_up_beyond_a_second() {
        let rates = rates(10, 0);
        let mut buckets = Buckets::default();
        buckets.take(&rates, 1, START);
        let later = START + 3_600_000;
        let mut count = 0;
        while buckets.ready_at() <= later {
            buckets.take(&rates, 1, later);
            count += 1;
        }
        assert_eq!(count, 11);
    }

    #[test]
    fn the_largest_packet_and_the_smallest_rate_are_no_fault() {
        let rates = rates(1, 1);
        let mut buckets = Buckets::default();
        for _ in 0..100 {
            buckets.take(&rates, 268_435_460, Time::MAX / 2);
        }
        assert!(buckets.ready_at() > 0);
    }
}
