//! Opening the database: checks and migrations, by one instance at a time.

use tokio_postgres::{Client, Transaction};

use super::connect::{refused, told};
use super::{Position, PostgresUrl};
use crate::error::OpenError;

/// Each brings the schema from the version of its index to the next.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// The advisory lock that instances take to migrate: `LFrg`, as the SQLite file's application id.
const LOCK: i64 = 0x4c46_7267;

/// Brings the schema up to date. Instances that start at once wait for each other.
pub(super) async fn open(client: &mut Client, url: &PostgresUrl) -> Result<Position, OpenError> {
    let cannot = |error: tokio_postgres::Error| refused(url, &error);
    let corrupt = |reason: &str| OpenError::Corrupt {
        store: url.to_string(),
        reason: reason.to_owned(),
    };
    // Another instance may be at a long migration.
    client
        .batch_execute("SET lock_timeout = 0; SET statement_timeout = 0")
        .await
        .map_err(cannot)?;
    let encoding: String = client
        .query_one("SHOW server_encoding", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(cannot)?;
    if encoding != "UTF8" {
        let reason = format!("its encoding is {encoding}: create it with encoding UTF8");
        return Err(corrupt(&reason));
    }

    let transaction = client.transaction().await.map_err(cannot)?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await
        .map_err(cannot)?;
    let version = version(&transaction).await.map_err(cannot)?;
    let version = version.ok_or_else(|| corrupt("landfall_schema does not hold one version"))?;
    if version > MIGRATIONS.len() {
        return Err(OpenError::Newer {
            store: url.to_string(),
            found: version,
            supported: MIGRATIONS.len(),
        });
    }
    if version < MIGRATIONS.len() {
        migrate(&transaction, version).await.map_err(cannot)?;
    }
    let position = position(&transaction).await;
    let position = position.map_err(|error| corrupt(&told(&error)))?;
    let position = position.ok_or_else(|| corrupt("landfall_state is empty"))?;
    transaction.commit().await.map_err(cannot)?;
    tracing::debug!(store = %url, version = MIGRATIONS.len(), "registry opened");
    Ok(position)
}

/// 0 for a new database; `None` if the table of versions is not what was made.
async fn version(transaction: &Transaction<'_>) -> Result<Option<usize>, tokio_postgres::Error> {
    let exists: bool = transaction
        .query_one("SELECT to_regclass('landfall_schema') IS NOT NULL", &[])
        .await?
        .try_get(0)?;
    if !exists {
        return Ok(Some(0));
    }
    let rows = transaction
        .query("SELECT version FROM landfall_schema", &[])
        .await?;
    let [row] = rows.as_slice() else {
        return Ok(None);
    };
    let version: i32 = row.try_get(0)?;
    Ok(usize::try_from(version).ok())
}

async fn migrate(transaction: &Transaction<'_>, from: usize) -> Result<(), tokio_postgres::Error> {
    for migration in MIGRATIONS.iter().skip(from) {
        transaction.batch_execute(migration).await?;
    }
    let version = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    transaction
        .batch_execute("CREATE TABLE IF NOT EXISTS landfall_schema (version integer NOT NULL)")
        .await?;
    transaction
        .execute("DELETE FROM landfall_schema", &[])
        .await?;
    transaction
        .execute(
            "INSERT INTO landfall_schema (version) VALUES ($1)",
            &[&version],
        )
        .await?;
    Ok(())
}

async fn position(
    transaction: &Transaction<'_>,
) -> Result<Option<Position>, tokio_postgres::Error> {
    let row = transaction
        .query_opt("SELECT revision, tag FROM landfall_state", &[])
        .await?;
    row.map(|row| {
        Ok(Position {
            revision: row.try_get(0)?,
            tag: row.try_get(1)?,
        })
    })
    .transpose()
}
