//! Session records: what has to be said of a device if the process dies under its connection.
//!
//! A record (device, client id, will, epoch) is on disk before CONNACK, and is removed when the
//! session's will and its `false` event were accepted by every required sink. What stands in the
//! file at a start are sessions that ended with the process before: their wills and `false` events
//! are due. All records that wait are written in one transaction, so that many connections a second
//! share one disk flush.
//!
//! - `epoch`: which of two connections is the later one;
//! - `database`, `writer`: the file (`sessions.db`), and the thread that alone uses it;
//! - `dead`: the sessions of the process before, until what is due of them was said.

mod database;
mod dead;
mod epoch;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use landfall_protocol::QoS;
use tokio::sync::oneshot;

use crate::command::UserProperty;
use crate::own_file::OpenError;
use database::Database;
pub use dead::{Dead, DeadSessions};
pub use epoch::{Epoch, EpochClock};
use writer::Order;

/// A session as it is remembered beyond the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its number; unique, and higher than those before.
    pub epoch: Epoch,
    /// Application.
    pub application: Box<str>,
    /// Device.
    pub device: Box<str>,
    /// The device's identity: nothing is said of one that was created anew under the name.
    pub device_uid: Box<str>,
    /// Client id.
    pub client_id: Box<str>,
    /// The will, if the client left one.
    pub will: Option<Box<WillRecord>>,
}

/// A will as it is remembered.
#[derive(Clone, PartialEq, Eq)]
pub struct WillRecord {
    /// Topic name.
    pub topic: Box<str>,
    /// Payload.
    pub payload: Box<[u8]>,
    /// Quality of service.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// MQTT 5: whether the payload is said to be UTF-8.
    pub payload_is_utf8: Option<bool>,
    /// MQTT 5: content type.
    pub content_type: Option<Box<str>>,
    /// MQTT 5: user properties.
    pub user_properties: Vec<UserProperty>,
}

/// What a device says is for its application.
impl std::fmt::Debug for WillRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WillRecord")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// A record cannot be written. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session's record cannot be written: {0}")]
pub struct RecordError(String);

/// The records of this process's sessions.
pub struct Records {
    clock: EpochClock,
    /// `None`: sessions are not recorded.
    writer: Option<Writer>,
}

struct Writer {
    orders: mpsc::Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Records {
    /// Opens or creates the file; blocking. The sessions in it are those of a process that died.
    ///
    /// # Errors
    ///
    /// [`OpenError`] names the file.
    pub fn open(path: &Path) -> Result<(Self, DeadSessions), OpenError> {
        let (database, left) = Database::open(path)?;
        let clock = EpochClock::above(left.last().map_or(0, |record| record.epoch));
        let (orders, ordered) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("session-records".to_owned())
            .spawn(move || writer::run(database, &ordered))
            .map_err(|error| OpenError::unusable(path, &error))?;
        let writer = Writer {
            orders,
            thread: Mutex::new(Some(thread)),
        };
        let records = Self {
            clock,
            writer: Some(writer),
        };
        Ok((records, DeadSessions::of(left)))
    }

    /// Epochs without a record: what is due of sessions is lost with the process.
    pub const fn none() -> Self {
        Self {
            clock: EpochClock::above(0),
            writer: None,
        }
    }

    /// What orders connections.
    pub const fn clock(&self) -> &EpochClock {
        &self.clock
    }

    /// Records a session that is about to begin, under an epoch of its own (which `record` need not
    /// have): it is on disk when this returns.
    ///
    /// # Errors
    ///
    /// The file's failure; there is no record then.
    pub async fn enter(&self, record: SessionRecord) -> Result<Epoch, RecordError> {
        let epoch = self.clock.next();
        let Some(writer) = &self.writer else {
            return Ok(epoch);
        };
        let (tell, told) = oneshot::channel();
        let record = Box::new(SessionRecord { epoch, ..record });
        let closed = || RecordError("its file is closed".to_owned());
        let ordered = writer.orders.send(Order::Enter(record, tell));
        ordered.map_err(|_| closed())?;
        told.await.map_err(|_| closed())??;
        Ok(epoch)
    }

    /// Removes a record, soon.
    pub fn forget(&self, epoch: Epoch) {
        if let Some(writer) = &self.writer {
            // A file that is closed keeps it: better said twice than never.
            let _ = writer.orders.send(Order::Forget(epoch));
        }
    }

    /// Writes what was ordered, and closes the file; blocking.
    pub fn close(&self) {
        let Some(writer) = &self.writer else { return };
        let _ = writer.orders.send(Order::Close);
        let thread = writer.thread.lock();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer of session records failed");
        }
    }
}
