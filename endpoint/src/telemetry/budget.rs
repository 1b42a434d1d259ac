//! A bound on log lines that strangers can cause: what scans ports or guesses passwords must not
//! fill the disk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines within a window; further ones are left out and counted.
const LINES: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);

/// The lines of one kind of event.
#[derive(Debug, Default)]
pub(super) struct LineBudget {
    window: Mutex<Option<Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    spent: u32,
}

impl LineBudget {
    /// Whether an event at `now` may have a line. `Some(n)`: it may, and n before it had none.
    pub(super) fn ask(&self, now: Instant) -> Option<u32> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let current = window.get_or_insert(Window {
            since: now,
            spent: 0,
        });
        let mut left_out = 0;
        if now.saturating_duration_since(current.since) >= WINDOW {
            left_out = current.spent.saturating_sub(LINES);
            *current = Window {
                since: now,
                spent: 0,
            };
        }
        current.spent = current.spent.saturating_add(1);
        (current.spent <= LINES).then_some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_events_has_a_bounded_number_of_lines_and_the_rest_is_told_as_a_number() {
        let budget = LineBudget::default();
        let start = Instant::now();
        let lines = (0..1_000).filter(|_| budget.ask(start).is_some()).count();
        assert_eq!(lines, 200);
        assert_eq!(budget.ask(start + WINDOW), Some(800));
        assert_eq!(budget.ask(start + WINDOW), Some(0));
    }
}
