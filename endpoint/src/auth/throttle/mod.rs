//! Log-ins that fail again and again are made to wait: guessing passwords gets slow, and a client
//! in a loop costs no hashes.
//!
//! - `bucket`: failures counted, forgotten, and turned into waits;
//! - `table`: by address, by device, and who is spared.

mod bucket;
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

use landfall_protocol::session::Time;

pub use table::{Attempt, Throttled};

use crate::config::LimitsConfig;
use table::Table;

/// Who failed how often; bounded in memory whatever is tried.
pub struct Throttle(Mutex<Table>);

impl Throttle {
    /// With the configured bounds.
    pub fn new(limits: &LimitsConfig) -> Self {
        Self(Mutex::new(Table::new(
            limits.log_in_failures_per_address,
            limits.log_in_failures_per_device,
            limits.log_in_longest_wait,
        )))
    }

    /// Whether the attempt may be made.
    ///
    /// # Errors
    ///
    /// [`Throttled`]: not now. It says the same of devices that exist and of those that do not.
    pub fn check(&self, attempt: &Attempt<'_>, now: Time) -> Result<(), Throttled> {
        self.table().check(attempt, now)
    }

    /// The attempt was refused for its credentials.
    pub fn failed(&self, attempt: &Attempt<'_>, now: Time) {
        self.table().failed(attempt, now);
    }

    /// The device was let in.
    pub fn succeeded(&self, attempt: &Attempt<'_>, now: Time) {
        self.table().succeeded(attempt, now);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
