//! Changes, each one transaction.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::{Writer, failed, read};
use crate::document::Preconditions;
use crate::store::{Body, Claim, Expected, PutError, Removed, ResourceId, Row, Space};

/// Devices of a deleted application that one idle step removes: a few milliseconds of work.
const PURGE_STEP: i64 = 500;
/// Free pages that one idle step gives back to the file system.
const VACUUM_STEP: i64 = 256;

impl From<rusqlite::Error> for PutError {
    fn from(error: rusqlite::Error) -> PutError {
        PutError::Unavailable(failed(error))
    }
}

pub(super) fn put(
    connection: &mut Connection,
    parent: ResourceId,
    name: &str,
    expected: Expected,
    body: Body,
) -> Result<Row, PutError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !parent.is_top() && !is_application(&transaction, parent)? {
        return Err(PutError::NoParent);
    }
    let stored = read::get(&transaction, parent, name)?;
    let revision = next_revision(&transaction)?;
    let Body {
        labels,
        annotations,
        spec,
        claims,
    } = body;
    let row = match (stored, expected) {
        (None, Expected::Absent) => {
            if !parent.is_top() && is_claimed(&transaction, parent, name)? {
                return Err(PutError::Taken(None));
            }
            let row = Row {
                id: ResourceId(0),
                parent,
                name: name.to_owned(),
                uid: Uuid::new_v4().to_string(),
                created: now(),
                generation: 1,
                revision,
                labels,
                annotations,
                spec,
            };
            insert(&transaction, row)?
        }
        (Some(stored), Expected::Revision(expected)) if stored.revision == expected => {
            let generation = stored.generation + u64::from(stored.spec != spec);
            let row = Row {
                generation,
                revision,
                labels,
                annotations,
                spec,
                ..stored
            };
            update(&transaction, &row)?;
            row
        }
        _ => return Err(PutError::Stale),
    };
    claim(&transaction, &row, &claims)?;
    transaction.commit()?;
    Ok(row)
}

pub(super) fn remove(
    connection: &mut Connection,
    parent: ResourceId,
    name: &str,
    preconditions: &Preconditions,
) -> rusqlite::Result<Removed> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(row) = read::get(&transaction, parent, name)? else {
        return Ok(Removed::NotFound);
    };
    if !preconditions.hold_for(&row) {
        return Ok(Removed::Conflict);
    }
    next_revision(&transaction)?;
    transaction
        .prepare_cached("DELETE FROM claim WHERE resource = ?1")?
        .execute([row.id.0])?;
    transaction
        .prepare_cached("DELETE FROM resource WHERE id = ?1")?
        .execute([row.id.0])?;
    if parent == ResourceId::ROOT {
        transaction.execute("INSERT INTO doomed (application) VALUES (?1)", [row.id.0])?;
    }
    transaction.commit()?;
    Ok(Removed::Row(row))
}

/// One step of removing what deleted applications left behind; whether more is to be done.
pub(super) fn purge(writer: &mut Writer) -> bool {
    if !writer.purge_due {
        return false;
    }
    writer.purge_due = purge_step(&mut writer.connection).unwrap_or_else(|error| {
        tracing::warn!(%error, "devices of a deleted application stay in the file for now");
        false
    });
    writer.purge_due
}

fn purge_step(connection: &mut Connection) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let doomed: Option<i64> =
        transaction.query_row("SELECT min(application) FROM doomed", [], |row| row.get(0))?;
    let Some(application) = doomed else {
        return Ok(false);
    };
    transaction.execute(
        "DELETE FROM claim WHERE resource IN
         (SELECT id FROM resource WHERE parent = ?1 ORDER BY name LIMIT ?2)",
        params![application, PURGE_STEP],
    )?;
    let removed = transaction.execute(
        "DELETE FROM resource WHERE id IN
         (SELECT id FROM resource WHERE parent = ?1 ORDER BY name LIMIT ?2)",
        params![application, PURGE_STEP],
    )?;
    if removed == 0 {
        transaction.execute("DELETE FROM doomed WHERE application = ?1", [application])?;
    }
    transaction.commit()?;
    let mut vacuum =
        connection.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_STEP})"))?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    Ok(true)
}

fn is_application(transaction: &Transaction<'_>, id: ResourceId) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached("SELECT 1 FROM resource WHERE id = ?1 AND parent = 0")?
        .exists([id.0])
}

fn next_revision(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    transaction
        .prepare_cached("UPDATE state SET revision = revision + 1 RETURNING revision")?
        .query_row([], |row| read::unsigned(row, 0))
}

fn insert(transaction: &Transaction<'_>, row: Row) -> rusqlite::Result<Row> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO resource
         (parent, name, uid, created, generation, revision, labels, annotations, spec)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let id = statement.insert(params![
        row.parent.0,
        row.name,
        row.uid,
        row.created,
        signed(row.generation),
        signed(row.revision),
        row.labels,
        row.annotations,
        *row.spec,
    ])?;
    Ok(Row {
        id: ResourceId(id),
        ..row
    })
}

fn update(transaction: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE resource SET generation = ?2, revision = ?3, labels = ?4, annotations = ?5,
         spec = ?6 WHERE id = ?1",
    )?;
    statement.execute(params![
        row.id.0,
        signed(row.generation),
        signed(row.revision),
        row.labels,
        row.annotations,
        *row.spec,
    ])?;
    Ok(())
}

/// Replaces the claims of a resource.
fn claim(transaction: &Transaction<'_>, row: &Row, claims: &[Claim]) -> Result<(), PutError> {
    transaction
        .prepare_cached("DELETE FROM claim WHERE resource = ?1")?
        .execute([row.id.0])?;
    for (index, claim) in claims.iter().enumerate() {
        if is_name_of_another(transaction, row, claim)? {
            return Err(PutError::Taken(Some(index)));
        }
        let (space, kind) = key(claim.space);
        let inserted = transaction
            .prepare_cached(
                "INSERT INTO claim (space, kind, value, resource) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![space, kind, claim.value, row.id.0])?;
        if inserted == 0 {
            return Err(PutError::Taken(Some(index)));
        }
    }
    Ok(())
}

/// Names of devices are in the same space as what they claim.
fn is_name_of_another(
    transaction: &Transaction<'_>,
    row: &Row,
    claim: &Claim,
) -> rusqlite::Result<bool> {
    let (Space::DeviceNames(application), Ok(name)) =
        (claim.space, std::str::from_utf8(&claim.value))
    else {
        return Ok(false);
    };
    transaction
        .prepare_cached("SELECT 1 FROM resource WHERE parent = ?1 AND name = ?2 AND id <> ?3")?
        .exists(params![application.0, name, row.id.0])
}

fn is_claimed(
    transaction: &Transaction<'_>,
    application: ResourceId,
    name: &str,
) -> rusqlite::Result<bool> {
    let (space, kind) = key(Space::DeviceNames(application));
    transaction
        .prepare_cached("SELECT 1 FROM claim WHERE space = ?1 AND kind = ?2 AND value = ?3")?
        .exists(params![space, kind, name.as_bytes()])
}

fn key(space: Space) -> (i64, i64) {
    match space {
        Space::DeviceNames(application) => (application.0, 1),
        Space::TrustAnchors => (0, 2),
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn now() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
