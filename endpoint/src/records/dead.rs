//! The sessions of the process before, by device, until what is due of them was said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashMap;
use tokio::sync::Semaphore;

use super::SessionRecord;

/// Application and device.
type Key = (Box<str>, Box<str>);

/// The sessions of a process that died.
#[derive(Default)]
pub struct DeadSessions {
    devices: DashMap<Key, Arc<Dead>>,
}

/// A device's sessions of a process that died.
pub struct Dead {
    /// The oldest first; never empty.
    pub sessions: Vec<SessionRecord>,
    begun: AtomicBool,
    /// Without permits; closed when all was said.
    said: Semaphore,
}

impl DeadSessions {
    /// What stood in the file, in the order of the epochs.
    pub(super) fn of(records: Vec<SessionRecord>) -> Self {
        let mut devices: BTreeMap<Key, Vec<SessionRecord>> = BTreeMap::new();
        for record in records {
            let key = (record.application.clone(), record.device.clone());
            devices.entry(key).or_default().push(record);
        }
        let dead = |sessions| {
            Arc::new(Dead {
                sessions,
                begun: AtomicBool::new(false),
                said: Semaphore::new(0),
            })
        };
        let devices = devices.into_iter();
        Self {
            devices: devices.map(|(key, list)| (key, dead(list))).collect(),
        }
    }

    /// Number of devices of which something is due.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether nothing is due.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// All of which something is due.
    pub fn all(&self) -> Vec<Arc<Dead>> {
        let devices = self.devices.iter();
        devices.map(|entry| Arc::clone(entry.value())).collect()
    }

    /// What is due of a device, if anything is.
    pub fn of_device(&self, application: &str, device: &str) -> Option<Arc<Dead>> {
        if self.devices.is_empty() {
            return None;
        }
        let entry = self.devices.get(&(application.into(), device.into()));
        entry.map(|entry| Arc::clone(entry.value()))
    }

    /// Has what is due of a device said, once: whoever comes later waits for the first one's word.
    /// Once begun it goes on, even if nobody waits any more.
    pub async fn settle<S>(self: &Arc<Self>, dead: &Arc<Dead>, say: impl FnOnce() -> S)
    where
        S: Future<Output = ()> + Send + 'static,
    {
        if !dead.begun.swap(true, Ordering::AcqRel) {
            let saying = say();
            let said = Said {
                sessions: Arc::clone(self),
                dead: Arc::clone(dead),
            };
            tokio::spawn(async move {
                saying.await;
                drop(said);
            });
        }
        // It has no permits: it is closed in the end.
        let _ = dead.said.acquire().await;
    }
}

/// Whatever ends the saying, nobody waits for ever.
struct Said {
    sessions: Arc<DeadSessions>,
    dead: Arc<Dead>,
}

impl Drop for Said {
    fn drop(&mut self) {
        if let Some(first) = self.dead.sessions.first() {
            let key = (first.application.clone(), first.device.clone());
            self.sessions.devices.remove(&key);
        }
        self.dead.said.close();
    }
}
