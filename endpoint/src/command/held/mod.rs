//! Commands that wait for a device that is not there, until their time is over.
//!
//! They are kept in a file of their own (`commands.db`), in the order in which they came, and are
//! on disk before their sender is told so. [`HeldCommands`] is that file with what is known of it
//! in memory; `delivery` brings the commands to the devices, one device's one after the other; by
//! `numbers` each is the one that is meant, also where several instances hold some; `revoking` shows and
//! revokes them.

mod database;
mod delivery;
mod error;
mod index;
mod numbers;
mod revoking;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::UserProperty;
use crate::own_file::OpenError;
use database::Database;
use delivery::Desks;
pub use delivery::sweep;
pub use error::HeldError;
use index::{Index, Key};
use numbers::Numbers;
use numbers::may_be_of_a_fleet;
pub use revoking::Revocation;

/// How much is kept.
#[derive(Clone, Debug)]
pub struct HeldOptions {
    /// The file.
    pub path: PathBuf,
    /// Most commands of one device.
    pub per_device: usize,
    /// Most bytes of all commands' payloads and properties together.
    pub bytes: u64,
    /// Whether other instances may hold commands of the same devices.
    pub is_one_of_many: bool,
}

/// A command to be kept.
#[derive(Clone, Debug)]
pub struct NewHeld {
    /// Application.
    pub application: Arc<str>,
    /// Device.
    pub device: Arc<str>,
    /// The device's identity: one that is created anew under the name gets nothing of it.
    pub device_uid: String,
    /// Name of the command.
    pub command: String,
    /// Payload.
    pub payload: Bytes,
    /// MIME type of the payload.
    pub content_type: Option<String>,
    /// User properties.
    pub user_properties: Vec<UserProperty>,
    /// When it is dropped.
    pub expires: SystemTime,
}

/// A command that is kept.
#[derive(Clone, Debug)]
pub struct HeldCommand {
    /// Its number; those of later ones are larger.
    pub id: i64,
    /// When it was handed in.
    pub created: SystemTime,
    /// What it is.
    pub held: NewHeld,
}

impl NewHeld {
    /// What it takes of the bound.
    fn size(&self) -> u64 {
        let properties = self.user_properties.iter();
        let properties: usize = properties
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let content_type = self.content_type.as_ref().map_or(0, String::len);
        let size = self.payload.len() + properties + content_type + self.command.len();
        u64::try_from(size).unwrap_or(u64::MAX)
    }
}

/// The commands that wait.
pub struct HeldCommands {
    database: Arc<Database>,
    index: Mutex<Index>,
    numbers: Numbers,
    options: HeldOptions,
    desks: Arc<Desks>,
}

impl HeldCommands {
    /// Opens or creates the file; blocking.
    ///
    /// # Errors
    ///
    /// [`OpenError`] names the file.
    pub fn open(options: HeldOptions) -> Result<Self, OpenError> {
        let (database, index, numbers) = Database::open(&options.path, options.is_one_of_many)?;
        Ok(Self {
            database: Arc::new(database),
            index: Mutex::new(index),
            numbers,
            options,
            desks: Arc::default(),
        })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a command: it is on disk when this returns. `enter` is told its number before anybody
    /// can find it.
    ///
    /// # Errors
    ///
    /// [`HeldError::Full`], or the file's failure.
    pub async fn keep(
        &self,
        held: NewHeld,
        enter: impl FnOnce(i64) + Send + 'static,
    ) -> Result<i64, HeldError> {
        let (key, size, expires) = (Key::of(&held), held.size(), held.expires);
        // Entered first, so that many at once do not pass the bound together.
        if !self.index().enter(&key, (size, expires), &self.options) {
            return Err(HeldError::Full);
        }
        let kept = self
            .run(move |database| database.insert(&held, enter))
            .await;
        if kept.is_err() {
            self.index().leave(&key, 1, size);
        }
        kept
    }

    /// The oldest command of a device that has not expired.
    ///
    /// # Errors
    ///
    /// The file's failure.
    pub async fn first(
        &self,
        application: &str,
        device: &str,
    ) -> Result<Option<HeldCommand>, HeldError> {
        Ok(self.read(application, device, 1).await?.pop())
    }

    /// A device's commands that have not expired, oldest first.
    ///
    /// # Errors
    ///
    /// The file's failure.
    pub async fn list(
        &self,
        application: &str,
        device: &str,
    ) -> Result<Vec<HeldCommand>, HeldError> {
        self.read(application, device, self.options.per_device)
            .await
    }

    async fn read(
        &self,
        application: &str,
        device: &str,
        limit: usize,
    ) -> Result<Vec<HeldCommand>, HeldError> {
        let key = Key::new(application, device);
        if !self.index().has(&key) {
            return Ok(Vec::new());
        }
        self.run(move |database| database.list(&key, limit, SystemTime::now()))
            .await
    }

    /// Removes a command of a device. False: there is none of that number.
    ///
    /// # Errors
    ///
    /// The file's failure.
    pub async fn remove(
        &self,
        application: &str,
        device: &str,
        id: i64,
    ) -> Result<bool, HeldError> {
        let key = Key::new(application, device);
        let removed = self.run(move |database| database.remove(&key, id)).await?;
        Ok(self.forget(removed) > 0)
    }

    /// Removes all commands whose time is over, and says how many.
    ///
    /// # Errors
    ///
    /// The file's failure.
    pub async fn expire(&self) -> Result<usize, HeldError> {
        if self.index().is_empty() {
            return Ok(0);
        }
        let expire = |database: &Database| database.expire(SystemTime::now());
        let removed = self.run(expire).await?;
        Ok(self.forget(removed))
    }

    /// Whether a command of this number is here, if it is anywhere.
    pub fn has_given(&self, number: i64) -> bool {
        self.numbers.has(number)
    }

    /// How long something may be held here yet; zero: nothing is.
    pub fn time_left(&self) -> Duration {
        let until = self.index().until();
        let left = until.map(|until| until.duration_since(SystemTime::now()));
        left.and_then(Result::ok).unwrap_or_default()
    }

    /// All devices that commands wait for.
    fn waiting(&self) -> Vec<Key> {
        self.index().keys()
    }

    /// Whether commands wait for any of these devices; for any of the application, if none are named.
    fn has_any(&self, application: &str, named: Option<&[String]>) -> bool {
        self.index().has_any(application, named)
    }

    /// The devices of an application that commands wait for; of these alone, if any are named.
    fn devices_waiting(&self, application: &str, named: Option<&[String]>) -> Vec<Arc<str>> {
        self.index().devices(application, named)
    }

    fn forget(&self, removed: Vec<(Key, u64)>) -> usize {
        let mut index = self.index();
        let count = removed.len();
        let mut by_device: HashMap<Key, (usize, u64)> = HashMap::new();
        for (key, size) in removed {
            let (count, bytes) = by_device.entry(key).or_default();
            *count += 1;
            *bytes += size;
        }
        for (key, (count, bytes)) in by_device {
            index.leave(&key, count, bytes);
        }
        count
    }

    /// The file is used by one thread at a time, none of them the runtime's own.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HeldError> {
        let database = Arc::clone(&self.database);
        let done = tokio::task::spawn_blocking(move || work(&database)).await;
        match done {
            Ok(done) => done.map_err(|error| HeldError::of_sqlite(&error)),
            Err(error) => Err(HeldError::Store(error.to_string())),
        }
    }
}
