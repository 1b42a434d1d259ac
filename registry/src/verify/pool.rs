//! Bounded numbers of slow computations, off the async workers.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::store::Unavailable;

/// Computes a bounded number of things at once, while a bounded number waits.
pub(crate) struct Workers {
    /// One permit for each computation that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for each computation that runs.
    workers: Arc<Semaphore>,
}

/// Why a computation has no result.
#[derive(Debug)]
pub(crate) enum Busy {
    /// As many as may wait are waiting.
    Full,
    /// The computation broke off.
    Failed(Unavailable),
}

impl Workers {
    pub(crate) fn new(workers: usize, queue: usize) -> Workers {
        Workers {
            places: Arc::new(Semaphore::new(workers + queue)),
            workers: Arc::new(Semaphore::new(workers)),
        }
    }

    /// Has a worker compute, after waiting for one if the queue is not full.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Busy::Full)?;
        let ended = |_| Busy::Failed(Unavailable("the server is stopping".to_owned()));
        let worker = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(ended)?;
        let computed = tokio::task::spawn_blocking(move || {
            // Held by the computation: it goes on when the caller is gone.
            let _permits = (place, worker);
            compute()
        });
        computed
            .await
            .map_err(|error| Busy::Failed(Unavailable(error.to_string())))
    }
}
