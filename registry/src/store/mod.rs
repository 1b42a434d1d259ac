//! Where resources are kept.
//!
//! Everything above this module sees rows, bodies and claims; everything that knows SQL is below
//! [`sqlite`] and [`postgres`]. A store has to keep what [`Store`]'s methods promise: a change is
//! one transaction, it is durable before it is reported, a write happens only if the resource still
//! has the revision that it was prepared against, revisions only grow, ids are never used again,
//! and names and claims are unique within their space.

mod health;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::document::Invalid;
use crate::selector::LabelSelector;

use crate::document::Preconditions;
use crate::error::OpenError;
use crate::options::StoreOptions;
use health::Health;
use postgres::PostgresStore;
pub use postgres::{InvalidUrl, PostgresUrl};
use sqlite::SqliteStore;

/// One of the stores. Its methods promise the same whichever it is.
pub(crate) struct Store {
    backend: Backend,
    health: Arc<Health>,
    grace: Duration,
}

enum Backend {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

/// What other instances did to the store.
pub(crate) enum News {
    Changed {
        place: Place,
        parent: ResourceId,
    },
    /// More than can be told.
    Everything,
}

impl Store {
    /// Opens the store, creates or migrates it. `follow` is called for each change of another
    /// instance (and maybe for own ones) until the store is dropped.
    pub(crate) async fn open(
        options: StoreOptions,
        grace: Duration,
        follow: impl Fn(News) + Send + Sync + 'static,
    ) -> Result<Store, OpenError> {
        let health = Arc::new(Health::default());
        let backend = match options {
            StoreOptions::Sqlite(path) => Backend::Sqlite(SqliteStore::open(path).await?),
            StoreOptions::Postgres(options) => {
                let health = Arc::clone(&health);
                Backend::Postgres(PostgresStore::open(options, health, Box::new(follow)).await?)
            }
        };
        Ok(Store {
            backend,
            health,
            grace,
        })
    }

    /// Whether the store answers.
    pub(crate) async fn health(&self) -> Result<(), Unavailable> {
        match &self.backend {
            // Nothing but the next look-up tells that a disk is well again.
            Backend::Sqlite(store) if self.health.check().is_err() => {
                self.observe(store.probe().await)
            }
            _ => self.health.check(),
        }
    }

    /// Whether what is in memory may still be relied on for log-ins.
    pub(crate) async fn within_grace(&self) -> Result<(), Unavailable> {
        match self.health.down_for() {
            Some(away) if away >= self.grace => self.health().await,
            _ => Ok(()),
        }
    }

    /// The resource of that name, if there is one.
    pub(crate) async fn get(
        &self,
        parent: ResourceId,
        name: &str,
    ) -> Result<Option<Row>, Unavailable> {
        match &self.backend {
            Backend::Sqlite(store) => self.observe(store.get(parent, name).await),
            Backend::Postgres(store) => store.get(parent, name).await,
        }
    }

    /// Resources by name: at most [`Select::limit`], fewer where they are large or few among many
    /// are selected.
    pub(crate) async fn list(
        &self,
        parent: ResourceId,
        select: Select,
    ) -> Result<Listed, Unavailable> {
        match &self.backend {
            Backend::Sqlite(store) => self.observe(store.list(parent, select).await),
            Backend::Postgres(store) => store.list(parent, &select).await,
        }
    }

    /// Number of the resources of a parent, as far as `at_most`.
    pub(crate) async fn count(&self, parent: ResourceId, at_most: u32) -> Result<u64, Unavailable> {
        match &self.backend {
            Backend::Sqlite(store) => self.observe(store.count(parent, at_most).await),
            Backend::Postgres(store) => store.count(parent, at_most).await,
        }
    }

    /// Names of the resources of a parent that claim a value from `first` to `last` within a space,
    /// both included, each once, in the order of their values: at most `limit`.
    pub(crate) async fn holders(
        &self,
        parent: ResourceId,
        space: Space,
        first: &[u8],
        last: &[u8],
        limit: usize,
    ) -> Result<Vec<String>, Unavailable> {
        match &self.backend {
            Backend::Sqlite(store) => {
                self.observe(store.holders(parent, space, first, last, limit).await)
            }
            Backend::Postgres(store) => store.holders(parent, space, first, last, limit).await,
        }
    }

    /// What is stored at each of the places.
    pub(crate) async fn get_all(&self, places: Vec<Place>) -> Result<Vec<Stored>, Unavailable> {
        match &self.backend {
            Backend::Sqlite(store) => self.observe(store.get_all(places).await),
            Backend::Postgres(store) => store.get_all(&places).await,
        }
    }

    /// Creates or replaces resources, each with all its claims, if what is expected of each is
    /// stored; all or none. They count as written at once: an application may come after its
    /// devices, and a claim may go from one of them to another. No place stands twice.
    pub(crate) async fn commit(&self, puts: Vec<Put>) -> Result<Vec<Row>, CommitError> {
        match &self.backend {
            // A full disk refuses writes and nothing else: it says nothing of the store's health.
            Backend::Sqlite(store) => store.commit(puts).await,
            Backend::Postgres(store) => store.commit(&puts).await,
        }
    }

    /// Removes a resource; an application's devices are unreachable from then on, and removed bit
    /// by bit.
    pub(crate) async fn remove(
        &self,
        parent: ResourceId,
        name: &str,
        preconditions: Preconditions,
    ) -> Result<Removed, Unavailable> {
        match &self.backend {
            Backend::Sqlite(store) => store.remove(parent, name, preconditions).await,
            Backend::Postgres(store) => store.remove(parent, name, &preconditions).await,
        }
    }

