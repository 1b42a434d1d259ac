//! Failures of one kind, counted and forgotten.

use std::time::Duration;

use landfall_protocol::session::Time;

/// Within this time as many failures are forgotten as are free.
const WINDOW: Time = 10 * 60 * 1_000;
/// The first wait, in milliseconds; each further failure doubles it.
const FIRST_WAIT: Time = 1_000;
/// Failures beyond the free ones that are remembered: the last wait would be 18 hours.
const MOST_DOUBLINGS: Time = 16;

/// How many failures are free, and how long is waited at most beyond them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Time in which one failure is forgotten; `None`: failures are not counted.
    forget: Option<Time>,
    free: Time,
    longest_wait: Time,
}

impl Allowance {
    /// `free` failures; 0 allows any number.
    pub(super) fn new(free: u32, longest_wait: Duration) -> Self {
        Self {
            forget: WINDOW.checked_div(Time::from(free)),
            free: free.into(),
            longest_wait: Time::try_from(longest_wait.as_millis()).unwrap_or(Time::MAX),
        }
    }
}

/// A leaky bucket of failures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// When all failures so far will be forgotten.
    empty_at: Time,
    /// Until then nothing is let through.
    blocked_until: Time,
    /// When it was last reported that it blocks.
    reported: Option<Time>,
}

impl Bucket {
    pub(super) fn is_blocked(&self, now: Time) -> bool {
        now < self.blocked_until
    }

    /// Counts a failure.
    pub(super) fn fail(&mut self, allowance: &Allowance, now: Time) {
        let Some(forget) = allowance.forget else {
            return;
        };
        let most = allowance.free + MOST_DOUBLINGS;
        self.empty_at = (self.empty_at.max(now) + forget).min(now + most * forget);
        let failures = (self.empty_at - now).div_ceil(forget);
        if let Some(over) = failures.checked_sub(allowance.free) {
            let wait = FIRST_WAIT << over.min(MOST_DOUBLINGS);
            self.blocked_until = now + wait.min(allowance.longest_wait);
        }
    }

    /// Whether to report now that it blocks: once in a period.
    pub(super) fn report(&mut self, now: Time) -> bool {
        let due = self.reported.is_none_or(|last| now >= last + WINDOW);
        if due {
            self.reported = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE_OF_3: Allowance = Allowance {
        forget: Some(WINDOW / 3),
        free: 3,
        longest_wait: 20_000,
    };

    #[test]
    fn what_is_free_does_not_block() {
        let mut bucket = Bucket::default();
        for now in [5, 10] {
            bucket.fail(&ALLOWANCE_OF_3, now);
            assert!(!bucket.is_blocked(now));
        }
        bucket.fail(&ALLOWANCE_OF_3, 15);
        assert!(bucket.is_blocked(15));
    }

    #[test]
    fn each_failure_beyond_doubles_the_wait_up_to_the_longest() {
        let mut bucket = Bucket::default();
        let mut now = 0;
        for _ in 0..2 {
            bucket.fail(&ALLOWANCE_OF_3, now);
        }
        for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000] {
            bucket.fail(&ALLOWANCE_OF_3, now);
            assert!(bucket.is_blocked(now + wait - 1), "{wait}");
            assert!(!bucket.is_blocked(now + wait), "{wait}");
            now += wait;
        }
    }

    #[test]
    fn failures_are_forgotten_one_by_one() {
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            bucket.fail(&ALLOWANCE_OF_3, 0);
        }
        // Two are forgotten, so one is free again.
        let later = 2 * WINDOW / 3;
        bucket.fail(&ALLOWANCE_OF_3, later);
        assert!(!bucket.is_blocked(later));
        bucket.fail(&ALLOWANCE_OF_3, later);
        assert!(bucket.is_blocked(later));
    }

    #[test]
    fn any_number_is_allowed_without_a_bound() {
        let unlimited = Allowance::new(0, Duration::from_secs(60));
        let mut bucket = Bucket::default();
        for _ in 0..1_000 {
            bucket.fail(&unlimited, 0);
        }
        assert!(!bucket.is_blocked(0));
    }

    #[test]
    fn a_block_is_reported_once_in_a_period() {
        let mut bucket = Bucket::default();
        assert!(bucket.report(7));
        assert!(!bucket.report(7 + WINDOW - 1));
        assert!(bucket.report(7 + WINDOW));
    }
}
