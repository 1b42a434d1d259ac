//! Changes, each one transaction. Whoever holds the row of `landfall_state` is the one writer of
//! all instances, until it commits.

use std::time::{SystemTime, UNIX_EPOCH};

use deadpool_postgres::{GenericClient as _, Transaction};
use uuid::Uuid;

use super::changes::{self, Changed};
use super::claims;
use super::connect::Failure;
use super::own::Own;
use super::read::{self, signed, unsigned};
use crate::document::Preconditions;
use crate::store::{CommitError, Place, Put, Refusal, Removed, ResourceId, Row};

/// Either the database's failure or a write that cannot happen.
pub(super) enum CommitFailure {
    Refused { index: usize, refusal: Refusal },
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for CommitFailure {
    fn from(error: E) -> CommitFailure {
        CommitFailure::Failed(error.into())
    }
}

impl CommitFailure {
    pub(super) fn into_error(self) -> CommitError {
        match self {
            CommitFailure::Refused { index, refusal } => CommitError::Refused { index, refusal },
            CommitFailure::Failed(failure) => CommitError::Unavailable(failure.into_reason()),
        }
    }
}

/// A write and what becomes of it.
pub(super) struct Write<'a> {
    pub(super) index: usize,
    pub(super) put: &'a Put,
    pub(super) row: Row,
    is_new: bool,
}

pub(super) async fn commit(
    transaction: Transaction<'_>,
    puts: &[Put],
    own: &Own,
) -> Result<Vec<Row>, CommitFailure> {
    let mark = changes::mark(&transaction, puts.len()).await?;
    let mut writes = writes(&transaction, puts, mark.first).await?;
    let replaced: Vec<i64> = ids(writes.iter().filter(|write| !write.is_new));
    // All claims go before the first one comes.
    claims::release(&transaction, &replaced).await?;
    insert_new(&transaction, &mut writes).await?;
    update(&transaction, &writes).await?;
    claims::claim(&transaction, &writes).await?;
    let changed: Vec<Changed<'_>> = writes
        .iter()
        .map(|write| Changed {
            revision: signed(write.row.revision),
            parent: write.row.parent,
            place: &write.put.place,
        })
        .collect();
    changes::record(&transaction, &mark, &changed).await?;
    let pending = own.pending(changed.iter().map(|changed| changed.revision).collect());
    transaction.commit().await?;
    pending.confirmed();
    Ok(writes.into_iter().map(|write| write.row).collect())
}

fn ids<'a, 'b: 'a>(writes: impl Iterator<Item = &'a Write<'b>>) -> Vec<i64> {
    writes.map(|write| write.row.id.0).collect()
}

/// What each row is to be; the ids and parents of new ones are not known yet.
async fn writes<'a>(
    transaction: &Transaction<'_>,
    puts: &'a [Put],
    first_revision: i64,
) -> Result<Vec<Write<'a>>, CommitFailure> {
    let places: Vec<&Place> = puts.iter().map(|put| &put.place).collect();
    let stored = read::all(transaction, &places).await?;
    let mut writes = Vec::with_capacity(puts.len());
    for ((index, put), stored) in puts.iter().enumerate().zip(stored) {
        if !put.expected.is_met_by(stored.row.as_ref()) {
            let refusal = Refusal::Stale;
            return Err(CommitFailure::Refused { index, refusal });
        }
        let revision = unsigned(first_revision) + u64::try_from(index).unwrap_or_default();
        let body = put.body.clone();
        let is_new = stored.row.is_none();
        let old = stored.row.unwrap_or_else(|| Row {
            id: ResourceId(0),
            parent: ResourceId(0),
            name: put.place.name().to_owned(),
            uid: Uuid::new_v4().to_string(),
            created: now(),
            generation: 0,
            revision,
            labels: String::new(),
            annotations: String::new(),
            spec: String::new().into(),
        });
        let row = Row {
            generation: old.generation + u64::from(is_new || old.spec != body.spec),
            revision,
            labels: body.labels,
            annotations: body.annotations,
            spec: body.spec,
            ..old
        };
        writes.push(Write {
            index,
            put,
            row,
            is_new,
        });
    }
    Ok(writes)
}