    fn observe<T>(&self, read: Result<T, Unavailable>) -> Result<T, Unavailable> {
        match &read {
            Ok(_) => self.health.recovered(),
            Err(unavailable) => self.health.failed(unavailable),
        }
        read
    }
}

/// Number of a resource within its store, never used again. It stays inside the crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResourceId(pub(crate) i64);

impl ResourceId {
    /// The parent of applications.
    pub(crate) const ROOT: ResourceId = ResourceId(0);
    /// The parent of API tokens. They are rows like all others, without children, claims, labels
    /// and annotations; [`crate::token`] keeps what it reads of them for less than a second, so a
    /// store need not announce their changes.
    pub(crate) const TOKENS: ResourceId = ResourceId(-1);
}

/// A stored resource. An application's parent is the root, a device's its application.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) id: ResourceId,
    pub(crate) parent: ResourceId,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Milliseconds since 1970, UTC.
    pub(crate) created: i64,
    /// Counts changes of the spec, from 1.
    pub(crate) generation: u64,
    /// Grows with every write to the store.
    pub(crate) revision: u64,
    /// JSON objects of strings.
    pub(crate) labels: String,
    pub(crate) annotations: String,
    /// JSON, with secrets.
    pub(crate) spec: Zeroizing<String>,
}

impl Row {
    /// What the row holds, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.name.len() + self.labels.len() + self.annotations.len() + self.spec.len()
    }
}

/// The part of a row that a caller determines.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) labels: String,
    pub(crate) annotations: String,
    pub(crate) spec: Zeroizing<String>,
    pub(crate) claims: Vec<Claim>,
}

/// A value that a resource has for itself alone within a space.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) space: Space,
    pub(crate) value: Vec<u8>,
    /// The field that makes the claim.
    pub(crate) path: String,
}

/// Among whom a claim is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// Names, aliases and unique user names of the devices of the claimant's application.
    DeviceNames,
    /// Trust anchors of all applications: a digest of the authority's subject, by which they are
    /// found, and behind it one of subject and key.
    TrustAnchors,
}

/// A resource by its names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Application(Box<str>),
    Device {
        application: Box<str>,
        device: Box<str>,
    },
    Token(Box<str>),
}

impl Place {
    pub(crate) fn name(&self) -> &str {
        match self {
            Place::Application(name) | Place::Token(name) | Place::Device { device: name, .. } => {
                name
            }
        }
    }
}

/// What is stored at a place.
#[derive(Clone, Default)]
pub(crate) struct Stored {
    /// Of a device it is its application; `None` if that does not exist.
    pub(crate) parent: Option<ResourceId>,
    pub(crate) row: Option<Row>,
}

/// What must be stored under a name for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Absent,
    Revision(u64),
}

impl Expected {
    pub(crate) fn is_met_by(self, stored: Option<&Row>) -> bool {
        match (self, stored) {
            (Expected::Absent, None) => true,
            (Expected::Revision(expected), Some(stored)) => stored.revision == expected,
            _ => false,
        }
    }
}

/// One write of a transaction.
#[derive(Clone)]
pub(crate) struct Put {
    pub(crate) place: Place,
    pub(crate) expected: Expected,
    pub(crate) body: Body,
}

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// The write of this index is to blame; nothing was stored.
    Refused { index: usize, refusal: Refusal },
    /// Whether it was stored is not known.
    Unavailable(Unavailable),
}

/// Why a write cannot happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Something else than what was expected is stored.
    Stale,
    /// The application of the device is gone.
    NoParent,
    /// The name, or the value of the claim of this index, belongs to another resource.
    Taken(Option<usize>),
}

/// Which rows of a parent are listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Select {
    pub(crate) after: String,
    pub(crate) limit: usize,
    pub(crate) labels: LabelSelector,
}

impl Select {
    /// Whether a row of these labels, as they are stored, is meant.
    pub(crate) fn selects(&self, labels: &str) -> bool {
        // Damaged labels are listed, so that they are told as such.
        self.labels.is_empty()
            || Labels::parse(labels).map_or(true, |labels| self.labels.selects(&labels))
    }
}

/// Rows by the bytes of their names.
#[derive(Default)]
pub(crate) struct Listed {
    pub(crate) rows: Vec<Row>,
    /// The name to continue after, if there may be more.
    pub(crate) next: Option<String>,
}

/// Most bytes of one page of a list; a page ends at the first resource beyond it.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Most rows whose labels one page of a list looks at.
const PAGE_SCAN: usize = 10_000;

/// What a removal found.
pub(crate) enum Removed {
    /// The row that is gone.
    Row(Row),
    NotFound,
    /// The row is not what the caller's preconditions say.
    Conflict,
}

/// The store cannot be read or written: the server's side is to blame, and a later attempt may
/// succeed. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry's store is unavailable: {0}")]
pub struct Unavailable(pub(crate) String);

/// Labels and annotations as the store keeps them.
pub(crate) struct Labels;

impl Labels {
    pub(crate) fn parse(json: &str) -> Result<BTreeMap<String, String>, Invalid> {
        serde_json::from_str(json).map_err(|_| Invalid::one("metadata", "is damaged in the store"))
    }
}

impl Preconditions {
    pub(crate) fn hold_for(&self, row: &Row) -> bool {
        self.uid.as_ref().is_none_or(|uid| *uid == row.uid)
            && self
                .resource_version
                .as_ref()
                .is_none_or(|v| *v == row.revision.to_string())
    }
}
