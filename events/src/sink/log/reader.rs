//! Reads events back by their offsets.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::Shared;
use super::database::{from_sql, to_sql};
use super::error::{Closed, ReadError};
use super::pack::unpack;
use super::row::Events;

/// Connections that read at the same time; further reads wait for one of them.
const MOST_CONNECTIONS: usize = 8;

/// Reads the log of each application. All but [`LogReader::wait_for_new`] block on the disk: call
/// them where that is allowed.
#[derive(Clone)]
pub struct LogReader {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
}

/// Events of one application, in their order.
#[derive(Debug, Default)]
pub struct Page {
    data: Vec<u8>,
    /// Offset of each event, and where it stands in `data`.
    events: Vec<(u64, Range<usize>)>,
    next_offset: u64,
    latest: u64,
}

impl Page {
    /// Each event with its offset, as structured JSON.
    pub fn events(&self) -> impl ExactSizeIterator<Item = (u64, &[u8])> {
        self.events
            .iter()
            .map(|(offset, range)| (*offset, self.data.get(range.clone()).unwrap_or_default()))
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// What to read after next: the offset of the page's last event, or where the page was asked
    /// to start if it is empty.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// The application's newest offset when the page was read; 0 if it never had an event.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.latest
    }
}

impl LogReader {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            pool: Arc::default(),
        }
    }

    /// Up to `limit` events of the application after the offset `after`, and about `max_bytes` of
    /// them: the first event is always given, whatever its size. Without `after`, from the oldest
    /// retained.
    ///
    /// An application without events, also one that nobody knows, gives an empty page. So does an
    /// offset at the end, and one beyond it: this log never gave that out, so it comes from another
    /// log or from before a loss of the file. The caller tells it by `after > page.latest()`.
    ///
    /// # Errors
    ///
    /// [`ReadError::Expired`] if events after `after` are gone: the reader has missed some. The
    /// others are our own faults.
    pub fn read(
        &self,
        application: &str,
        after: Option<u64>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Page, ReadError> {
        self.pool.with(&self.shared, |connection| {
            // One snapshot for all questions; it ends with this block, before anything is sent.
            let transaction = connection.transaction()?;
            let Some(log) = Log::find(&transaction, application)? else {
                let next_offset = after.unwrap_or(0);
                return Ok(Page {
                    next_offset,
                    ..Page::default()
                });
            };
            let after = after.unwrap_or(log.expired_through);
            if after < log.expired_through {
                let oldest = log.expired_through + 1;
                return Err(ReadError::Expired { oldest });
            }
            let mut page = Page {
                next_offset: after,
                latest: log.latest,
                ..Page::default()
            };
            if after < log.latest {
                page.fill(&transaction, log.id, limit, max_bytes)?;
            }
            Ok(page)
        })
    }

    /// Asks something else of the file.
    pub(super) fn with_connection<T>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        self.pool.with(&self.shared, read)
    }

    /// The application's newest offset; 0 if it never had an event.
    ///
    /// # Errors
    ///
    /// [`ReadError::Database`].
    pub fn latest(&self, application: &str) -> Result<u64, ReadError> {
        self.pool.with(&self.shared, |connection| {
            let log = Log::find(&connection.transaction()?, application)?;
            Ok(log.map_or(0, |log| log.latest))
        })
    }

    /// Waits until something is committed after the offset `after`, which the caller has got from a
    /// page that ended the log. Costs no thread and no disk access; nothing is missed between the
    /// page and this.
    ///
    /// # Errors
    ///
    /// [`Closed`]: the log was closed, nothing new will come.
    pub fn wait_for_new(
        &self,
        application: &str,
        after: u64,
    ) -> impl Future<Output = Result<(), Closed>> + Send + use<> {
        Arc::clone(&self.shared.tails).wait(application.into(), after)
    }
}

/// One application's log.
struct Log {
    id: i64,
    expired_through: u64,
    latest: u64,
}

impl Log {
    fn find(transaction: &Transaction<'_>, application: &str) -> rusqlite::Result<Option<Self>> {
        transaction
            .prepare_cached(
                "SELECT id, expired_through, coalesce(
                     (SELECT first + count - 1 FROM batch
                      WHERE application = a.id ORDER BY first DESC LIMIT 1),
                     expired_through)
                 FROM application AS a WHERE name = ?1",
            )?
            .query_row([application], |row| {
                Ok(Self {
                    id: row.get(0)?,
                    expired_through: from_sql(row.get(1)?),
                    latest: from_sql(row.get(2)?),
                })
            })
            .optional()
    }
}

impl Page {
    /// Adds the events after `next_offset`.
    fn fill(
        &mut self,
        transaction: &Transaction<'_>,
        application: i64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(), ReadError> {
        // Starts with the row that holds the next event.
        let mut statement = transaction.prepare_cached(
            "SELECT first, size, events FROM batch
             WHERE application = ?1 AND first >= (
                 SELECT max(first) FROM batch WHERE application = ?1 AND first <= ?2)
             ORDER BY first",
        )?;
        let mut rows = statement.query((application, to_sql(self.next_offset + 1)))?;
        let mut buffer = Vec::new();
        while self.len() < limit
            && let Some(row) = rows.next()?
        {
            let first = from_sql(row.get(0)?);
            let corrupt = || ReadError::Corrupt { offset: first };
            let size = usize::try_from(row.get::<_, i64>(1)?).map_err(|_| corrupt())?;
            let stored = row.get_ref(2)?.as_blob().map_err(|_| corrupt())?;
            let events = unpack(stored, size, &mut buffer).map_err(|_| corrupt())?;
            for (offset, event) in (first..).zip(Events::of(events)) {
                let event = event.map_err(|_| corrupt())?;
                if offset <= self.next_offset {
                    continue;
                }
                let is_full = self.data.len() + event.len() > max_bytes && !self.is_empty();
                if self.len() >= limit || is_full {
                    return Ok(());
                }
                self.push(offset, event);
            }
        }
        Ok(())
    }

    fn push(&mut self, offset: u64, event: &[u8]) {
        let start = self.data.len();
        self.data.extend_from_slice(event);
        self.events.push((offset, start..self.data.len()));
        self.next_offset = offset;
    }
}

/// Read-only connections, opened when needed and kept.
#[derive(Default)]
struct Pool {
    state: Mutex<PoolState>,
    freed: Condvar,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Connection>,
    in_use: usize,
}

impl Pool {
    /// Lends a connection. One that failed is not used again.
    fn with<T>(
        &self,
        shared: &Shared,
        read: impl FnOnce(&mut Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let (_lease, idle) = self.lend();
        let mut connection = match idle {
            Some(connection) => connection,
            None => shared.database.connect_read_only()?,
        };
        let result = read(&mut connection);
        if !matches!(result, Err(ReadError::Database(_))) {
            self.lock().idle.push(connection);
        }
        result
    }

    fn lend(&self) -> (Lease<'_>, Option<Connection>) {
        let mut state = self.lock();
        while state.in_use >= MOST_CONNECTIONS {
            state = self
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.in_use += 1;
        (Lease(self), state.idle.pop())
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to use a connection.
struct Lease<'a>(&'a Pool);

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.0.lock().in_use -= 1;
        self.0.freed.notify_one();
    }
}