async fn insert_new(
    transaction: &Transaction<'_>,
    writes: &mut [Write<'_>],
) -> Result<(), CommitFailure> {
    // Applications first: devices need theirs.
    let mut tops: Vec<&mut Write<'_>> = Vec::new();
    let mut devices: Vec<&mut Write<'_>> = Vec::new();
    for write in writes.iter_mut().filter(|write| write.is_new) {
        match &write.put.place {
            Place::Application(_) => write.row.parent = ResourceId::ROOT,
            Place::Token(_) => write.row.parent = ResourceId::TOKENS,
            Place::Device { .. } => {
                devices.push(write);
                continue;
            }
        }
        tops.push(write);
    }
    insert(transaction, &mut tops).await?;

    let names = read::application_names(devices.iter().map(|write| &write.put.place));
    let applications = read::applications(transaction, &names).await?;
    for write in &mut devices {
        let parent = match &write.put.place {
            Place::Device { application, .. } => applications.get(&**application),
            Place::Application(_) | Place::Token(_) => None,
        };
        let index = write.index;
        let refusal = Refusal::NoParent;
        write.row.parent = *parent.ok_or(CommitFailure::Refused { index, refusal })?;
    }
    if let Some(index) = claims::first_claimed(transaction, &devices).await? {
        let refusal = Refusal::Taken(None);
        return Err(CommitFailure::Refused { index, refusal });
    }
    insert(transaction, &mut devices).await?;
    Ok(())
}

/// Inserts rows and gives them their ids.
async fn insert(
    transaction: &Transaction<'_>,
    writes: &mut [&mut Write<'_>],
) -> Result<(), CommitFailure> {
    if writes.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached(
            "INSERT INTO landfall_resource
             (parent, name, uid, created, generation, revision, labels, annotations, spec)
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[],
                                  $6::bigint[], $7::text[], $8::text[], $9::text[])
             RETURNING revision, id",
        )
        .await?;
    let column =
        |get: fn(&Row) -> i64| -> Vec<i64> { writes.iter().map(|w| get(&w.row)).collect() };
    let parents = column(|row| row.parent.0);
    let created = column(|row| row.created);
    let generations = column(|row| signed(row.generation));
    let revisions = column(|row| signed(row.revision));
    let inserted = {
        let text =
            |get: fn(&Row) -> &str| -> Vec<&str> { writes.iter().map(|w| get(&w.row)).collect() };
        transaction
            .query(
                &statement,
                &[
                    &parents,
                    &text(|row| &row.name),
                    &text(|row| &row.uid),
                    &created,
                    &generations,
                    &revisions,
                    &text(|row| &row.labels),
                    &text(|row| &row.annotations),
                    &text(|row| &row.spec),
                ],
            )
            .await?
    };
    let ids = inserted
        .iter()
        .map(|row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?)))
        .collect::<Result<std::collections::HashMap<_, _>, tokio_postgres::Error>>()?;
    for write in writes.iter_mut() {
        let id = ids.get(&signed(write.row.revision));
        write.row.id = ResourceId(*id.ok_or_else(|| Failure::lost("a row was not inserted"))?);
    }
    Ok(())
}

async fn update(
    transaction: &Transaction<'_>,
    writes: &[Write<'_>],
) -> Result<(), tokio_postgres::Error> {
    let rows: Vec<&Row> = writes
        .iter()
        .filter(|w| !w.is_new)
        .map(|w| &w.row)
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached(
            "UPDATE landfall_resource r
             SET generation = k.generation, revision = k.revision, labels = k.labels,
                 annotations = k.annotations, spec = k.spec
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[],
                         $6::text[])
                  AS k (id, generation, revision, labels, annotations, spec)
             WHERE r.id = k.id",
        )
        .await?;
    let number = |get: fn(&Row) -> i64| -> Vec<i64> { rows.iter().map(|row| get(row)).collect() };
    let text = |get: fn(&Row) -> &str| -> Vec<&str> { rows.iter().map(|row| get(row)).collect() };
    transaction
        .execute(
            &statement,
            &[
                &number(|row| row.id.0),
                &number(|row| signed(row.generation)),
                &number(|row| signed(row.revision)),
                &text(|row| &row.labels),
                &text(|row| &row.annotations),
                &text(|row| &row.spec),
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn remove(
    transaction: Transaction<'_>,
    parent: ResourceId,
    name: &str,
    preconditions: &Preconditions,
    own: &Own,
) -> Result<Removed, Failure> {
    let mark = changes::mark(&transaction, 1).await?;
    let Some(row) = read::get(&transaction, parent, name).await? else {
        return Ok(Removed::NotFound);
    };
    if !preconditions.hold_for(&row) {
        return Ok(Removed::Conflict);
    }
    let Some(place) = place(&transaction, &row).await? else {
        // Its application is gone, and the device with it.
        return Ok(Removed::NotFound);
    };
    claims::release(&transaction, &[row.id.0]).await?;
    let delete = "DELETE FROM landfall_resource WHERE id = $1";
    let delete = transaction.prepare_cached(delete).await?;
    transaction.execute(&delete, &[&row.id.0]).await?;
    if parent == ResourceId::ROOT {
        let doom = "INSERT INTO landfall_doomed (application) VALUES ($1)";
        transaction.execute(doom, &[&row.id.0]).await?;
    }
    let changed = Changed {
        revision: mark.first,
        parent,
        place: &place,
    };
    changes::record(&transaction, &mark, &[changed]).await?;
    let pending = own.pending(vec![mark.first]);
    transaction.commit().await?;
    pending.confirmed();
    Ok(Removed::Row(row))
}

async fn place(
    transaction: &Transaction<'_>,
    row: &Row,
) -> Result<Option<Place>, tokio_postgres::Error> {
    let name = || row.name.as_str().into();
    match row.parent {
        ResourceId::ROOT => return Ok(Some(Place::Application(name()))),
        ResourceId::TOKENS => return Ok(Some(Place::Token(name()))),
        ResourceId(_) => {}
    }
    let application = "SELECT name FROM landfall_resource WHERE id = $1 AND parent = 0";
    let application = transaction.prepare_cached(application).await?;
    let application = transaction
        .query_opt(&application, &[&row.parent.0])
        .await?;
    application
        .map(|found| {
            Ok(Place::Device {
                application: found.try_get::<_, String>(0)?.into(),
                device: name(),
            })
        })
        .transpose()
}

fn now() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
