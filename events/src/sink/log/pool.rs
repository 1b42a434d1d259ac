//! Connections that read.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::Shared;
use super::error::ReadError;

/// Connections that read at the same time; further reads wait for one of them.
const MOST_CONNECTIONS: usize = 8;

/// Read-only connections, opened when needed and kept.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<PoolState>,
    freed: Condvar,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Connection>,
    in_use: usize,
}

impl Pool {
    /// Lends a connection. One that failed is not used again.
    pub(super) fn with<T>(
        &self,
        shared: &Shared,
        read: impl FnOnce(&mut Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let (_lease, idle) = self.lend();
        let mut connection = match idle {
            Some(connection) => connection,
            None => shared.database.connect_read_only()?,
        };
        let result = read(&mut connection);
        if !matches!(result, Err(ReadError::Database(_))) {
            self.lock().idle.push(connection);
        }
        result
    }

    fn lend(&self) -> (Lease<'_>, Option<Connection>) {
        let mut state = self.lock();
        while state.in_use >= MOST_CONNECTIONS {
            state = self
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.in_use += 1;
        (Lease(self), state.idle.pop())
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to use a connection.
struct Lease<'a>(&'a Pool);

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.0.lock().in_use -= 1;
        self.0.freed.notify_one();
    }
}
