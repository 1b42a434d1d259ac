//! Changes, each one transaction.

use std::ops::RangeInclusive;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::{Writer, failed, key, read};
use crate::document::Preconditions;
use crate::store::{
    Body, Claim, CommitError, Place, Put, Refusal, Removed, ResourceId, Row, Space,
};

/// Devices of a deleted application that one idle step removes: a few milliseconds of work.
const PURGE_STEP: i64 = 500;
/// Free pages that one idle step gives back to the file system.
const VACUUM_STEP: i64 = 256;

impl From<rusqlite::Error> for CommitError {
    fn from(error: rusqlite::Error) -> CommitError {
        CommitError::Unavailable(failed(error))
    }
}

pub(super) fn commit(connection: &mut Connection, puts: &[Put]) -> Result<Vec<Row>, CommitError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut revisions = next_revisions(&transaction, puts.len())?;
    let mut writes = Vec::with_capacity(puts.len());
    for (index, put) in puts.iter().enumerate() {
        let stored = read::at(&transaction, &put.place)?.row;
        if !put.expected.is_met_by(stored.as_ref()) {
            return Err(refused(index, Refusal::Stale));
        }
        // All claims go before the first one comes.
        if let Some(stored) = &stored {
            release(&transaction, stored.id)?;
        }
        let revision = revisions.next().unwrap_or_default();
        writes.push((index, put, stored, revision));
    }
    // Applications first: devices need theirs.
    writes.sort_by_key(|(_, put, ..)| matches!(put.place, Place::Device { .. }));
    let mut rows = Vec::with_capacity(writes.len());
    for (index, put, stored, revision) in writes {
        match store(&transaction, put, stored, revision)? {
            Ok(row) => rows.push((index, row)),
            Err(refusal) => return Err(refused(index, refusal)),
        }
    }
    rows.sort_by_key(|(index, _)| *index);
    for ((index, row), put) in rows.iter().zip(puts) {
        if let Err(refusal) = claim(&transaction, row, &put.body.claims)? {
            return Err(refused(*index, refusal));
        }
    }
    transaction.commit()?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn refused(index: usize, refusal: Refusal) -> CommitError {
    CommitError::Refused { index, refusal }
}

/// Creates or replaces a resource, but for its claims.
fn store(
    transaction: &Transaction<'_>,
    put: &Put,
    stored: Option<Row>,
    revision: u64,
) -> rusqlite::Result<Result<Row, Refusal>> {
    let Body {
        labels,
        annotations,
        spec,
        ..
    } = put.body.clone();
    if let Some(stored) = stored {
        let row = Row {
            generation: stored.generation + u64::from(stored.spec != spec),
            revision,
            labels,
            annotations,
            spec,
            ..stored
        };
        update(transaction, &row)?;
        return Ok(Ok(row));
    }
    let parent = match &put.place {
        Place::Application(_) => ResourceId::ROOT,
        Place::Token(_) => ResourceId::TOKENS,
        Place::Device {
            application,
            device,
        } => match read::application(transaction, application)? {
            None => return Ok(Err(Refusal::NoParent)),
            Some(parent) if is_claimed(transaction, parent, device)? => {
                return Ok(Err(Refusal::Taken(None)));
            }
            Some(parent) => parent,
        },
    };
    let row = Row {
        id: ResourceId(0),
        parent,
        name: put.place.name().to_owned(),
        uid: Uuid::new_v4().to_string(),
        created: now(),
        generation: 1,
        revision,
        labels,
        annotations,
        spec,
    };
    insert(transaction, row).map(Ok)
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
    next_revisions(&transaction, 1)?;
    release(&transaction, row.id)?;
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

/// As many revisions as there are writes; none was there before.
fn next_revisions(
    transaction: &Transaction<'_>,
    writes: usize,
) -> rusqlite::Result<RangeInclusive<u64>> {
    let writes = u64::try_from(writes).unwrap_or(u64::MAX);
    let last = transaction
        .prepare_cached("UPDATE state SET revision = revision + ?1 RETURNING revision")?
        .query_row([signed(writes)], |row| read::unsigned(row, 0))?;
    Ok(last.saturating_sub(writes) + 1..=last)
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

/// Removes the claims of a resource.
fn release(transaction: &Transaction<'_>, resource: ResourceId) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM claim WHERE resource = ?1")?
        .execute([resource.0])?;
    Ok(())
}

/// Makes the claims of a resource, which has none.
fn claim(
    transaction: &Transaction<'_>,
    row: &Row,
    claims: &[Claim],
) -> rusqlite::Result<Result<(), Refusal>> {
    for (index, claim) in claims.iter().enumerate() {
        let (space, kind) = key(claim.space, row.parent);
        let claimed = !is_name_of_another(transaction, row, claim)?
            && transaction
                .prepare_cached(
                    "INSERT INTO claim (space, kind, value, resource) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![space, kind, claim.value, row.id.0])?
                == 1;
        if !claimed {
            return Ok(Err(Refusal::Taken(Some(index))));
        }
    }
    Ok(Ok(()))
}

/// Names of devices are in the same space as what they claim.
fn is_name_of_another(
    transaction: &Transaction<'_>,
    row: &Row,
    claim: &Claim,
) -> rusqlite::Result<bool> {
    let (Space::DeviceNames, Ok(name)) = (claim.space, std::str::from_utf8(&claim.value)) else {
        return Ok(false);
    };
    transaction
        .prepare_cached("SELECT 1 FROM resource WHERE parent = ?1 AND name = ?2 AND id <> ?3")?
        .exists(params![row.parent.0, name, row.id.0])
}

fn is_claimed(
    transaction: &Transaction<'_>,
    application: ResourceId,
    name: &str,
) -> rusqlite::Result<bool> {
    let (space, kind) = key(Space::DeviceNames, application);
    transaction
        .prepare_cached("SELECT 1 FROM claim WHERE space = ?1 AND kind = ?2 AND value = ?3")?
        .exists(params![space, kind, name.as_bytes()])
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
