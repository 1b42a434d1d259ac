//! Whether the store answers.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::Unavailable;

/// What is known of the store from the operations on it.
#[derive(Default)]
pub(crate) struct Health {
    down: RwLock<Option<Down>>,
}

#[derive(Clone)]
struct Down {
    since: Instant,
    reason: Unavailable,
}

impl Health {
    /// What is wrong, if anything is.
    pub(crate) fn check(&self) -> Result<(), Unavailable> {
        match &*self.down.read().unwrap_or_else(PoisonError::into_inner) {
            Some(down) => Err(down.reason.clone()),
            None => Ok(()),
        }
    }

    /// How long the store has been away; `None` if it is there.
    pub(crate) fn down_for(&self) -> Option<Duration> {
        let down = self.down.read().unwrap_or_else(PoisonError::into_inner);
        down.as_ref().map(|down| down.since.elapsed())
    }

    /// An operation failed because the store is away.
    pub(crate) fn failed(&self, reason: &Unavailable) {
        let mut down = self.down.write().unwrap_or_else(PoisonError::into_inner);
        match &mut *down {
            Some(down) => down.reason = reason.clone(),
            None => {
                tracing::error!(%reason, "the registry's store is away");
                *down = Some(Down {
                    since: Instant::now(),
                    reason: reason.clone(),
                });
            }
        }
    }

    /// An operation succeeded.
    pub(crate) fn recovered(&self) {
        if self.down_for().is_none() {
            return;
        }
        let down = self
            .down
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(down) = down {
            let away = down.since.elapsed();
            tracing::info!(?away, "the registry's store is back");
        }
    }
}
