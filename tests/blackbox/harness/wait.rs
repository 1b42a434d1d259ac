//! Waiting for a condition: generous in time, never a fixed pause before a check.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take before the test gives up.
///
/// It bounds a hang and measures nothing: a slow machine must not fail a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The pause between two looks at a condition that nobody announces.
const POLL: Duration = Duration::from_millis(20);

/// Calls `look` until it finds something.
///
/// # Panics
/// After [`DEADLINE`], naming `what` was waited for.
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, look)
}

/// As [`until`], with a deadline of the caller's choice.
pub(crate) fn within<T>(deadline: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < end,
            "still waiting after {deadline:?}: {what}"
        );
        pause();
    }
}

/// A count once it has not changed for a while.
pub(crate) fn standing_still(count: impl Fn() -> usize) -> usize {
    let (mut last, mut looks) = (count(), 0);
    until("a count that stands still", || {
        let now = count();
        looks = if now == last { looks + 1 } else { 0 };
        last = now;
        (looks == 10).then_some(now)
    })
}

/// Lets others run before the next look; only for loops that end on a condition.
pub(crate) fn pause() {
    thread::park_timeout(POLL);
}
