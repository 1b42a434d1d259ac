//! kill -9 at random moments under load: nothing that was acknowledged is missing afterwards.
//! `LANDFALL_SEED` repeats the moments of a run.

mod held;
mod publishes;
mod registry;

use std::ops::Range;
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::harness::wait;

/// When a server is to be killed.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// So much of the load has been acknowledged.
    at: usize,
    /// And then so long.
    after: Duration,
}

impl Moment {
    fn new(chance: &mut Rng, range: Range<usize>) -> Self {
        Self {
            at: chance.usize(range),
            after: Duration::from_micros(chance.u64(..20_000)),
        }
    }

    /// Moments of a load of `total`, one in each equal part of it.
    fn several(chance: &mut Rng, count: usize, total: usize) -> Vec<Self> {
        let part = total / count;
        let moments =
            (0..count).map(|number| Self::new(chance, number * part..(number + 1) * part));
        moments.collect()
    }

    /// Returns when it has come.
    fn wait(self, acknowledged: impl Fn() -> usize) {
        wait::until(&format!("{self:?}"), || {
            (acknowledged() >= self.at).then_some(())
        });
        thread::park_timeout(self.after);
    }
}
