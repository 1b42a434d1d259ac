//! The file of session records; every method blocks.

use std::path::{Path, PathBuf};

use landfall_protocol::QoS;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::{Epoch, SessionRecord, WillRecord};
use crate::own_file::{self, Kind, Lock, OpenError};

const KIND: Kind = Kind {
    what: "session records",
    // "LfSe".
    application_id: 0x4c66_5365,
    version: 1,
    schema: SCHEMA,
};

/// `will_properties` is a JSON array of pairs; all of a will's columns are null without a will.
const SCHEMA: &str = "
CREATE TABLE session (
    epoch INTEGER PRIMARY KEY,
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    device_uid TEXT NOT NULL,
    client_id TEXT NOT NULL,
    will_topic TEXT,
    will_payload BLOB,
    will_qos INTEGER,
    will_retain INTEGER,
    will_is_utf8 INTEGER,
    will_content_type TEXT,
    will_properties TEXT
) STRICT;
";

pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
    _lock: Lock,
}

impl Database {
    /// Opens the file, makes or checks its schema, and reads the records in it.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<SessionRecord>), OpenError> {
        let (connection, lock) = own_file::open(path, &KIND)?;
        let records = read(&connection).map_err(|error| OpenError::unusable(path, &error))?;
        let database = Self {
            path: path.to_owned(),
            connection,
            _lock: lock,
        };
        Ok((database, records))
    }

    /// Begins anew after a failure.
    pub(super) fn reconnect(&mut self) -> rusqlite::Result<()> {
        self.connection = own_file::reconnect(&self.path)?;
        Ok(())
    }

    /// Writes and removes records in one transaction, which is on disk when this returns.
    pub(super) fn commit<'r>(
        &mut self,
        enter: impl Iterator<Item = &'r SessionRecord>,
        forget: &[Epoch],
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO session (epoch, application, device, device_uid, client_id,
                     will_topic, will_payload, will_qos, will_retain, will_is_utf8,
                     will_content_type, will_properties)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?;
            for record in enter {
                let will = record.will.as_ref();
                let properties = will.map(|will| serde_json::to_string(&will.user_properties));
                let properties = properties
                    .transpose()
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
                insert.execute(params![
                    record.epoch.cast_signed(),
                    &*record.application,
                    &*record.device,
                    &*record.device_uid,
                    &*record.client_id,
                    will.map(|will| &*will.topic),
                    will.map(|will| &*will.payload),
                    will.map(|will| will.qos as u8),
                    will.map(|will| will.retain),
                    will.and_then(|will| will.payload_is_utf8),
                    will.and_then(|will| will.content_type.as_deref()),
                    properties,
                ])?;
            }
            let mut delete = transaction.prepare_cached("DELETE FROM session WHERE epoch = ?1")?;
            for epoch in forget {
                delete.execute([epoch.cast_signed()])?;
            }
        }
        transaction.commit()
    }
}

fn read(connection: &Connection) -> rusqlite::Result<Vec<SessionRecord>> {
    let mut select = connection.prepare(
        "SELECT epoch, application, device, device_uid, client_id, will_topic, will_payload,
                will_qos, will_retain, will_is_utf8, will_content_type, will_properties
         FROM session ORDER BY epoch",
    )?;
    select.query_map([], record)?.collect()
}

fn record(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    let text = |column: usize| row.get::<_, String>(column).map(String::into_boxed_str);
    let will = match row.get::<_, Option<String>>(5)? {
        None => None,
        Some(topic) => Some(Box::new(WillRecord {
            topic: topic.into(),
            payload: row.get::<_, Vec<u8>>(6)?.into(),
            qos: match row.get::<_, u8>(7)? {
                0 => QoS::AtMostOnce,
                1 => QoS::AtLeastOnce,
                _ => QoS::ExactlyOnce,
            },
            retain: row.get(8)?,
            payload_is_utf8: row.get(9)?,
            content_type: row.get::<_, Option<String>>(10)?.map(Into::into),
            user_properties: serde_json::from_str(&row.get::<_, String>(11)?).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(11, Type::Text, error.into())
            })?,
        })),
    };
    Ok(SessionRecord {
        epoch: row.get::<_, i64>(0)?.cast_unsigned(),
        application: text(1)?,
        device: text(2)?,
        device_uid: text(3)?,
        client_id: text(4)?,
        will,
    })
}
