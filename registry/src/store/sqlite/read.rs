//! Queries.

use rusqlite::{Connection, OptionalExtension as _, params};
use zeroize::Zeroizing;

use super::key;
use crate::store::{Listed, PAGE_BYTES, PAGE_SCAN, Place, ResourceId, Row, Select, Space, Stored};

/// Reads something, if only to see whether that can be done.
pub(super) fn probe(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT revision FROM state", [], |row| row.get::<_, i64>(0))?;
    Ok(())
}

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
    select: &Select,
) -> rusqlite::Result<Listed> {
    let mut statement = connection.prepare_cached(
        "SELECT id, parent, name, uid, created, generation, revision, labels, annotations, spec
         FROM resource WHERE parent = ?1 AND name > ?2 ORDER BY name",
    )?;
    let mut found = statement.query(params![parent.0, select.after])?;
    let mut listed = Listed::default();
    let (mut bytes, mut scanned) = (0, 0);
    let mut last = None;
    while let Some(next) = found.next()? {
        if listed.rows.len() == select.limit || bytes > PAGE_BYTES || scanned == PAGE_SCAN {
            listed.next = last;
            break;
        }
        scanned += 1;
        last = Some(next.get(2)?);
        if select.selects(next.get_ref(7)?.as_str()?) {
            let next = row(next)?;
            bytes += next.size();
            listed.rows.push(next);
        }
    }
    Ok(listed)
}

pub(super) fn count(
    connection: &Connection,
    parent: ResourceId,
    at_most: u32,
) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM resource WHERE parent = ?1 LIMIT ?2)")?
        .query_row(params![parent.0, at_most], |row| unsigned(row, 0))
}

/// Names of the resources that claim a value from `first` to `last`, both included, each once.
pub(super) fn holders(
    connection: &Connection,
    parent: ResourceId,
    space: Space,
    (first, last): (&[u8], &[u8]),
    limit: usize,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT resource.name FROM claim JOIN resource ON resource.id = claim.resource
         WHERE claim.space = ?1 AND claim.kind = ?2 AND claim.value BETWEEN ?3 AND ?4
         GROUP BY resource.id ORDER BY min(claim.value) LIMIT ?5",
    )?;
    let (space, kind) = key(space, parent);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let names = statement.query_map(params![space, kind, first, last, limit], |row| row.get(0))?;
    names.collect()
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
