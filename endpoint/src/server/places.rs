//! A bounded number of sockets, and a way to wait until all are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Places for connections, let in or not.
#[derive(Clone)]
pub struct Places {
    inner: Arc<Inner>,
}

struct Inner {
    limit: usize,
    taken: AtomicUsize,
    empty: Notify,
}

/// One connection's place; free again when dropped.
pub struct Place {
    inner: Arc<Inner>,
}

impl Places {
    /// At most `limit` places.
    pub fn new(limit: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                limit,
                taken: AtomicUsize::new(0),
                empty: Notify::new(),
            }),
        }
    }

    /// A place, if one is free.
    pub fn take(&self) -> Option<Place> {
        let taken = &self.inner.taken;
        let more = |n| (n < self.inner.limit).then_some(n + 1);
        taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(Place {
            inner: Arc::clone(&self.inner),
        })
    }

    /// Waits until no place is taken.
    pub async fn all_free(&self) {
        loop {
            let empty = self.inner.empty.notified();
            if self.inner.taken.load(Ordering::Acquire) == 0 {
                return;
            }
            empty.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.inner.taken.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.inner.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_bounded_and_come_back() {
        let places = Places::new(2);
        let one = places.take();
        let two = places.take();
        assert!(one.is_some() && two.is_some() && places.take().is_none());
        drop(one);
        let three = places.take();
        assert!(three.is_some());
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.all_free().await }
        });
        drop((two, three));
        waiting.await.unwrap();
    }
}
