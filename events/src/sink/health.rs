//! Whether a sink takes events, as its thread last saw it.

use std::sync::{Mutex, PoisonError};

use super::Health;
use crate::event::Timestamp;

/// Written by the sink's thread, read by anyone.
#[derive(Debug)]
pub(crate) struct HealthCell(Mutex<Health>);

impl HealthCell {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Health::Up))
    }

    pub(crate) fn get(&self) -> Health {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The sink takes events. True if it did not before.
    pub(crate) fn set_up(&self) -> bool {
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *health, Health::Up) != Health::Up
    }

    /// The sink fails, for the given reason; since the first of the failures in a row. True for
    /// that first one.
    pub(crate) fn set_failing(&self, reason: String) -> bool {
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, is_first) = match &*health {
            Health::Up => (Timestamp::now(), true),
            Health::Failing { since, .. } => (*since, false),
        };
        *health = Health::Failing {
            since,
            reason: reason.into(),
        };
        is_first
    }

    /// To be held by the sink's thread: if that ever panics, the sink fails for good, and says so.
    pub(crate) fn attend(&self) -> Attendance<'_> {
        Attendance(self)
    }
}

pub(crate) struct Attendance<'a>(&'a HealthCell);

impl Drop for Attendance<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set_failing("its thread has panicked".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_keep_the_time_of_the_first() {
        let cell = HealthCell::new();
        assert!(cell.set_failing("disk full".into()));
        let Health::Failing { since: first, .. } = cell.get() else {
            panic!("failing")
        };
        assert!(!cell.set_failing("still full".into()));
        assert_eq!(
            cell.get(),
            Health::Failing {
                since: first,
                reason: "still full".into()
            }
        );
        assert!(cell.set_up());
        assert!(!cell.set_up());
        assert_eq!(cell.get(), Health::Up);
    }

    #[test]
    fn a_thread_that_panics_leaves_the_sink_failing() {
        let cell = HealthCell::new();
        drop(cell.attend());
        assert_eq!(cell.get(), Health::Up);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _attendance = cell.attend();
                panic!("as a bug would");
            });
            assert!(thread.join().is_err());
        });
        assert!(matches!(cell.get(), Health::Failing { .. }));
    }
}
