//! Removing what deleted applications left behind, a little at a time.

use std::sync::Arc;

use deadpool_postgres::Pool;
use tokio::sync::Notify;

use super::connect::Failure;

/// Devices that one step removes: some ten milliseconds of work.
const STEP: i64 = 500;

/// Removes whenever it is told that there may be something, until it is dropped.
pub(super) async fn run(pool: Pool, due: Arc<Notify>) {
    loop {
        due.notified().await;
        loop {
            match step(&pool).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => {
                    let reason = failure.reason();
                    tracing::warn!(%reason, "devices of a deleted application stay for now");
                    break;
                }
            }
        }
    }
}

/// One step; whether more may be to do. Several instances share the work.
async fn step(pool: &Pool) -> Result<bool, Failure> {
    let mut client = pool
        .get()
        .await
        .map_err(|error| Failure::lost(error.to_string()))?;
    let transaction = client.transaction().await?;
    let doomed = transaction
        .query_opt(
            "SELECT application FROM landfall_doomed LIMIT 1 FOR UPDATE SKIP LOCKED",
            &[],
        )
        .await?;
    let Some(doomed) = doomed else {
        return Ok(false);
    };
    let application: i64 = doomed.try_get(0)?;
    let removed = transaction
        .execute(
            "WITH gone AS (
                 DELETE FROM landfall_resource WHERE id IN
                 (SELECT id FROM landfall_resource WHERE parent = $1 ORDER BY name LIMIT $2)
                 RETURNING id
             )
             DELETE FROM landfall_claim WHERE resource IN (SELECT id FROM gone)",
            &[&application, &STEP],
        )
        .await;
    removed?;
    let left = "SELECT EXISTS (SELECT 1 FROM landfall_resource WHERE parent = $1)";
    if !transaction
        .query_one(left, &[&application])
        .await?
        .try_get::<_, bool>(0)?
    {
        let done = "DELETE FROM landfall_doomed WHERE application = $1";
        transaction.execute(done, &[&application]).await?;
    }
    transaction.commit().await?;
    Ok(true)
}
