//! A PostgreSQL database, which several instances share.
//!
//! Look-ups and writes take connections from a pool; one connection more follows the other
//! instances and tells whether the database answers (`feed`). While it does not, every operation
//! fails at once, and only the feed goes on trying.

mod changes;
mod claims;
mod connect;
mod feed;
mod open;
mod own;
mod purge;
mod read;
mod url;
mod write;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
    TimeoutType,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::health::Health;
use super::{
    CommitError, Listed, News, Place, Put, Removed, ResourceId, Row, Select, Space, Stored,
    Unavailable,
};
use crate::document::Preconditions;
use crate::error::OpenError;
use crate::options::PostgresOptions;
use changes::Position;
use connect::{Connector, Failure};
use feed::Feed;
use own::Own;
pub use url::{InvalidUrl, PostgresUrl};
use write::CommitFailure;

/// The channel of notifications. One database has one: fleets that share it, in schemas of their
/// own, wake each other for nothing.
const CHANNEL: &str = "landfall_registry";

/// A batch of 1,000 documents takes longer than a look-up.
const WRITE_PATIENCE: u32 = 6;

pub(crate) struct PostgresStore {
    pool: Pool,
    health: Arc<Health>,
    own: Own,
    /// Asks the feed to look at once whether the database answers.
    ask: Arc<Notify>,
    purge_due: Arc<Notify>,
    patience: Duration,
    /// The feed and the purge, which end with the store.
    _tasks: JoinSet<()>,
}

impl PostgresStore {
    pub(crate) async fn open(
        options: PostgresOptions,
        health: Arc<Health>,
        tell: Box<dyn Fn(News) + Send + Sync>,
    ) -> Result<PostgresStore, OpenError> {
        let connector = Connector::new(&options)?;
        let position = prepare(&connector, &options).await?;
        let pool = pool(&connector, &options)?;
        let patience = options.query_timeout;
        let own = Own::default();
        let (ask, purge_due) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let feed = Feed {
            connector,
            health: Arc::clone(&health),
            own: own.clone(),
            tell,
            ask: Arc::clone(&ask),
            is_back: Arc::clone(&purge_due),
            patience: options.connect_timeout.max(options.query_timeout),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(feed.run(position));
        tasks.spawn(purge::run(pool.clone(), Arc::clone(&purge_due)));
        Ok(PostgresStore {
            pool,
            health,
            own,
            ask,
            purge_due,
            patience,
            _tasks: tasks,
        })
    }

    pub(crate) async fn get(
        &self,
        parent: ResourceId,
        name: &str,
    ) -> Result<Option<Row>, Unavailable> {
        if read::is_impossible(name) {
            return Ok(None);
        }
        self.reading(move || async move {
            let lease = self.lease().await?;
            let row = read::get(lease.client()?, parent, name).await?;
            Ok(lease.done(row))
        })
        .await
    }

    pub(crate) async fn list(
        &self,
        parent: ResourceId,
        select: &Select,
    ) -> Result<Listed, Unavailable> {
        // Nothing is named like this, but there are names after it.
        let after = select
            .after
            .split('\0')
            .next()
            .unwrap_or_default()
            .to_owned();
        let select = &Select {
            after,
            ..select.clone()
        };
        self.reading(move || async move {
            let lease = self.lease().await?;
            let listed = read::list(lease.client()?, parent, select).await?;
            Ok(lease.done(listed))
        })
        .await
    }

    pub(crate) async fn count(&self, parent: ResourceId, at_most: u32) -> Result<u64, Unavailable> {
        self.reading(move || async move {
            let lease = self.lease().await?;
            let count = read::count(lease.client()?, parent, at_most).await?;
            Ok(lease.done(count))
        })
        .await
    }

    pub(crate) async fn holders(
        &self,
        parent: ResourceId,
        space: Space,
        first: &[u8],
        last: &[u8],
        limit: usize,
    ) -> Result<Vec<String>, Unavailable> {
        self.reading(move || async move {
            let lease = self.lease().await?;
            let range = (first, last);
            let names = claims::holders(lease.client()?, parent, space, range, limit).await?;
            Ok(lease.done(names))
        })
        .await
    }

    pub(crate) async fn get_all(&self, places: &[Place]) -> Result<Vec<Stored>, Unavailable> {
        let places: &Vec<&Place> = &places.iter().collect();
        self.reading(move || async move {
            let lease = self.lease().await?;
            let stored = read::all(lease.client()?, places).await?;
            Ok(lease.done(stored))
        })
        .await
    }

    pub(crate) async fn commit(&self, puts: &[Put]) -> Result<Vec<Row>, CommitError> {
        self.health.check().map_err(CommitError::Unavailable)?;
        let committing = async {
            let mut lease = self.begin().await?;
            let transaction = lease.client_mut()?.transaction().await?;
            let result = write::commit(transaction, puts, &self.own).await;
            Ok(lease.done(result))
        };
        let committed = match timeout(self.patience * WRITE_PATIENCE, committing).await {
            Ok(Ok(result)) => result,
            Ok(Err(failure)) => Err(CommitFailure::Failed(failure)),
            Err(_) => Err(CommitFailure::Failed(no_answer())),
        };
        committed.map_err(|failure| {
            if let CommitFailure::Failed(failure) = &failure {
                self.observe(failure);
            }
            failure.into_error()
        })
    }

    pub(crate) async fn remove(
        &self,
        parent: ResourceId,
        name: &str,
        preconditions: &Preconditions,
    ) -> Result<Removed, Unavailable> {
        if read::is_impossible(name) {
            return Ok(Removed::NotFound);
        }
        self.health.check()?;
        let removing = async {
            let mut lease = self.begin().await?;
            let transaction = lease.client_mut()?.transaction().await?;
            let removed =
                write::remove(transaction, parent, name, preconditions, &self.own).await?;
            Ok(lease.done(removed))
        };
        let removed = match timeout(self.patience, removing).await {
            Ok(removed) => removed,
            Err(_) => Err(no_answer()),
        };
        if parent == ResourceId::ROOT {
            self.purge_due.notify_one();
        }
        removed.map_err(|failure: Failure| {
            self.observe(&failure);
            failure.into_reason()
        })
    }

    /// Reads, and once again if the connection was a dead one.
    async fn reading<T, F>(&self, read: impl Fn() -> F) -> Result<T, Unavailable>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.health.check()?;
        let first = timeout(self.patience, read()).await;
        let result = match first {
            Ok(Err(Failure::Lost(_))) => timeout(self.patience, read()).await,
            first => first,
        };
        let result = result.unwrap_or_else(|_| Err(no_answer()));
        result.map_err(|failure| {
            self.observe(&failure);
            failure.into_reason()
        })
    }

