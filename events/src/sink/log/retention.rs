//! Deletes what no application has to keep any more, and gives the space back.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::database::{PAGE_BYTES, from_sql, to_sql};
use super::{Retention, Shared};
use crate::event::Timestamp;

/// A step deletes at most this many rows and about this many bytes: the writer waits for it.
const STEP_ROWS: usize = 256;
const STEP_BYTES: u64 = 2 << 20;
/// Free pages are kept for coming events up to this many, or an eighth of the file.
const FREE_PAGES: u64 = (64 << 20) / PAGE_BYTES;
/// A step of giving space back moves at most this many pages.
const STEP_PAGES: u64 = (1 << 20) / PAGE_BYTES;

/// Brings all applications within their retention, as of `now`.
pub(super) fn enforce(
    shared: &Shared,
    connection: &mut Connection,
    now: Timestamp,
) -> rusqlite::Result<()> {
    for (id, name) in applications(connection)? {
        let named = shared.options.retention_of.get(&name);
        let bounds = Bounds::of(*named.unwrap_or(&shared.options.retention), now);
        while let Some(step) = next_step(connection, id, bounds)? {
            let _turn = shared.turn.take_to_keep();
            delete(connection, id, step)?;
        }
    }
    while has_much_free(connection)? {
        let _turn = shared.turn.take_to_keep();
        give_back(connection)?;
    }
    Ok(())
}

/// What an application may keep, as of some time.
#[derive(Clone, Copy)]
struct Bounds {
    bytes: u64,
    /// Rows committed before this are too old.
    oldest: u64,
}

impl Bounds {
    fn of(retention: Retention, now: Timestamp) -> Self {
        let micros = |age: Duration| u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        Self {
            bytes: retention.bytes,
            oldest: now.0.saturating_sub(micros(retention.age)),
        }
    }
}

/// Rows to delete: those that start at or before `first`.
#[derive(Clone, Copy)]
struct Step {
    first: i64,
    /// Offset of the last event among them.
    through: i64,
}

fn applications(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM application")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// The oldest rows outside the bounds, if there are any.
fn next_step(
    connection: &Connection,
    application: i64,
    bounds: Bounds,
) -> rusqlite::Result<Option<Step>> {
    let end: Option<i64> = connection
        .prepare_cached(
            "SELECT position FROM batch WHERE application = ?1 ORDER BY first DESC LIMIT 1",
        )?
        .query_row([application], |row| row.get(0))
        .optional()?;
    let Some(end) = end.map(from_sql) else {
        return Ok(None);
    };

    let mut statement = connection.prepare_cached(
        "SELECT first, count, time, position FROM batch WHERE application = ?1 ORDER BY first",
    )?;
    let mut rows = statement.query([application])?;
    let mut step = None;
    let mut start = None;
    for _ in 0..STEP_ROWS {
        let Some(row) = rows.next()? else { break };
        let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (time, position) = (from_sql(row.get(2)?), from_sql(row.get(3)?));
        // The events after this row are all that the bound asks for.
        let is_beyond_bytes = end - position >= bounds.bytes;
        let is_too_old = time < bounds.oldest;
        if !is_beyond_bytes && !is_too_old {
            break;
        }
        step = Some(Step {
            first,
            through: first + count - 1,
        });
        if position - *start.get_or_insert(position) >= STEP_BYTES {
            break;
        }
    }
    Ok(step)
}

/// Deletes the rows and remembers that readers cannot have them any more, in one transaction.
fn delete(connection: &mut Connection, application: i64, step: Step) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction
        .prepare_cached("DELETE FROM batch WHERE application = ?1 AND first <= ?2")?
        .execute((application, step.first))?;
    transaction
        .prepare_cached("UPDATE application SET expired_through = ?2 WHERE id = ?1")?
        .execute((application, step.through))?;
    transaction.commit()
}

fn has_much_free(connection: &Connection) -> rusqlite::Result<bool> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get(0).map(from_sql));
    let free = read("freelist_count")?;
    Ok(free > FREE_PAGES.max(read("page_count")? / 8))
}

/// Cuts free pages off the end of the file.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!(
        "PRAGMA incremental_vacuum({})",
        to_sql(STEP_PAGES)
    ))?;
    let mut rows = statement.query([])?;
    // Each step of the statement moves one page.
    while rows.next()?.is_some() {}
    Ok(())
}
