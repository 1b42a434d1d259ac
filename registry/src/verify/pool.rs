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
#[derive(Clone, Debug)]
pub(crate) enum Busy {
    /// As many as may wait are waiting.
    Full,
    /// The computation broke off.
    Failed(Unavailable),
}

impl Busy {
    pub(crate) fn broken_off() -> Busy {
        Busy::Failed(Unavailable("a computation broke off".to_owned()))
    }
}

impl Workers {
    pub(crate) fn new(workers: usize, queue: usize) -> Workers {
        Workers {
            places: Arc::new(Semaphore::new(workers + queue)),
            workers: Arc::new(Semaphore::new(workers)),
        }
    }

    /// Takes every place, as many slow computations would.
    #[cfg(test)]
    pub(crate) fn occupy(&self) -> tokio::sync::OwnedSemaphorePermit {
        let places = u32::try_from(self.places.available_permits()).unwrap();
        Arc::clone(&self.places)
            .try_acquire_many_owned(places)
            .unwrap()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};

    #[tokio::test]
    async fn computes_no_more_at_once_than_there_are_workers() {
        let workers = Arc::new(Workers::new(2, 100));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut computations = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (workers, running, most) = (workers.clone(), running.clone(), most.clone());
            computations.spawn(async move {
                let compute = move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                workers.run(compute).await.unwrap();
            });
        }
        computations.join_all().await;
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn refuses_when_worker_and_queue_are_taken_until_one_is_done() {
        let workers = Arc::new(Workers::new(1, 1));
        let gate = Arc::new(Barrier::new(2));
        let mut computations = tokio::task::JoinSet::new();
        for n in 0..2 {
            let (workers, gate) = (workers.clone(), gate.clone());
            let compute = move || n == 1 || gate.wait().is_leader() || n == 0;
            computations.spawn(async move { workers.run(compute).await.unwrap() });
        }
        // Both have their places once they have been polled.
        while workers.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(workers.run(|| ()).await, Err(Busy::Full)));
        tokio::task::spawn_blocking(move || gate.wait())
            .await
            .unwrap();
        assert_eq!(computations.join_all().await, [true, true]);
        workers.run(|| ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_computation_keeps_its_worker_when_its_caller_goes_away() {
        let workers = Workers::new(1, 0);
        let gate = Arc::new(Barrier::new(2));
        let inside = Arc::clone(&gate);
        let mut run = Box::pin(workers.run(move || inside.wait()));
        let polled_once = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled_once.is_pending());
        drop(run);
        assert!(matches!(workers.run(|| ()).await, Err(Busy::Full)));
        tokio::task::spawn_blocking(move || gate.wait())
            .await
            .unwrap();
        while workers.places.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        workers.run(|| ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_computation_that_breaks_off_is_an_error_and_frees_its_place() {
        let workers = Workers::new(1, 0);
        let broken = workers.run(|| panic!("deliberate")).await;
        assert!(matches!(broken, Err(Busy::Failed(_))));
        workers.run(|| ()).await.unwrap();
    }
}
