//! Queries.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;
use zeroize::Zeroizing;

use crate::store::{Listed, PAGE_BYTES, PAGE_SCAN, Place, ResourceId, Row, Select, Stored};

const COLUMNS: &str = "r.id, r.parent, r.name, r.uid, r.created, r.generation, r.revision, \
                       r.labels, r.annotations, r.spec";

/// A name that PostgreSQL's text cannot hold, so that nothing has it.
pub(super) fn is_impossible(name: &str) -> bool {
    name.contains('\0')
}

pub(super) async fn get(
    client: &impl GenericClient,
    parent: ResourceId,
    name: &str,
) -> Result<Option<Row>, Error> {
    let statement =
        format!("SELECT {COLUMNS} FROM landfall_resource r WHERE r.parent = $1 AND r.name = $2");
    let statement = client.prepare_cached(&statement).await?;
    let found = client.query_opt(&statement, &[&parent.0, &name]).await?;
    found.map(|found| row(&found, 0)).transpose()
}

/// The ids of applications by name.
pub(super) async fn applications(
    client: &impl GenericClient,
    names: &[&str],
) -> Result<HashMap<String, ResourceId>, Error> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = client
        .prepare_cached(
            "SELECT name, id FROM landfall_resource WHERE parent = 0 AND name = ANY($1)",
        )
        .await?;
    let found = client.query(&statement, &[&names]).await?;
    found
        .iter()
        .map(|row| Ok((row.try_get(0)?, ResourceId(row.try_get(1)?))))
        .collect()
}

