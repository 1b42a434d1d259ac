//! Who is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two signs of life.
pub(super) const SIGN: Duration = Duration::from_millis(500);
/// Who has not been heard of for so long is gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Instances that are away are remembered for what they held; no more than these.
const MOST_AWAY: usize = 1_000;

/// The other instances that were heard of lately, by id; and those that held commands when they were
/// given up.
#[derive(Default)]
pub(super) struct Peers {
    there: Mutex<HashMap<Arc<str>, Peer>>,
    /// By instance: until when they may hold some.
    away: Mutex<HashMap<String, Instant>>,
}

struct Peer {
    instance: String,
    seen: Instant,
    /// It has given a sign of life.
    has_spoken: bool,
    /// It said goodbye.
    leaves: bool,
    /// Until when it may hold commands.
    holds_until: Instant,
}

impl Peers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Peer>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_away(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sign of life. True: it was not there a moment ago.
    pub(super) fn seen(&self, id: &str, instance: &str) -> bool {
        let mut peers = self.lock();
        let known = peers.get(id).filter(|peer| peer.has_spoken);
        let is_new = !known.is_some_and(Peer::is_heard);
        if is_new {
            tracing::info!(instance, id, "another instance is there");
            self.lock_away().remove(instance);
        }
        peers.insert(id.into(), Peer::now(instance, true));
        is_new
    }

    /// It is there, and has given no sign of life yet.
    pub(super) fn reckon_with(&self, id: &str, instance: &str) {
        let mut peers = self.lock();
        if !peers.get(id).is_some_and(Peer::is_heard) {
            peers.insert(id.into(), Peer::now(instance, false));
        }
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

    /// It may hold commands for so many seconds.
    pub(super) fn holds(&self, id: &str, seconds: u64) {
        if let Some(peer) = self.lock().get_mut(id) {
            let until = Instant::now().checked_add(Duration::from_secs(seconds));
            peer.holds_until = until.unwrap_or(peer.holds_until);
        }
    }

    /// Whether it may hold commands, as far as it has said; one that is there may have taken some since.
    pub(super) fn may_hold(&self, id: &str) -> bool {
        let peers = self.lock();
        peers
            .get(id)
            .is_some_and(|peer| !peer.leaves || peer.may_hold())
    }

    /// Instances that may hold commands and are not there.
    pub(super) fn away(&self) -> Vec<String> {
        let mut away = self.lock_away();
        away.retain(|_, until| *until > Instant::now());
        away.keys().cloned().collect()
    }

    /// Those that have not been given up, with their instances' names.
    pub(super) fn named(&self) -> Vec<(Arc<str>, String)> {
        let peers = self.lock();
        let named = peers.iter();
        named
            .map(|(id, peer)| (Arc::clone(id), peer.instance.clone()))
            .collect()
    }

    /// Those that have not been given up: also those that have said goodbye a moment ago, who still know
    /// of their last sessions.
    pub(super) fn reachable(&self) -> Vec<Arc<str>> {
        self.lock().keys().cloned().collect()
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

    /// Forgets those that are gone. True: one of them may still be there, and not know that it is given up.
    pub(super) fn sweep(&self) -> bool {
        let mut has_lost = false;
        self.lock().retain(|id, peer| {
            if !peer.is_heard() && !peer.leaves {
                tracing::warn!(instance = peer.instance, %id, "another instance is gone");
                has_lost = true;
            }
            if !peer.is_heard() && peer.may_hold() {
                self.miss(peer);
            }
            peer.is_heard()
        });
        has_lost
    }

    fn miss(&self, peer: &Peer) {
        let mut away = self.lock_away();
        if away.len() < MOST_AWAY {
            away.insert(peer.instance.clone(), peer.holds_until);
        }
    }
}

impl Peer {
    fn now(instance: &str, has_spoken: bool) -> Self {
        Self {
            instance: instance.to_owned(),
            seen: Instant::now(),
            has_spoken,
            leaves: false,
            holds_until: Instant::now(),
        }
    }

    fn may_hold(&self) -> bool {
        self.holds_until > Instant::now()
    }

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
        assert_eq!(peers.reachable().len(), 1, "told of everything");
        assert!(peers.seen("a", "one"), "before it was swept");
        assert!(!peers.sweep());
        tokio::time::advance(PATIENCE).await;
        assert!(peers.sweep());
        assert!(peers.reachable().is_empty());
        assert!(peers.seen("a", "one"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_held_commands_is_missed_until_it_is_back_or_they_are_over() {
        let peers = Peers::default();
        for (id, instance) in [("a", "one"), ("b", "two"), ("c", "three"), ("d", "four")] {
            peers.seen(id, instance);
        }
        peers.holds("a", 60);
        peers.holds("b", 120);
        peers.holds("c", 180);
        peers.holds("d", 0);
        peers.left("c");
        peers.left("d");
        assert!(peers.may_hold("c") && !peers.may_hold("d"));
        let away = || {
            peers.sweep();
            let mut away = peers.away();
            away.sort();
            away
        };
        assert!(away().is_empty(), "still there");
        tokio::time::advance(PATIENCE).await;
        assert_eq!(away(), ["one", "three", "two"]);
        peers.seen("e", "two");
        assert_eq!(away(), ["one", "three"], "a new process of it");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(away(), ["three"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_expected_is_there_and_new_when_it_is_heard() {
        let peers = Peers::default();
        peers.reckon_with("a", "one");
        assert_eq!(peers.reachable(), ["a".into()]);
        assert!(peers.seen("a", "one"));
        peers.reckon_with("a", "one");
        assert!(!peers.seen("a", "one"));
        peers.reckon_with("b", "two");
        tokio::time::advance(PATIENCE).await;
        assert!(peers.sweep(), "it may not know");
    }
}
