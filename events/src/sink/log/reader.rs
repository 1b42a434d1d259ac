//! Reads events back by their offsets.

use std::ops::Range;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};

use super::Shared;
use super::database::{from_sql, to_sql};
use super::error::{Closed, ReadError};
use super::pack::unpack;
use super::pool::Pool;
use super::row::{Events, Wanted};

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
    previous: Option<u64>,
}

/// Which events are read. The log has no index of their attributes: unless all are wanted, it looks
/// through the events of the application, up to [`LOOKED_THROUGH`] bytes of them for one page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// Those of this device alone.
    pub device: Option<&'a str>,
    /// Those of this CloudEvents type alone.
    pub event_type: Option<&'a str>,
}

/// Bytes of events, unpacked, that are looked through for one page of [`LogReader::read_filtered`]
/// or [`LogReader::read_back`]; the last row may exceed it.
pub const LOOKED_THROUGH: usize = 16 << 20;
/// The same in rows, that is, group commits.
const MOST_ROWS: usize = 5_000;

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

    /// What to read before next, going back: no older event is retained if there is none. Always none
    /// on pages that were read forward.
    #[must_use]
    pub fn previous(&self) -> Option<u64> {
        self.previous
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
        self.read_filtered(application, after, Filter::default(), limit, max_bytes)
    }

    /// As [`LogReader::read`], of certain events only. Such a page may hold fewer than there
    /// are, even none, as the work for it is bounded: the end is reached when [`Page::next_offset`] is
    /// [`Page::latest`].
    ///
    /// # Errors
    ///
    /// As [`LogReader::read`].
    pub fn read_filtered(
        &self,
        application: &str,
        after: Option<u64>,
        filter: Filter<'_>,
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
                let wanted = Wanted::of(filter);
                page.fill(&transaction, log.id, wanted.as_ref(), limit, max_bytes)?;
            }
            Ok(page)
        })
    }

    /// Up to `limit` of the newest events of the application before the offset `before`, oldest
    /// first, and about `max_bytes` of them: the newest is always given, whatever its size. Without
    /// `before`, from the end.
    ///
    /// A page of certain events may hold fewer than there are, even none, as the work for it is
    /// bounded: the retained beginning is reached when it has no [`Page::previous`]. [`Page::next_offset`]
    /// goes on behind where the page was asked to end.
    ///
    /// # Errors
    ///
    /// [`ReadError::Database`], [`ReadError::Corrupt`].
    pub fn read_back(
        &self,
        application: &str,
        before: Option<u64>,
        filter: Filter<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Page, ReadError> {
        self.pool.with(&self.shared, |connection| {
            let transaction = connection.transaction()?;
            let Some(log) = Log::find(&transaction, application)? else {
                return Ok(Page::default());
            };
            let end = before.map_or(log.latest, |before| before.saturating_sub(1));
            let mut page = Page {
                next_offset: end.min(log.latest),
                latest: log.latest,
                ..Page::default()
            };
            let wanted = Wanted::of(filter);
            page.fill_back(&transaction, &log, wanted.as_ref(), limit, max_bytes)?;
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
        wanted: Option<&Wanted>,
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
        let mut look = Look::default();
        while self.len() < limit
            && (wanted.is_none() || look.may_go_on())
            && let Some(row) = rows.next()?
        {
            for (offset, event) in look.at(row)? {
                if offset <= self.next_offset {
                    continue;
                }
                let is_wanted = wanted.is_none_or(|wanted| wanted.has(event));
                if is_wanted && (self.len() >= limit || self.is_full(event, max_bytes)) {
                    return Ok(());
                }
                if is_wanted {
                    self.push(offset, event);
                }
                self.next_offset = offset;
            }
        }
        Ok(())
    }

    /// Adds the events up to `next_offset`, the newest first, and then turns them round.
    fn fill_back(
        &mut self,
        transaction: &Transaction<'_>,
        log: &Log,
        wanted: Option<&Wanted>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(), ReadError> {
        let mut statement = transaction.prepare_cached(
            "SELECT first, size, events FROM batch
             WHERE application = ?1 AND first <= ?2 ORDER BY first DESC",
        )?;
        let mut rows = statement.query((log.id, to_sql(self.next_offset)))?;
        let mut look = Look::default();
        // All from here on were looked at.
        let mut start = self.next_offset + 1;
        'rows: while self.len() < limit
            && (wanted.is_none() || look.may_go_on())
            && let Some(row) = rows.next()?
        {
            for (offset, event) in look.at(row)?.into_iter().rev() {
                if offset >= start {
                    continue;
                }
                let is_wanted = wanted.is_none_or(|wanted| wanted.has(event));
                if is_wanted && (self.len() >= limit || self.is_full(event, max_bytes)) {
                    break 'rows;
                }
                if is_wanted {
                    self.push(offset, event);
                }
                start = offset;
            }
        }
        self.events.reverse();
        self.previous = Some(start).filter(|start| *start > log.expired_through + 1);
        Ok(())
    }

    /// Whether this event would be one too many, in bytes.
    fn is_full(&self, event: &[u8], max_bytes: usize) -> bool {
        self.data.len() + event.len() > max_bytes && !self.is_empty()
    }

    fn push(&mut self, offset: u64, event: &[u8]) {
        let start = self.data.len();
        self.data.extend_from_slice(event);
        self.events.push((offset, start..self.data.len()));
    }
}

/// What is looked at for one page.
#[derive(Default)]
struct Look {
    rows: usize,
    bytes: usize,
    buffer: Vec<u8>,
}

impl Look {
    fn may_go_on(&self) -> bool {
        self.rows < MOST_ROWS && self.bytes < LOOKED_THROUGH
    }

    /// The events of a row, with their offsets.
    fn at<'a>(&'a mut self, row: &'a Row<'_>) -> Result<Vec<(u64, &'a [u8])>, ReadError> {
        let first = from_sql(row.get(0)?);
        let corrupt = || ReadError::Corrupt { offset: first };
        let size = usize::try_from(row.get::<_, i64>(1)?).map_err(|_| corrupt())?;
        let stored = row.get_ref(2)?.as_blob().map_err(|_| corrupt())?;
        self.rows += 1;
        self.bytes += size;
        let events = unpack(stored, size, &mut self.buffer).map_err(|_| corrupt())?;
        let events = Events::of(events).collect::<Result<Vec<_>, _>>();
        Ok((first..).zip(events.map_err(|_| corrupt())?).collect())
    }
}
