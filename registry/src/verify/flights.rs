//! Single flight: what many ask for at once is computed once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::Busy;
use super::remembered::Mac;

/// A result, once there is one.
type Landing<T> = watch::Receiver<Option<Result<T, Busy>>>;

/// The computations under way, by what they compute.
///
/// There is one entry for each, which is gone when it ends: no more than callers.
pub(crate) struct Flights<T> {
    under_way: Arc<Mutex<HashMap<Mac, Landing<T>>>>,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(crate) fn new() -> Flights<T> {
        Flights {
            under_way: Arc::default(),
        }
    }

    /// The result of `compute`, or of an equal computation that is under way. It goes on when the
    /// callers are gone.
    pub(crate) async fn join<F>(&self, what: Mac, compute: impl FnOnce() -> F) -> Result<T, Busy>
    where
        F: Future<Output = Result<T, Busy>> + Send + 'static,
    {
        let mut landing = match lock(&self.under_way).entry(what) {
            Entry::Occupied(under_way) => under_way.get().clone(),
            Entry::Vacant(vacant) => {
                let (sender, landing) = watch::channel(None);
                vacant.insert(landing.clone());
                let flight = Flight {
                    under_way: Arc::clone(&self.under_way),
                    what,
                };
                let computed = compute();
                tokio::spawn(async move {
                    let result = computed.await;
                    // Whoever comes from now on finds what the computation left behind.
                    drop(flight);
                    sender.send_replace(Some(result));
                });
                landing
            }
        };
        let landed = landing.wait_for(Option::is_some).await;
        let result = landed.ok().and_then(|result| result.clone());
        result.unwrap_or_else(|| Err(Busy::broken_off()))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.under_way).len()
    }
}

/// Removes the entry when the computation ends, also by a panic.
struct Flight<T> {
    under_way: Arc<Mutex<HashMap<Mac, Landing<T>>>>,
    what: Mac,
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.what);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn equal_computations_at_once_are_one() {
        let flights = Arc::new(Flights::new());
        let (computed, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let mut callers = JoinSet::new();
        for caller in 0..100u8 {
            let (flights, computed, gate) = (flights.clone(), computed.clone(), gate.clone());
            callers.spawn(async move {
                let compute = || async move {
                    let _open = gate.acquire().await.unwrap();
                    Ok(computed.fetch_add(1, Ordering::SeqCst))
                };
                flights.join([caller % 2; 32], compute).await.unwrap()
            });
        }
        while flights.len() < 2 {
            tokio::task::yield_now().await;
        }
        // All have joined once each has been polled.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
        let results = callers.join_all().await;
        assert_eq!(results.iter().filter(|result| **result == 0).count(), 50);
        assert_eq!(computed.load(Ordering::SeqCst), 2);
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_computation_goes_on_when_its_first_caller_goes_away() {
        let flights = Arc::new(Flights::new());
        let gate = Arc::new(Semaphore::new(0));
        let open = gate.clone();
        let first = flights.join([0; 32], || async move {
            let _open = open.acquire().await.unwrap();
            Ok(1)
        });
        let gone = tokio::time::timeout(std::time::Duration::ZERO, first).await;
        assert!(gone.is_err());
        let second = flights.join([0; 32], || async { Ok(2) });
        gate.add_permits(1);
        assert_eq!(second.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_computation_that_breaks_off_fails_its_callers_and_leaves_nothing() {
        let flights = Flights::<()>::new();
        let broken = flights
            .join([0; 32], || async { panic!("deliberate") })
            .await;
        assert!(matches!(broken, Err(Busy::Failed(_))));
        assert_eq!(flights.len(), 0);
        flights.join([0; 32], || async { Ok(()) }).await.unwrap();
    }
}
