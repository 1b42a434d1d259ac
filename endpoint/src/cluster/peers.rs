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
    /// It said goodbye.
    leaves: bool,
}

impl Peers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sign of life. True: it was not there a moment ago.
    pub(super) fn seen(&self, id: &str, instance: &str) -> bool {
        let mut peers = self.lock();
        let is_new = !peers.get(id).is_some_and(Peer::is_heard);
        if is_new {
            tracing::info!(instance, id, "another instance is there");
        }
        let peer = Peer {
            instance: instance.to_owned(),
            seen: Instant::now(),
            leaves: false,
        };
        peers.insert(id.into(), peer);
        is_new
    }

    /// It said goodbye.
    pub(super) fn left(&self, id: &str) {
        if let Some(peer) = self.lock().get_mut(id) {
            peer.seen = Instant::now();
            if !std::mem::replace(&mut peer.leaves, true) {
                tracing::info!(instance = peer.instance, id, "another instance has left");
            }
        }
    }

    /// Those that are there, and those that have said goodbye a moment ago: they still know of their
    /// last sessions.
    pub(super) fn reachable(&self) -> Vec<Arc<str>> {
        let peers = self.lock();
        let reachable = peers.iter().filter(|(_, peer)| peer.is_heard());
        reachable.map(|(id, _)| Arc::clone(id)).collect()
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
            if !peer.is_heard() && !peer.leaves {
                tracing::warn!(instance = peer.instance, %id, "another instance is gone");
            }
            peer.is_heard()
        });
    }
}

impl Peer {
    fn is_live(&self) -> bool {
        self.is_heard() && !self.leaves
    }

    fn is_heard(&self) -> bool {
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
        assert_eq!(peers.reachable().len(), 2, "it still knows of its sessions");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_is_new() {
        let peers = Peers::default();
        assert!(peers.seen("a", "one"));
        assert!(!peers.seen("a", "one"));
        tokio::time::advance(PATIENCE).await;
        assert!(peers.seen("a", "one"), "before it was swept");
        tokio::time::advance(PATIENCE).await;
        peers.sweep();
        assert!(peers.seen("a", "one"));
    }
}
