//! How long it takes until all is well again after a fault. It is printed, for the table of faults in
//! `docs/robustness.md`, and never asserted: `./tests/run -E '…' --success-output immediate` shows it.

use std::time::Instant;

/// Runs from the end of a fault.
pub(crate) struct Recovery(Instant);

impl Recovery {
    /// The fault ends now.
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// All is well again.
    pub(crate) fn end(self, fault: &str) {
        println!("well again after {fault}: {:.2?}", self.0.elapsed());
    }
}
