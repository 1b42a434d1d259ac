//! Who may write to the database: the writer or the keeper.
//!
//! SQLite lets one connection write at a time and makes others poll. Here the keeper gets the next
//! turn once it waits, so that a busy writer does not starve it, and a waiting party is woken at
//! once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Turn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    taken: bool,
    keeper_waits: bool,
}

/// The turn; over when dropped.
pub(super) struct Taken<'a>(&'a Turn);

impl Turn {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                taken: false,
                keeper_waits: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// For the writer: after the keeper, if that waits.
    pub(super) fn take_to_append(&self) -> Taken<'_> {
        let mut state = self.lock();
        while state.taken || state.keeper_waits {
            state = self.wait(state);
        }
        state.taken = true;
        Taken(self)
    }

    /// For the keeper: after at most one transaction of the writer.
    pub(super) fn take_to_keep(&self) -> Taken<'_> {
        let mut state = self.lock();
        state.keeper_waits = true;
        while state.taken {
            state = self.wait(state);
        }
        state.keeper_waits = false;
        state.taken = true;
        Taken(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.lock().taken = false;
        self.0.changed.notify_all();
    }
}