    /// A connection on which a transaction can begin.
    async fn begin(&self) -> Result<Lease, Failure> {
        let lease = self.lease().await?;
        match lease.client()?.simple_query("").await {
            Ok(_) => Ok(lease),
            Err(_) => {
                drop(lease);
                self.lease().await
            }
        }
    }

    async fn lease(&self) -> Result<Lease, Failure> {
        match self.pool.get().await {
            Ok(object) => Ok(Lease(Some(object))),
            Err(PoolError::Timeout(TimeoutType::Wait)) => {
                let size = self.pool.status().max_size;
                let reason = format!("all {size} connections to the database are in use");
                Err(Failure::Refused(Unavailable(reason)))
            }
            Err(PoolError::Backend(error)) => {
                Err(Failure::Lost(Unavailable(connect::told(&error))))
            }
            Err(error) => Err(Failure::lost(error.to_string())),
        }
    }

    fn observe(&self, failure: &Failure) {
        if let Failure::Lost(reason) = failure {
            self.health.failed(reason);
            self.ask.notify_one();
        }
    }
}

/// A connection of the pool. Unless it is done with, it is closed: an answer may be on its way that
/// nobody waits for any more.
struct Lease(Option<Object>);

impl Lease {
    fn client(&self) -> Result<&deadpool_postgres::Client, Failure> {
        self.0.as_ref().ok_or_else(no_answer)
    }

    fn client_mut(&mut self) -> Result<&mut deadpool_postgres::Client, Failure> {
        self.0.as_mut().ok_or_else(no_answer)
    }

    fn done<T>(mut self, result: T) -> T {
        self.0 = None;
        result
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

fn no_answer() -> Failure {
    Failure::lost("the database does not answer")
}

/// Migrates, and says where the database is.
async fn prepare(connector: &Connector, options: &PostgresOptions) -> Result<Position, OpenError> {
    let connected = connector.connect().await;
    let (mut client, mut connection) =
        connected.map_err(|error| connect::refused(&options.url, &error))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        use connect::Driver as _;
        while let Some(Ok(_)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {}
    });
    open::open(&mut client, &options.url).await
}

fn pool(connector: &Connector, options: &PostgresOptions) -> Result<Pool, OpenError> {
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(connector.config.clone(), connector.tls.clone(), recycling);
    let greeting = Arc::clone(&connector.greeting);
    let greet = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
        let greeting = Arc::clone(&greeting);
        Box::pin(async move {
            client
                .batch_execute(&greeting)
                .await
                .map_err(HookError::Backend)
        })
    });
    Pool::builder(manager)
        .max_size(options.pool_size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(options.connect_timeout))
        .create_timeout(Some(options.connect_timeout))
        .recycle_timeout(Some(options.connect_timeout))
        .post_create(greet)
        .build()
        .map_err(|error| OpenError::Store {
            store: options.url.to_string(),
            reason: error.to_string(),
        })
}
