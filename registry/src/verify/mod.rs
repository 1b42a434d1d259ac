//! Verification of passwords: slow hashes bounded in number, good log-ins remembered, and as much
//! work for a device that does not exist as for one that does.

mod pool;
mod remembered;

pub(crate) use pool::{Busy, Workers};
pub(crate) use remembered::Remembered;

use std::sync::{PoisonError, RwLock};

use crate::secret::cost::Cost;

/// The cost of the last password that was verified: what an unknown device costs too, so that the
/// time of a refusal does not tell whether a device exists. Where one registry holds hashes of
/// different costs this is an approximation.
pub(crate) struct Decoy {
    last: RwLock<Cost>,
}

impl Decoy {
    pub(crate) fn new(initial: Cost) -> Decoy {
        Decoy {
            last: RwLock::new(initial),
        }
    }

    pub(crate) fn cost(&self) -> Cost {
        *self.last.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn observe(&self, cost: Cost) {
        if self.cost() != cost {
            *self.last.write().unwrap_or_else(PoisonError::into_inner) = cost;
        }
    }
}
