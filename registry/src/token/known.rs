//! All tokens in memory, read again when what is known has aged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::TokenId;
use super::stored::StoredToken;
use crate::store::{ResourceId, Select, Store, Unavailable};

/// Most tokens that there may be: all of them are kept in memory.
pub(crate) const MAX_TOKENS: usize = 1000;
/// How long what was read is relied on: a revocation acts after this long on all other instances.
const FRESH: Duration = Duration::from_millis(500);
/// How much longer, while the store cannot be read: nobody can revoke a token there, either.
const GRACE: Duration = Duration::from_secs(60);

type All = Arc<HashMap<TokenId, Arc<StoredToken>>>;

/// What was last read.
#[derive(Default)]
pub(crate) struct KnownTokens {
    last: Mutex<Last>,
    /// Held by the one who reads.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Last {
    reading: Option<Reading>,
    /// Changes made here so far: a reading during which this grew may hold what was before.
    changes: u64,
}

struct Reading {
    at: Instant,
    all: All,
    /// As of the reading's start.
    changes: u64,
}

impl KnownTokens {
    pub(crate) async fn get(&self, store: &Store) -> Result<All, Unavailable> {
        if let Some(all) = self.within(FRESH) {
            return Ok(all);
        }
        let _one_reads = self.reading.lock().await;
        // Somebody else may have read meanwhile.
        if let Some(all) = self.within(FRESH) {
            return Ok(all);
        }
        let (at, changes) = (Instant::now(), self.last().changes);
        match read(store).await {
            Ok(all) => {
                self.last().reading = Some(Reading {
                    at,
                    all: Arc::clone(&all),
                    changes,
                });
                Ok(all)
            }
            Err(unavailable) => self.within(FRESH + GRACE).ok_or(unavailable),
        }
    }

    /// What was read, or is being read, is not to be relied on any more.
    pub(crate) fn forget(&self) {
        self.last().changes += 1;
    }

    fn within(&self, age: Duration) -> Option<All> {
        let last = self.last();
        let good = last
            .reading
            .as_ref()
            .filter(|reading| reading.changes == last.changes && reading.at.elapsed() < age);
        good.map(|reading| Arc::clone(&reading.all))
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(store: &Store) -> Result<All, Unavailable> {
    let mut all = HashMap::new();
    let mut select = Select {
        limit: MAX_TOKENS,
        ..Select::default()
    };
    loop {
        let listed = store.list(ResourceId::TOKENS, select.clone()).await?;
        for row in &listed.rows {
            match StoredToken::of_row(row) {
                Some(stored) => {
                    all.insert(stored.token.id, Arc::new(stored));
                }
                // Without it nobody can use it; the others stay good.
                None => tracing::error!(token = row.name, "a stored API token is damaged"),
            }
        }
        match listed.next {
            Some(next) if all.len() < 2 * MAX_TOKENS => select.after = next,
            _ => return Ok(Arc::new(all)),
        }
    }
}
