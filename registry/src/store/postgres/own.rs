//! Revisions that this instance committed itself. Their writers tell of them at once; the feed need
//! not tell again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bounded by what is written while the feed lags behind: when it does not follow at all, the store
/// counts as away, and nothing is written.
#[derive(Clone, Default)]
pub(super) struct Own(Arc<Mutex<BTreeSet<i64>>>);

/// Revisions of a transaction that is about to commit. Unless they are confirmed, the feed tells of
/// them: the commit may have happened, or happen yet, without its writer knowing.
pub(super) struct Pending {
    own: Own,
    revisions: Vec<i64>,
}

impl Own {
    /// To be called before the commit: the feed may see its revisions before it returns.
    pub(super) fn pending(&self, revisions: Vec<i64>) -> Pending {
        self.lock().extend(revisions.iter().copied());
        Pending {
            own: self.clone(),
            revisions,
        }
    }

    /// Whether its writer tells of this revision; asked once of each.
    pub(super) fn take(&self, revision: i64) -> bool {
        self.lock().remove(&revision)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    pub(super) fn confirmed(mut self) {
        self.revisions.clear();
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut own = self.own.lock();
        for revision in &self.revisions {
            own.remove(revision);
        }
    }
}
