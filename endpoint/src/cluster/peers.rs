//! Who is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two signs of life.
pub(super) const SIGN: Duration = Duration::from_millis(500);
/// Who has not been heard of for so long is gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The other instances that were heard of lately, by id.
#[derive(Default)]
pub(super) struct Peers(Mutex<HashMap<Arc<str>, Peer>>);

struct Peer {
    instance: String,
    seen: Instant,
}

impl Peers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sign of life.
    pub(super) fn seen(&self, id: &str, instance: &str) {
        let mut peers = self.lock();
        if !peers.contains_key(id) {
            tracing::info!(instance, id, "another instance is there");
        }
        let peer = Peer {
            instance: instance.to_owned(),
            seen: Instant::now(),
        };
        peers.insert(id.into(), peer);
    }

    /// It said goodbye.
    pub(super) fn left(&self, id: &str) {
        if let Some(peer) = self.lock().remove(id) {
            tracing::info!(instance = peer.instance, id, "another instance has left");
        }
    }

    /// Those that are there.
    pub(super) fn live(&self) -> Vec<Arc<str>> {
        let peers = self.lock();
        let live = peers.iter().filter(|(_, peer)| peer.is_live());
        live.map(|(id, _)| Arc::clone(id)).collect()
    }

    pub(super) fn is_live(&self, id: &str) -> bool {
        self.lock().get(id).is_some_and(Peer::is_live)
    }

    /// Forgets those that are gone.
    pub(super) fn sweep(&self) {
        self.lock().retain(|id, peer| {
            if !peer.is_live() {
                tracing::warn!(instance = peer.instance, %id, "another instance is gone");
            }
            peer.is_live()
        });
    }
}

impl Peer {
    fn is_live(&self) -> bool {
        self.seen.elapsed() < PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_for_too_long_is_gone_until_heard_of_again() {
        let peers = Peers::default();
        peers.seen("a", "one");
        peers.seen("b", "two");
        tokio::time::advance(PATIENCE - SIGN).await;
        peers.seen("b", "two");
        tokio::time::advance(SIGN).await;
        assert_eq!(peers.live(), ["b".into()]);
        assert!(!peers.is_live("a"));
        peers.sweep();
        peers.seen("a", "one");
        assert!(peers.is_live("a"));
        peers.left("b");
        assert_eq!(peers.live(), ["a".into()]);
    }
}
