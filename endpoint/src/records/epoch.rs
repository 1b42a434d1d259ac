//! Which of two connections of one client is the later one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Orders connections: microseconds since 1970, raised above every epoch that was seen before, here
/// or from another instance. Of two connections of one client the one with the higher epoch stays;
/// equal ones of different instances are ordered by the instances' ids.
pub type Epoch = u64;

/// Gives epochs. Clocks that differ, or are set back, do no harm: it goes on from what it has seen.
#[derive(Debug, Default)]
pub struct EpochClock {
    highest: AtomicU64,
}

impl EpochClock {
    /// A clock whose epochs are above one that was given earlier.
    pub const fn above(seen: Epoch) -> Self {
        Self {
            highest: AtomicU64::new(seen),
        }
    }

    /// The next epoch: no other of this process is the same, and none that was seen is higher.
    pub fn next(&self) -> Epoch {
        self.next_at(SystemTime::now())
    }

    fn next_at(&self, now: SystemTime) -> Epoch {
        let now = microseconds(now);
        let next = |highest: Epoch| now.max(highest.saturating_add(1));
        let raised = self
            .highest
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |h| Some(next(h)));
        next(raised.unwrap_or_else(|highest| highest))
    }

    /// Another instance has given this one.
    pub fn seen(&self, epoch: Epoch) {
        self.highest.fetch_max(epoch, Ordering::AcqRel);
    }

    /// The highest that was given or seen.
    pub fn highest(&self) -> Epoch {
        self.highest.load(Ordering::Acquire)
    }
}

fn microseconds(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since_1970.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn epochs_rise_with_time_and_when_the_clock_is_set_back() {
        let clock = EpochClock::default();
        assert_eq!(clock.next_at(at(100)), 100_000_000);
        assert_eq!(clock.next_at(at(100)), 100_000_001);
        assert_eq!(clock.next_at(at(1)), 100_000_002);
        assert_eq!(clock.next_at(at(200)), 200_000_000);
    }

    #[test]
    fn an_epoch_is_above_all_that_were_seen() {
        let clock = EpochClock::above(500_000_000);
        assert_eq!(clock.next_at(at(1)), 500_000_001);
        clock.seen(900_000_000);
        clock.seen(100);
        assert_eq!(clock.highest(), 900_000_000);
        assert_eq!(clock.next_at(at(1)), 900_000_001);
    }
}
