//! Claims: values that a resource has for itself alone.

use std::collections::HashSet;

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Error;

use super::read::Parameters;
use super::write::{CommitFailure, Write};
use crate::store::{Refusal, ResourceId, Space};

/// How `landfall_claim` writes a space.
fn key(space: Space, parent: ResourceId) -> (i64, i64) {
    match space {
        Space::DeviceNames => (parent.0, 1),
        Space::TrustAnchors => (0, 2),
    }
}

/// Names of the resources that claim a value from the first to the last of a range, both included,
/// each once.
pub(super) async fn holders(
    client: &impl GenericClient,
    parent: ResourceId,
    space: Space,
    (first, last): (&[u8], &[u8]),
    limit: usize,
) -> Result<Vec<String>, Error> {
    let statement = client
        .prepare_cached(
            "SELECT name FROM (
                 SELECT DISTINCT ON (r.id) r.name, c.value
                 FROM landfall_claim c JOIN landfall_resource r ON r.id = c.resource
                 WHERE c.space = $1 AND c.kind = $2 AND c.value BETWEEN $3 AND $4
                 ORDER BY r.id, c.value
             ) AS holder ORDER BY value LIMIT $5",
        )
        .await?;
    let (space, kind) = key(space, parent);
    let parameters: Parameters<'_> = &[&space, &kind, &first, &last, &number(limit)];
    let found = client.query(&statement, parameters).await?;
    found.iter().map(|row| row.try_get(0)).collect()
}

/// Removes the claims of resources.
pub(super) async fn release(transaction: &Transaction<'_>, ids: &[i64]) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let statement = "DELETE FROM landfall_claim WHERE resource = ANY($1)";
    let statement = transaction.prepare_cached(statement).await?;
    transaction.execute(&statement, &[&ids]).await?;
    Ok(())
}

/// The first of new devices whose name another device claims.
pub(super) async fn first_claimed(
    transaction: &Transaction<'_>,
    devices: &[&mut Write<'_>],
) -> Result<Option<usize>, Error> {
    if devices.is_empty() {
        return Ok(None);
    }
    let (mut spaces, mut names, mut indices) = (Vec::new(), Vec::new(), Vec::new());
    let mut kind = 0;
    for write in devices {
        let (space, of_names) = key(Space::DeviceNames, write.row.parent);
        kind = of_names;
        spaces.push(space);
        names.push(write.row.name.as_bytes());
        indices.push(number(write.index));
    }
    let statement = transaction
        .prepare_cached(
            "SELECT min(k.index)
             FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS k (space, value, index)
             JOIN landfall_claim c ON c.space = k.space AND c.kind = $4 AND c.value = k.value",
        )
        .await?;
    let row = transaction
        .query_one(&statement, &[&spaces, &names, &indices, &kind])
        .await?;
    let first: Option<i64> = row.try_get(0)?;
    Ok(first.and_then(|first| usize::try_from(first).ok()))
}

/// One claim among those of a transaction.
struct Wanted<'a> {
    /// Of the write, and of the claim among the write's.
    index: (usize, usize),
    space: i64,
    kind: i64,
    value: &'a [u8],
    resource: i64,
}

/// Makes the claims of resources that have none.
pub(super) async fn claim(
    transaction: &Transaction<'_>,
    writes: &[Write<'_>],
) -> Result<(), CommitFailure> {
    let wanted: Vec<Wanted<'_>> = writes.iter().flat_map(of_write).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let names = names_of_others(transaction, &wanted).await?;
    let mut inserted = insert(transaction, &wanted).await?;
    for (at, wanted) in wanted.iter().enumerate() {
        // Two of this transaction that want the same: the first has it.
        let has_it = inserted.remove(&(wanted.space, wanted.kind, wanted.value.to_vec()));
        if !has_it || names.contains(&at) {
            let (index, claim) = wanted.index;
            let refusal = Refusal::Taken(Some(claim));
            return Err(CommitFailure::Refused { index, refusal });
        }
    }
    Ok(())
}

fn of_write<'a>(write: &'a Write<'_>) -> impl Iterator<Item = Wanted<'a>> {
    write
        .put
        .body
        .claims
        .iter()
        .enumerate()
        .map(|(index, claim)| {
            let (space, kind) = key(claim.space, write.row.parent);
            Wanted {
                index: (write.index, index),
                space,
                kind,
                value: &claim.value,
                resource: write.row.id.0,
            }
        })
}

/// Which of the claims are names of other devices, which are in the same space as what devices
/// claim.
async fn names_of_others(
    transaction: &Transaction<'_>,
    wanted: &[Wanted<'_>],
) -> Result<HashSet<usize>, Error> {
    let (_, kind) = key(Space::DeviceNames, ResourceId::ROOT);
    let (mut parents, mut names) = (Vec::new(), Vec::new());
    let (mut resources, mut indices) = (Vec::new(), Vec::new());
    for (at, wanted) in wanted.iter().enumerate() {
        let name = std::str::from_utf8(wanted.value).ok();
        if let Some(name) = name.filter(|_| wanted.kind == kind) {
            parents.push(wanted.space);
            names.push(name);
            resources.push(wanted.resource);
            indices.push(number(at));
        }
    }
    if indices.is_empty() {
        return Ok(HashSet::new());
    }
    let statement = transaction
        .prepare_cached(
            "SELECT k.index
             FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])
                  AS k (parent, name, resource, index)
             JOIN landfall_resource r ON r.parent = k.parent AND r.name = k.name
             WHERE r.id <> k.resource",
        )
        .await?;
    let parameters: Parameters<'_> = &[&parents, &names, &resources, &indices];
    let found = transaction.query(&statement, parameters).await?;
    found
        .iter()
        .map(|row| {
            row.try_get(0)
                .map(|at: i64| usize::try_from(at).unwrap_or_default())
        })
        .collect()
}

async fn insert(
    transaction: &Transaction<'_>,
    wanted: &[Wanted<'_>],
) -> Result<HashSet<(i64, i64, Vec<u8>)>, Error> {
    let statement = transaction
        .prepare_cached(
            "INSERT INTO landfall_claim (space, kind, value, resource)
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[])
             ON CONFLICT DO NOTHING RETURNING space, kind, value",
        )
        .await?;
    let column = |get: fn(&Wanted<'_>) -> i64| -> Vec<i64> { wanted.iter().map(get).collect() };
    let values: Vec<&[u8]> = wanted.iter().map(|wanted| wanted.value).collect();
    let inserted = transaction
        .query(
            &statement,
            &[
                &column(|wanted| wanted.space),
                &column(|wanted| wanted.kind),
                &values,
                &column(|wanted| wanted.resource),
            ],
        )
        .await?;
    inserted
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}

fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}
