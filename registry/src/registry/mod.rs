//! The registry itself. The device side is in this file and `log_in`; documents are written and read
//! in `applications` and `devices`, both by `prepare`, `commit` and `show`.

mod applications;
mod behind;
mod cache;
mod commit;
mod devices;
mod follow;
mod log_in;
mod prepare;
mod show;
mod tokens;
mod write;

use std::sync::Arc;

use tokio::sync::{Mutex, broadcast};

use crate::error::{OpenError, Unavailable};
use crate::model::Found;
use crate::options::Options;
use crate::secret::resolve::Hashing;
use crate::store::Store;
use crate::token::known::KnownTokens;
use crate::verify::{Decoy, Remembered, Verifier, Workers};
pub use applications::MAX_BATCH;
pub use behind::{Behind, REGISTERED_BY, RegisterError};
use cache::Resources;
pub use cache::{CacheFigures, CacheStats};
use follow::Follower;
pub use log_in::{Cause, LogIn, LogInError, Presented, Signed};
pub use show::{ListQuery, Page, Secrets};
pub use write::{BatchError, Outcome, WriteError, Written};

/// Changes that a receiver of [`Registry::changes`] may be behind before it misses some.
const CHANGES_KEPT: usize = 1024;
/// Locks among which the names of resources are spread, so that writers of one resource in this
/// process wait for each other instead of starting over.
const WRITE_LOCKS: usize = 64;

/// Applications, devices and their credentials, in one store.
///
/// Cheap to clone; all clones are one registry. The store is closed when the last clone and the
/// last operation are gone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    store: Store,
    resources: Arc<Resources>,
    changes: broadcast::Sender<Change>,
    verifier: Arc<Verifier>,
    document_workers: Arc<Workers>,
    hashing: Hashing,
    write_locks: Vec<Mutex<()>>,
    tokens: Arc<KnownTokens>,
    follower: Arc<Follower>,
}

/// An application or device was created, changed or deleted, here or on another instance.
///
/// It is sent when the change is stored and the caches no longer hold what was before; when
/// a commit's fate is not known for a while, maybe twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The application itself, which concerns all of its devices.
    Application(Box<str>),
    /// A device.
    Device {
        /// Its application.
        application: Box<str>,
        /// Its name.
        device: Box<str>,
    },
    /// Nobody knows what changed while the store was away: look again at everything.
    Everything,
}

impl Registry {
    /// Opens the registry, and creates or migrates its file.
    ///
    /// It may take a moment: up to about 0.2 s, longer for a migration. It needs a Tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`]; a store that is damaged or of a newer version is left as it is.
    pub async fn open(options: Options) -> Result<Registry, OpenError> {
        options.check()?;
        let Options {
            store,
            grace,
            hash_passwords,
            password_hash,
            password_cost,
            cache_entries,
            verify_workers,
            verify_queue,
        } = options;
        let resources = Arc::new(Resources::new(cache_entries));
        let tokens = Arc::new(KnownTokens::default());
        let remembered = Remembered::new(cache_entries)
            .map_err(|error| OpenError::Options(format!("no random key: {error}")))?;
        let hashing = Hashing {
            hash_passwords,
            hash: password_hash,
            cost: password_cost,
        };
        let verifier = Verifier::new(
            Workers::new(verify_workers, verify_queue),
            remembered,
            Decoy::new(hashing.verification()),
        );
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let follower = Arc::new(Follower {
            resources: Arc::clone(&resources),
            tokens: Arc::clone(&tokens),
            changes: changes.clone(),
        });
        let told = Arc::clone(&follower);
        let store = Store::open(store, grace, move |news| told.follow(news)).await?;
        Ok(Registry(Arc::new(Inner {
            store,
            resources,
            changes,
            verifier: Arc::new(verifier),
            // Writers of documents wait for as long as it takes.
            document_workers: Arc::new(Workers::new(verify_workers, 1 << 20)),
            hashing,
            write_locks: (0..WRITE_LOCKS).map(|_| Mutex::new(())).collect(),
            tokens,
            follower,
        })))
    }

    /// The device with its application, or `None` if either does not exist. Neither need be
    /// enabled.
    ///
    /// Answered from memory if it can be; else from the store, once for all who ask at a time.
    /// A change that is reported by [`Registry::changes`] is in every answer from then on.
    ///
    /// # Errors
    /// [`Unavailable`] if the store had to be asked and cannot be read.
    pub async fn device(
        &self,
        application: &str,
        device: &str,
    ) -> Result<Option<Found>, Unavailable> {
        let Inner {
            resources, store, ..
        } = &*self.0;
        let Some(application) = resources.application(store, application).await? else {
            return Ok(None);
        };
        let device = resources.device(store, &application, device).await?;
        Ok(device.map(|device| Found {
            application,
            device,
        }))
    }

    /// As [`Registry::device`], but only from memory: `None` if the store would have to be asked.
    #[must_use]
    pub fn device_if_cached(&self, application: &str, device: &str) -> Option<Option<Found>> {
        let resources = &self.0.resources;
        let Some(application) = resources.application_if_cached(application)? else {
            return Some(None);
        };
        let device = resources.device_if_cached(&application, device)?;
        Some(device.map(|device| Found {
            application,
            device,
        }))
    }

    /// The application, or `None` if it does not exist. It need not be enabled.
    ///
    /// # Errors
    /// [`Unavailable`] if the store had to be asked and cannot be read.
    pub async fn application(
        &self,
        name: &str,
    ) -> Result<Option<Arc<crate::Application>>, Unavailable> {
        self.0.resources.application(&self.0.store, name).await
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// What is wrong with it, for the log and for operators.
    pub async fn health(&self) -> Result<(), Unavailable> {
        self.0.store.health().await
    }

    /// What the caches of applications and devices hold, and how they serve.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.0.resources.stats()
    }

    /// All changes from now on. A receiver that has lagged behind must look again at everything
    /// that it relies on.
    ///
    /// To act on changes without a gap, subscribe first, then look up.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}
