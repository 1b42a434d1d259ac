//! The file of held commands; every method blocks.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Row, params};

use super::index::{Index, Key};
use super::numbers::{self, Numbers};
use super::{HeldCommand, NewHeld};
use crate::own_file::{self, Kind, Lock, OpenError};

const KIND: Kind = Kind {
    what: "held commands",
    // "LfCm".
    application_id: 0x4c66_436d,
    version: 1,
    schema: SCHEMA,
};

/// Times are milliseconds since 1970, UTC; `user_properties` is a JSON array of pairs.
/// AUTOINCREMENT: a number is never used again, so that nobody revokes another command than meant.
const SCHEMA: &str = "
CREATE TABLE held (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    device_uid TEXT NOT NULL,
    command TEXT NOT NULL,
    payload BLOB NOT NULL,
    content_type TEXT,
    user_properties TEXT NOT NULL,
    size INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX held_by_device ON held (application, device, id);
CREATE INDEX held_by_end ON held (expires);
";

pub(super) struct Database {
    connection: Mutex<Connection>,
    _lock: Lock,
}

impl Database {
    /// Opens the file, makes or checks its schema, and counts what it holds. `is_one_of_many`: its numbers
    /// are to be those of no other file.
    pub(super) fn open(
        path: &Path,
        is_one_of_many: bool,
    ) -> Result<(Self, Index, Numbers), OpenError> {
        let (mut connection, lock) = own_file::open(path, &KIND)?;
        let prepared = prepare(&mut connection, is_one_of_many);
        let (index, numbers) = prepared.map_err(|error| OpenError::unusable(path, &error))?;
        let database = Self {
            connection: Mutex::new(connection),
            _lock: lock,
        };
        Ok((database, index, numbers))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        let connection = self.connection.lock();
        connection.unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a command; it is on disk when this returns. `enter` is told its number before another
    /// thread can read it.
    pub(super) fn insert(&self, held: &NewHeld, enter: impl FnOnce(i64)) -> rusqlite::Result<i64> {
        let properties = serde_json::to_string(&held.user_properties)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let connection = self.connection();
        let mut insert = connection.prepare_cached(
            "INSERT INTO held (application, device, device_uid, command, payload, content_type,
                               user_properties, size, created, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        let id = insert.insert(params![
            &*held.application,
            &*held.device,
            held.device_uid,
            held.command,
            &*held.payload,
            held.content_type,
            properties,
            held.size().cast_signed(),
            milliseconds(SystemTime::now()),
            milliseconds(held.expires),
        ])?;
        enter(id);
        Ok(id)
    }

    /// The oldest commands of a device that have not expired.
    pub(super) fn list(
        &self,
        key: &Key,
        limit: usize,
        now: SystemTime,
    ) -> rusqlite::Result<Vec<HeldCommand>> {
        let connection = self.connection();
        let mut list = connection.prepare_cached(
            "SELECT id, device_uid, command, payload, content_type, user_properties, created,
                    expires
             FROM held WHERE application = ?1 AND device = ?2 AND expires > ?3
             ORDER BY id LIMIT ?4",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters = params![&*key.application, &*key.device, milliseconds(now), limit];
        list.query_map(parameters, |row| command(key, row))?
            .collect()
    }

    /// Removes one command of a device.
    pub(super) fn remove(&self, key: &Key, id: i64) -> rusqlite::Result<Vec<(Key, u64)>> {
        let connection = self.connection();
        let mut remove = connection.prepare_cached(
            "DELETE FROM held WHERE application = ?1 AND device = ?2 AND id = ?3
             RETURNING application, device, size",
        )?;
        remove
            .query_map(params![&*key.application, &*key.device, id], removed)?
            .collect()
    }

    /// Removes what has expired.
    pub(super) fn expire(&self, now: SystemTime) -> rusqlite::Result<Vec<(Key, u64)>> {
        let connection = self.connection();
        let mut expire = connection.prepare_cached(
            "DELETE FROM held WHERE expires <= ?1 RETURNING application, device, size",
        )?;
        expire.query_map([milliseconds(now)], removed)?.collect()
    }
}

fn prepare(
    connection: &mut Connection,
    is_one_of_many: bool,
) -> rusqlite::Result<(Index, Numbers)> {
    // What was delivered or revoked is not left in the file.
    connection.pragma_update(None, "secure_delete", "on")?;
    let numbers = match is_one_of_many {
        true => numbers::set_apart(connection)?,
        false => Numbers::All,
    };
    Ok((count(connection)?, numbers))
}

fn count(connection: &Connection) -> rusqlite::Result<Index> {
    let mut index = Index::default();
    let mut counts = connection.prepare(
        "SELECT application, device, count(*), sum(size), max(expires) FROM held
         GROUP BY application, device",
    )?;
    let mut rows = counts.query([])?;
    while let Some(row) = rows.next()? {
        let key = Key {
            application: row.get::<_, String>(0)?.into(),
            device: row.get::<_, String>(1)?.into(),
        };
        let count = usize::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
        let bytes = row.get::<_, i64>(3)?.cast_unsigned();
        index.add(&key, count, bytes, time(row.get(4)?));
    }
    Ok(index)
}

fn command(key: &Key, row: &Row<'_>) -> rusqlite::Result<HeldCommand> {
    let properties: String = row.get(5)?;
    let user_properties = serde_json::from_str(&properties).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(HeldCommand {
        id: row.get(0)?,
        created: time(row.get(6)?),
        held: NewHeld {
            application: key.application.clone(),
            device: key.device.clone(),
            device_uid: row.get(1)?,
            command: row.get(2)?,
            payload: row.get::<_, Vec<u8>>(3)?.into(),
            content_type: row.get(4)?,
            user_properties,
            expires: time(row.get(7)?),
        },
    })
}

fn removed(row: &Row<'_>) -> rusqlite::Result<(Key, u64)> {
    let key = Key {
        application: row.get::<_, String>(0)?.into(),
        device: row.get::<_, String>(1)?.into(),
    };
    Ok((key, row.get::<_, i64>(2)?.cast_unsigned()))
}

fn milliseconds(time: SystemTime) -> i64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

fn time(milliseconds: i64) -> SystemTime {
    let since_1970 = Duration::from_millis(milliseconds.max(0).cast_unsigned());
    UNIX_EPOCH + since_1970
}
