//! Log-ins that were held back.

use std::time::Instant;

use super::Telemetry;
use crate::auth::{Attempt, Throttled};

/// A log-in was not tried because too many failed before.
pub struct LogInThrottled<'a> {
    /// The attempt.
    pub attempt: Attempt<'a>,
    /// What stands against it.
    pub throttled: Throttled,
}

impl LogInThrottled<'_> {
    /// Counts, and logs the first of its address or device in a while.
    pub fn emit(self, telemetry: &Telemetry) {
        let (by, first) = match self.throttled {
            Throttled::Address { first } => ("address", first),
            Throttled::Device { first } => ("device", first),
        };
        telemetry.log_ins_throttled.with_label_values(&[by]).inc();
        if !first {
            return;
        }
        if let Some(line) = telemetry.lines.throttled.ask(Instant::now()) {
            tracing::warn!(
                address = %self.attempt.address,
                application = self.attempt.application,
                device = self.attempt.device,
                by,
                left_out = line.left_out(),
                "too many log-ins failed: further ones wait"
            );
        }
    }
}
