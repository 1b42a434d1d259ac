//! How many commands wait for whom: what is asked at every subscription, without the file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::{HeldOptions, NewHeld};

/// A device by its names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) application: Arc<str>,
    pub(super) device: Arc<str>,
}

impl Key {
    pub(super) fn new(application: &str, device: &str) -> Self {
        Self {
            application: application.into(),
            device: device.into(),
        }
    }

    pub(super) fn of(held: &NewHeld) -> Self {
        Self {
            application: Arc::clone(&held.application),
            device: Arc::clone(&held.device),
        }
    }
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Index {
    applications: HashMap<Arc<str>, HashMap<Arc<str>, usize>>,
    bytes: u64,
    /// The latest end of those that have been here since none was.
    until: Option<SystemTime>,
}

impl Index {
    /// Counts one more. False: it would be beyond a bound, and is not counted.
    pub(super) fn enter(
        &mut self,
        key: &Key,
        (size, expires): (u64, SystemTime),
        options: &HeldOptions,
    ) -> bool {
        let count = self.count(key);
        let bytes = self.bytes.saturating_add(size);
        if count >= options.per_device || bytes > options.bytes {
            return false;
        }
        self.add(key, 1, size, expires);
        true
    }

    /// Counts what the file has of a device; the last of it expires then.
    pub(super) fn add(&mut self, key: &Key, count: usize, bytes: u64, expires: SystemTime) {
        let devices = self
            .applications
            .entry(Arc::clone(&key.application))
            .or_default();
        *devices.entry(Arc::clone(&key.device)).or_default() += count;
        self.bytes = self.bytes.saturating_add(bytes);
        self.until = self.until.max(Some(expires));
    }

    /// Counts some less.
    pub(super) fn leave(&mut self, key: &Key, count: usize, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        let Some(devices) = self.applications.get_mut(&key.application) else {
            return;
        };
        if let Some(left) = devices.get_mut(&key.device) {
            *left = left.saturating_sub(count);
            if *left == 0 {
                devices.remove(&key.device);
            }
        }
        if devices.is_empty() {
            self.applications.remove(&key.application);
        }
        if self.is_empty() {
            self.until = None;
        }
    }

    /// By then all that waits has expired; `None`: nothing waits.
    pub(super) fn until(&self) -> Option<SystemTime> {
        self.until
    }

    fn count(&self, key: &Key) -> usize {
        let devices = self.applications.get(&key.application);
        devices
            .and_then(|devices| devices.get(&key.device))
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.count(key) > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.applications.is_empty()
    }

    /// All devices that commands wait for.
    pub(super) fn keys(&self) -> Vec<Key> {
        let applications = self.applications.iter();
        let keys = applications.flat_map(|(application, devices)| {
            devices.keys().map(|device| Key {
                application: Arc::clone(application),
                device: Arc::clone(device),
            })
        });
        keys.collect()
    }

    /// The devices of an application that commands wait for; of these alone, if any are named: no other
    /// is looked at.
    pub(super) fn devices(&self, application: &str, named: Option<&[String]>) -> Vec<Arc<str>> {
        let Some(devices) = self.applications.get(application) else {
            return Vec::new();
        };
        match named {
            Some(named) => {
                let waiting = |device: &String| Some(devices.get_key_value(&**device)?.0);
                named.iter().filter_map(waiting).cloned().collect()
            }
            None => devices.keys().cloned().collect(),
        }
    }

    /// Whether commands wait for any of these devices; for any of the application, if none are named.
    pub(super) fn has_any(&self, application: &str, named: Option<&[String]>) -> bool {
        let devices = self.applications.get(application);
        devices.is_some_and(|devices| {
            named.is_none_or(|named| named.iter().any(|device| devices.contains_key(&**device)))
        })
    }
}
