//! Verification of passwords: slow hashes bounded in number, good log-ins remembered, and as much
//! work for a device that does not exist as for one that does.

mod flights;
mod pool;
mod remembered;

pub(crate) use pool::{Busy, Workers};
pub(crate) use remembered::{Mac, Remembered};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::secret::SecretId;
use crate::secret::cost::Cost;
use flights::Flights;

/// Verifies passwords.
pub(crate) struct Verifier {
    pub(crate) workers: Workers,
    pub(crate) remembered: Remembered,
    pub(crate) decoy: Decoy,
    flights: Flights<Option<SecretId>>,
    hashes: AtomicU64,
}

/// What a slow verification found, and how many hashes that took.
pub(crate) struct Hashed {
    pub(crate) good: Option<SecretId>,
    pub(crate) hashes: u64,
}

impl Verifier {
    pub(crate) fn new(workers: Workers, remembered: Remembered, decoy: Decoy) -> Verifier {
        Verifier {
            workers,
            remembered,
            decoy,
            flights: Flights::new(),
            hashes: AtomicU64::new(0),
        }
    }

    /// Has a worker compute slow hashes for a password, once for all who present the same for the
    /// same device at a time, which is what `flight` says. A password that was good is remembered;
    /// `compute` looks there first, as an equal computation may have ended a moment ago.
    pub(crate) async fn hash(
        self: &Arc<Self>,
        flight: Mac,
        password: &[u8],
        compute: impl FnOnce(&Remembered) -> Hashed + Send + 'static,
    ) -> Result<Option<SecretId>, Busy> {
        let computation = || {
            let this = Arc::clone(self);
            let password = zeroize::Zeroizing::new(password.to_vec());
            async move {
                let verifier = Arc::clone(&this);
                let computed = this.workers.run(move || compute(&verifier.remembered));
                let Hashed { good, hashes } = computed.await?;
                this.hashes.fetch_add(hashes, Ordering::Relaxed);
                if let Some(secret) = good {
                    this.remembered.remember(secret, &password);
                }
                Ok(good)
            }
        };
        self.flights.join(flight, computation).await
    }

    /// Slow hashes computed so far.
    pub(crate) fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }
}

/// The cost of the last verification: what an unknown device costs too, so that the time of a
/// refusal does not tell whether a device exists. Where the devices of one registry have hashes of
/// different costs, or different numbers of them, this is an approximation.
pub(crate) struct Decoy {
    last: RwLock<Arc<[Cost]>>,
}

impl Decoy {
    pub(crate) fn new(initial: Cost) -> Decoy {
        Decoy {
            last: RwLock::new(Arc::new([initial])),
        }
    }

    /// One for each password that was compared with.
    pub(crate) fn costs(&self) -> Arc<[Cost]> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&last)
    }

    pub(crate) fn observe(&self, costs: &[Cost]) {
        if *self.costs() != *costs {
            *self.last.write().unwrap_or_else(PoisonError::into_inner) = costs.into();
        }
    }
}