/// The names of applications that devices of these places belong to, each once.
pub(super) fn application_names<'a>(places: impl Iterator<Item = &'a Place>) -> Vec<&'a str> {
    let mut names: Vec<&str> = places
        .filter_map(|place| match place {
            Place::Device { application, .. } => Some(&**application),
            Place::Application(_) | Place::Token(_) => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What is stored at each of the places.
pub(super) async fn all(
    client: &impl GenericClient,
    places: &[&Place],
) -> Result<Vec<Stored>, Error> {
    let applications = applications(client, &application_names(places.iter().copied())).await?;
    let mut stored: Vec<Stored> = places
        .iter()
        .map(|place| Stored {
            parent: match place {
                Place::Application(_) => Some(ResourceId::ROOT),
                Place::Token(_) => Some(ResourceId::TOKENS),
                Place::Device { application, .. } => applications.get(&**application).copied(),
            },
            row: None,
        })
        .collect();

    let (mut parents, mut names, mut indices) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (place, stored)) in places.iter().zip(&stored).enumerate() {
        if let Some(parent) = stored.parent {
            parents.push(parent.0);
            names.push(place.name());
            indices.push(i64::try_from(index).unwrap_or(i64::MAX));
        }
    }
    let statement = format!(
        "SELECT k.index, {COLUMNS}
         FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS k (parent, name, index)
         JOIN landfall_resource r ON r.parent = k.parent AND r.name = k.name"
    );
    let statement = client.prepare_cached(&statement).await?;
    for found in client
        .query(&statement, &[&parents, &names, &indices])
        .await?
    {
        let index: i64 = found.try_get(0)?;
        if let Some(stored) = stored.get_mut(usize::try_from(index).unwrap_or(usize::MAX)) {
            stored.row = Some(row(&found, 1)?);
        }
    }
    Ok(stored)
}

pub(super) async fn count(
    client: &impl GenericClient,
    parent: ResourceId,
    at_most: u32,
) -> Result<u64, Error> {
    let statement = client
        .prepare_cached(
            "SELECT count(*) FROM
             (SELECT 1 FROM landfall_resource WHERE parent = $1 LIMIT $2) AS counted",
        )
        .await?;
    let row = client
        .query_one(&statement, &[&parent.0, &i64::from(at_most)])
        .await?;
    let count: i64 = row.try_get(0)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

pub(super) async fn list(
    client: &impl GenericClient,
    parent: ResourceId,
    select: &Select,
) -> Result<Listed, Error> {
    let limit = i64::try_from(select.limit + 1).unwrap_or(i64::MAX);
    let (rows, available, next) = if select.labels.is_empty() {
        let parameters: Parameters<'_> = &[&parent.0, &limit, &select.after];
        let (mut rows, available) = page(client, "name > $3", parameters).await?;
        rows.truncate(select.limit);
        (rows, available, None)
    } else {
        let (names, next) = selected(client, parent, select).await?;
        let parameters: Parameters<'_> = &[&parent.0, &limit, &names];
        let (rows, available) = page(client, "name = ANY($3)", parameters).await?;
        (rows, available, next)
    };
    let next = match rows.last() {
        Some(last) if rows.len() < available => Some(last.name.clone()),
        _ => next,
    };
    Ok(Listed { rows, next })
}

pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Rows of a page, which ends at the first row beyond its bytes, and how many there are without
/// that bound.
async fn page(
    client: &impl GenericClient,
    condition: &str,
    parameters: Parameters<'_>,
) -> Result<(Vec<Row>, usize), Error> {
    let statement = format!(
        "SELECT {COLUMNS}, r.available FROM (
             SELECT s.*, count(*) OVER () AS available,
                    sum(s.size) OVER (ORDER BY s.name) - s.size AS before
             FROM (
                 SELECT *, octet_length(name) + octet_length(labels) + octet_length(annotations)
                           + octet_length(spec) AS size
                 FROM landfall_resource WHERE parent = $1 AND {condition} ORDER BY name LIMIT $2
             ) s
         ) r WHERE r.before <= {PAGE_BYTES} ORDER BY r.name"
    );
    let statement = client.prepare_cached(&statement).await?;
    let found = client.query(&statement, parameters).await?;
    let available: i64 = match found.first() {
        Some(first) => first.try_get(10)?,
        None => 0,
    };
    let rows = found.iter().map(|found| row(found, 0));
    Ok((
        rows.collect::<Result<_, _>>()?,
        usize::try_from(available).unwrap_or_default(),
    ))
}

/// Names of the next page by labels, and where it goes on. Labels are judged here and not by the
/// database, so that all stores judge alike.
async fn selected(
    client: &impl GenericClient,
    parent: ResourceId,
    select: &Select,
) -> Result<(Vec<String>, Option<String>), Error> {
    let statement = client
        .prepare_cached(
            "SELECT name, labels FROM landfall_resource
             WHERE parent = $1 AND name > $2 ORDER BY name LIMIT $3",
        )
        .await?;
    let scan = i64::try_from(PAGE_SCAN + 1).unwrap_or(i64::MAX);
    let found = client
        .query(&statement, &[&parent.0, &select.after, &scan])
        .await?;
    let mut names = Vec::new();
    let mut last: Option<String> = None;
    for (scanned, row) in found.iter().enumerate() {
        if names.len() == select.limit || scanned == PAGE_SCAN {
            return Ok((names, last));
        }
        let name: String = row.try_get(0)?;
        if select.selects(row.try_get(1)?) {
            names.push(name.clone());
        }
        last = Some(name);
    }
    Ok((names, None))
}

/// A row from the columns that start at `at`.
pub(super) fn row(row: &tokio_postgres::Row, at: usize) -> Result<Row, Error> {
    Ok(Row {
        id: ResourceId(row.try_get(at)?),
        parent: ResourceId(row.try_get(at + 1)?),
        name: row.try_get(at + 2)?,
        uid: row.try_get(at + 3)?,
        created: row.try_get(at + 4)?,
        generation: unsigned(row.try_get(at + 5)?),
        revision: unsigned(row.try_get(at + 6)?),
        labels: row.try_get(at + 7)?,
        annotations: row.try_get(at + 8)?,
        spec: Zeroizing::new(row.try_get(at + 9)?),
    })
}

/// A count: PostgreSQL's integers are signed.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
