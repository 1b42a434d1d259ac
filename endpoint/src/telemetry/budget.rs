//! A bound on log lines that strangers can cause: what scans ports or guesses passwords must not
//! fill the disk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Line;

/// Lines within a window; further ones are left out and counted.
const LINES: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);

/// The lines of one kind of event.
#[derive(Debug, Default)]
pub(crate) struct LineBudget {
    window: Mutex<Option<Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    spent: u32,
}

impl LineBudget {
    /// Whether an event at `now` may have a line.
    pub(crate) fn ask(&self, now: Instant) -> Option<Line> {
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
        let left_out = u64::from(left_out);
        (current.spent <= LINES).then_some(Line { left_out })
    }

    /// As if the window had passed.
    #[cfg(test)]
    pub(crate) fn pass_window(&self) {
        if let Some(window) = &mut *self.window.lock().unwrap() {
            window.since = window.since.checked_sub(WINDOW).unwrap();
        }
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
        let line = budget.ask(start + WINDOW).unwrap();
        assert_eq!(line.left_out(), Some(800));
        let next = budget.ask(start + WINDOW).unwrap();
        assert_eq!(next.left_out(), None);
    }
}
