//! Queries.

use rusqlite::{Connection, OptionalExtension as _, params};
use zeroize::Zeroizing;

use crate::store::{Place, ResourceId, Row, Stored};

/// Most bytes of one page of a list; a page ends at the first resource beyond it.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn get(
    connection: &Connection,
    parent: ResourceId,
    name: &str,
) -> rusqlite::Result<Option<Row>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, parent, name, uid, created, generation, revision, labels, annotations, spec
         FROM resource WHERE parent = ?1 AND name = ?2",
    )?;
    statement.query_row(params![parent.0, name], row).optional()
}

/// The id of an application.
pub(super) fn application(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<ResourceId>> {
    connection
        .prepare_cached("SELECT id FROM resource WHERE parent = 0 AND name = ?1")?
        .query_row([name], |row| row.get(0).map(ResourceId))
        .optional()
}

/// What is stored at each of the places, all at one moment.
pub(super) fn all(connection: &mut Connection, places: &[Place]) -> rusqlite::Result<Vec<Stored>> {
    let transaction = connection.transaction()?;
    places.iter().map(|place| at(&transaction, place)).collect()
}

pub(super) fn at(connection: &Connection, place: &Place) -> rusqlite::Result<Stored> {
    let parent = match place {
        Place::Application(_) => Some(ResourceId::ROOT),
        Place::Token(_) => Some(ResourceId::TOKENS),
        Place::Device {
            application: name, ..
        } => application(connection, name)?,
    };
    let row = match parent {
        Some(parent) => get(connection, parent, place.name())?,
        None => None,
    };
    Ok(Stored { parent, row })
}

pub(super) fn list(
    connection: &Connection,
    parent: ResourceId,
    after: &str,
    limit: usize,
) -> rusqlite::Result<(Vec<Row>, bool)> {
    let mut statement = connection.prepare_cached(
        "SELECT id, parent, name, uid, created, generation, revision, labels, annotations, spec
         FROM resource WHERE parent = ?1 AND name > ?2 ORDER BY name",
    )?;
    let mut found = statement.query(params![parent.0, after])?;
    let mut rows = Vec::new();
    let mut bytes = 0;
    while let Some(next) = found.next()? {
        if rows.len() == limit || bytes > PAGE_BYTES {
            return Ok((rows, true));
        }
        let next = row(next)?;
        bytes += next.size();
        rows.push(next);
    }
    Ok((rows, false))
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: ResourceId(row.get(0)?),
        parent: ResourceId(row.get(1)?),
        name: row.get(2)?,
        uid: row.get(3)?,
        created: row.get(4)?,
        generation: unsigned(row, 5)?,
        revision: unsigned(row, 6)?,
        labels: row.get(7)?,
        annotations: row.get(8)?,
        spec: Zeroizing::new(row.get(9)?),
    })
}

/// A count: SQLite's integers are signed.
pub(super) fn unsigned(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(index)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, value))
}
