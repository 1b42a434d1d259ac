//! The sequence of changes, by which instances follow each other.

use deadpool_postgres::{GenericClient as _, Transaction};
use tokio_postgres::{Client, Error};

use super::CHANNEL;
use super::own::Own;
use super::read::{Parameters, signed};
use crate::store::{News, Place, ResourceId};

/// Changes that are kept: an instance that was away for longer looks again at everything.
const KEPT: i64 = 100_000;
/// Changes that are read in one go.
const PAGE: i64 = 1000;

/// How far an instance has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) revision: i64,
    pub(super) tag: i64,
}

/// The revisions of one transaction.
pub(super) struct Mark {
    pub(super) first: i64,
    last: i64,
    tag: i64,
}

/// One resource of a transaction.
pub(super) struct Changed<'a> {
    pub(super) revision: i64,
    pub(super) parent: ResourceId,
    pub(super) place: &'a Place,
}

/// Becomes the one writer, and takes as many revisions as there are writes.
pub(super) async fn mark(transaction: &Transaction<'_>, writes: usize) -> Result<Mark, Error> {
    let writes = i64::try_from(writes).unwrap_or(i64::MAX);
    // Only to tell transactions apart: if there are no random bytes, the clock will do.
    let mut tag = [0; 8];
    let tag = match getrandom::fill(&mut tag) {
        Ok(()) => i64::from_ne_bytes(tag),
        Err(_) => signed(u64::from(std::process::id())),
    };
    let statement = transaction
        .prepare_cached(
            "UPDATE landfall_state SET revision = revision + $1, tag = $2 RETURNING revision",
        )
        .await?;
    let last: i64 = transaction
        .query_one(&statement, &[&writes, &tag])
        .await?
        .try_get(0)?;
    Ok(Mark {
        first: last - writes + 1,
        last,
        tag,
    })
}

/// Records what changed, forgets what is old, and wakes the other instances at the commit.
pub(super) async fn record(
    transaction: &Transaction<'_>,
    mark: &Mark,
    changed: &[Changed<'_>],
) -> Result<(), Error> {
    let insert = transaction
        .prepare_cached(
            "INSERT INTO landfall_change (revision, tag, parent, application, name)
             SELECT k.revision, $2, k.parent, k.application, k.name
             FROM unnest($1::bigint[], $3::bigint[], $4::text[], $5::text[])
                  AS k (revision, parent, application, name)",
        )
        .await?;
    let forget = "DELETE FROM landfall_change WHERE revision <= $1";
    let forget = transaction.prepare_cached(forget).await?;
    let wake = transaction
        .prepare_cached("SELECT pg_notify($1, '')")
        .await?;
    let revisions: Vec<i64> = changed.iter().map(|changed| changed.revision).collect();
    let parents: Vec<i64> = changed.iter().map(|changed| changed.parent.0).collect();
    let names: Vec<&str> = changed.iter().map(|changed| changed.place.name()).collect();
    let applications: Vec<&str> = changed
        .iter()
        .map(|changed| match changed.place {
            Place::Device { application, .. } => application,
            Place::Application(_) | Place::Token(_) => "",
        })
        .collect();
    let old = mark.last - KEPT;
    let what: Parameters<'_> = &[&revisions, &mark.tag, &parents, &applications, &names];
    let until: Parameters<'_> = &[&old];
    let channel: Parameters<'_> = &[&CHANNEL];
    // Sent together: they need not wait for each other.
    tokio::try_join!(
        transaction.execute(&insert, what),
        transaction.execute(&forget, until),
        transaction.execute(&wake, channel),
    )?;
    Ok(())
}

/// Whether the changes since a position can be told: the database still has it, and is the one it
/// was.
pub(super) async fn is_known(client: &Client, position: Position) -> Result<bool, Error> {
    let known = client
        .query_opt(
            "SELECT 1 FROM landfall_change WHERE revision = $1 AND tag = $2",
            &[&position.revision, &position.tag],
        )
        .await?;
    Ok(known.is_some())
}

/// Where the database is now.
pub(super) async fn now(client: &Client) -> Result<Position, Error> {
    let row = client
        .query_one("SELECT revision, tag FROM landfall_state", &[])
        .await?;
    Ok(Position {
        revision: row.try_get(0)?,
        tag: row.try_get(1)?,
    })
}

/// Tells of the changes since a position, and returns the new one.
pub(super) async fn follow(
    client: &Client,
    mut position: Position,
    own: &Own,
    tell: &(dyn Fn(News) + Send + Sync),
) -> Result<Position, Error> {
    loop {
        let rows = client
            .query(
                "SELECT revision, tag, parent, application, name FROM landfall_change
                 WHERE revision > $1 ORDER BY revision LIMIT $2",
                &[&position.revision, &PAGE],
            )
            .await?;
        for row in &rows {
            position = Position {
                revision: row.try_get(0)?,
                tag: row.try_get(1)?,
            };
            if own.take(position.revision) {
                continue;
            }
            let parent = ResourceId(row.try_get(2)?);
            let name: String = row.try_get(4)?;
            let place = match parent {
                ResourceId::ROOT => Place::Application(name.into()),
                ResourceId::TOKENS => Place::Token(name.into()),
                ResourceId(_) => Place::Device {
                    application: row.try_get::<_, String>(3)?.into(),
                    device: name.into(),
                },
            };
            tell(News::Changed { place, parent });
        }
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) < PAGE {
            return Ok(position);
        }
    }
}
