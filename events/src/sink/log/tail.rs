//! Tells readers that an application has new events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::error::Closed;

/// The newest committed offset of one application; 0 until something is committed by this process.
pub(super) type Tail = Arc<watch::Sender<u64>>;

/// One tail for each application that had a commit since the start, or has readers waiting.
#[derive(Debug)]
pub(super) struct Tails(Mutex<Option<HashMap<Arc<str>, Tail>>>);

impl Tails {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }

    /// The application's tail; nobody's if the log is closed.
    pub(super) fn of(&self, application: &str) -> Tail {
        let mut tails = self.lock();
        let Some(tails) = tails.as_mut() else {
            return Arc::new(watch::Sender::new(0));
        };
        if let Some(tail) = tails.get(application) {
            return Arc::clone(tail);
        }
        let tail = Tail::new(watch::Sender::new(0));
        tails.insert(application.into(), Arc::clone(&tail));
        tail
    }

    /// Waits until something after the offset is committed.
    pub(super) async fn wait(
        self: Arc<Self>,
        application: Arc<str>,
        after: u64,
    ) -> Result<(), Closed> {
        let mut waiting = Waiting {
            receiver: self.of(&application).subscribe(),
            tails: self,
            application,
        };
        let newer = waiting.receiver.wait_for(|latest| *latest > after).await;
        newer.map(drop).map_err(|_| Closed)
    }

    /// Ends all waiting.
    pub(super) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<Arc<str>, Tail>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that waits. The last one forgets an application that has no events: readers may ask
/// for any name.
struct Waiting {
    receiver: watch::Receiver<u64>,
    tails: Arc<Tails>,
    application: Arc<str>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut tails = self.tails.lock();
        let Some(tails) = tails.as_mut() else { return };
        // No other reader, no commit, and no writer about to have its first.
        let is_last = tails.get(&self.application).is_some_and(|tail| {
            tail.receiver_count() == 1 && *tail.borrow() == 0 && Arc::strong_count(tail) == 1
        });
        if is_last {
            tails.remove(&self.application);
        }
    }
}

#[cfg(test)]
impl Tails {
    pub(super) fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, HashMap::len)
    }
}
