//! Which instance may have a device's connections, so that a command is offered to those alone.
//!
//! Every instance keeps a *view* of each other one: the sessions that it was told of. A session is
//! entered into all views when its client is claimed, before it begins, and removed when it is said to be
//! over. A view is complete once all sessions have been listed, and until something may have been missed:
//! its instance counts those occasions (*doubts*) and tells the count with each sign of life. Who has no
//! complete view of an instance asks it about every command.
//!
//! A view may hold sessions that are over, as messages by different ways may change places: the
//! instance is asked in vain, until the next list.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use landfall_events::event::fnv_1a;
use tokio::time::Instant;

use crate::records::Epoch;

/// A session: what its device hashes to, and its epoch.
pub(super) type Entry = (u64, Epoch);

/// Between two lists of one instance, at least: a list may be long, and doubts come in crowds.
const PAUSE: Duration = Duration::from_secs(5);
/// A list is taken for good no longer than this.
const GOOD_FOR: Duration = Duration::from_secs(600);
/// What is due of a session that is over is accepted by then, if the sinks are there.
const PARTING: Duration = Duration::from_secs(10);
/// So many sessions that are over are remembered without a look whether any can be forgotten.
const MOST_PARTING: usize = 64;

/// The views, and what others see of this instance.
#[derive(Default)]
pub(super) struct Directory {
    views: Mutex<HashMap<String, View>>,
    own: Mutex<BTreeSet<Entry>>,
    doubts: AtomicU64,
}

/// What is known of one instance's sessions.
#[derive(Default)]
struct View {
    /// When its list was asked for, and how often that was.
    asked: Option<Instant>,
    lists: u64,
    state: State,
    parting: Parting,
}

/// Devices of which an instance may still have something to say, by what they hash to: since when the last
/// session of theirs is over.
#[derive(Default)]
struct Parting {
    since: HashMap<u64, Instant>,
    /// How many there were when some were last forgotten.
    kept: usize,
}

impl Parting {
    fn enter(&mut self, hash: u64) {
        // Amortised: the next look comes when they are twice as many.
        if self.since.len() >= self.kept * 2 + MOST_PARTING {
            self.since.retain(|_, since| since.elapsed() < PARTING);
            self.kept = self.since.len();
        }
        self.since.insert(hash, Instant::now());
    }

    fn has(&self, hash: u64) -> bool {
        let since = self.since.get(&hash);
        since.is_some_and(|since| since.elapsed() < PARTING)
    }
}

#[derive(Default)]
enum State {
    /// Sessions may be missing.
    #[default]
    Doubtful,
    /// A list is on its way, which was asked for at this count of doubts; what has come and gone
    /// meanwhile.
    Listing {
        doubts: u64,
        came: BTreeSet<Entry>,
        gone: HashSet<Entry>,
    },
    /// All sessions, as of this count and since then.
    Complete {
        doubts: u64,
        since: Instant,
        sessions: BTreeSet<Entry>,
    },
}

/// What a device of an application hashes to; the same in every instance, of whatever version.
pub(super) fn hash(application: &str, device: &str) -> u64 {
    // No name has U+0000.
    fnv_1a(&[application.as_bytes(), b"\0", device.as_bytes()].concat())
}

/// A session of a device.
pub(super) fn entry(application: &str, device: &str, epoch: Epoch) -> Entry {
    (hash(application, device), epoch)
}

impl Directory {
    fn views(&self) -> MutexGuard<'_, HashMap<String, View>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self) -> MutexGuard<'_, BTreeSet<Entry>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session of this instance is about to be told to the others.
    pub(super) fn enter_own(&self, entry: Entry) {
        self.own().insert(entry);
    }

    /// One is over. False: it was not there.
    pub(super) fn remove_own(&self, entry: &Entry) -> bool {
        self.own().remove(entry)
    }

    /// All of this instance's.
    pub(super) fn list_own(&self) -> Vec<Entry> {
        self.own().iter().copied().collect()
    }

    /// Others may have missed something that this instance has told them.
    pub(super) fn doubt_own(&self) {
        self.doubts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often they may have.
    pub(super) fn own_doubts(&self) -> u64 {
        self.doubts.load(Ordering::Relaxed)
    }

    /// An instance has told of a session.
    pub(super) fn came(&self, peer: &str, entry: Entry) {
        match self.views().get_mut(peer).map(|view| &mut view.state) {
            Some(State::Complete { sessions, .. }) => {
                sessions.insert(entry);
            }
            Some(State::Listing { came, gone, .. }) => {
                came.insert(entry);
                gone.remove(&entry);
            }
            Some(State::Doubtful) | None => {}
        }
    }

    /// A session is over.
    pub(super) fn gone(&self, peer: &str, entry: Entry) {
        let mut views = self.views();
        let Some(view) = views.get_mut(peer) else {
            return;
        };
        view.parting.enter(entry.0);
        match &mut view.state {
            State::Complete { sessions, .. } => {
                sessions.remove(&entry);
            }
            State::Listing { came, gone, .. } => {
                came.remove(&entry);
                gone.insert(entry);
            }
            State::Doubtful => {}
        }
    }

    /// This instance may have missed what any other has told.
    pub(super) fn doubt_all(&self) {
        for view in self.views().values_mut() {
            view.state = State::Doubtful;
        }
    }

    /// A sign of life, with the instance's count of doubts; none, if it keeps no list. If its list is to
    /// be asked for now, returns the number under which it is to be [`listed`](Self::listed).
    pub(super) fn heard(&self, peer: &str, now: Option<u64>) -> Option<u64> {
        let now = now?;
        let mut views = self.views();
        let view = views.entry(peer.to_owned()).or_default();
        match &view.state {
            State::Listing { .. } => return None,
            State::Complete { doubts, since, .. }
                if *doubts == now && since.elapsed() < GOOD_FOR =>
            {
                return None;
            }
            State::Complete { .. } | State::Doubtful => {}
        }
        if view.asked.is_some_and(|asked| asked.elapsed() < PAUSE) {
            view.state = State::Doubtful;
            return None;
        }
        view.asked = Some(Instant::now());
        view.lists += 1;
        view.state = State::Listing {
            doubts: now,
            came: BTreeSet::new(),
            gone: HashSet::new(),
        };
        Some(view.lists)
    }

    /// The list of that number has come; `None`: not all of it. Unless there has been a doubt since it was
    /// asked for, the view is complete.
    pub(super) fn listed(&self, peer: &str, number: u64, list: Option<BTreeSet<Entry>>) {
        let mut views = self.views();
        let Some(view) = views.get_mut(peer).filter(|view| view.lists == number) else {
            return;
        };
        if let State::Listing { doubts, came, gone } = std::mem::take(&mut view.state)
            && let Some(mut sessions) = list
        {
            for entry in &gone {
                sessions.remove(entry);
            }
            sessions.extend(came);
            view.state = State::Complete {
                doubts,
                since: Instant::now(),
                sessions,
            };
        }
    }

    /// Forgets all but these instances.
    pub(super) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.views().retain(|peer, _| is_there(peer));
    }

    /// Whether an instance may know something of a device that hashes to this: it may have a session of it,
    /// or had one lately, of which something may be due.
    pub(super) fn may_know(&self, peer: &str, hash: u64) -> bool {
        let is_parting = |view: &View| view.parting.has(hash);
        self.may_have(peer, &[hash]) || self.views().get(peer).is_some_and(is_parting)
    }

    /// Whether an instance may have a session of a device that hashes to one of these.
    pub(super) fn may_have(&self, peer: &str, hashes: &[u64]) -> bool {
        match self.views().get(peer).map(|view| &view.state) {
            Some(State::Complete { sessions, .. }) => hashes.iter().any(|hash| {
                let of_device = (*hash, 0)..=(*hash, Epoch::MAX);
                sessions.range(of_device).next().is_some()
            }),
            Some(State::Doubtful | State::Listing { .. }) | None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const A: Entry = (1, 10);
    const B: Entry = (2, 20);

    fn asked(directory: &Directory, hash: u64) -> bool {
        directory.may_have("peer", &[hash])
    }

    fn list(entries: &[Entry]) -> Option<BTreeSet<Entry>> {
        Some(entries.iter().copied().collect())
    }

    /// A directory whose view of `peer` is complete.
    fn complete(entries: &[Entry]) -> Directory {
        let directory = Directory::default();
        assert_eq!(directory.heard("peer", Some(0)), Some(1));
        directory.listed("peer", 1, list(entries));
        directory
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_is_asked_about_everything_until_it_has_listed_all() {
        let directory = Directory::default();
        assert!(asked(&directory, 1), "never heard of");
        directory.came("peer", A);
        assert!(asked(&directory, 2), "never listed");
        assert_eq!(directory.heard("peer", Some(0)), Some(1));
        assert_eq!(directory.heard("peer", Some(0)), None, "on its way");
        assert!(asked(&directory, 2));
        directory.listed("peer", 1, list(&[A]));
        assert!(asked(&directory, 1) && !asked(&directory, 2));
        assert!(directory.may_have("peer", &[2, 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_come_and_go_one_by_one() {
        let directory = complete(&[]);
        let later = (A.0, A.1 + 1);
        directory.came("peer", A);
        directory.came("peer", later);
        directory.gone("peer", A);
        assert!(asked(&directory, 1), "another of the device is there");
        directory.gone("peer", later);
        assert!(!asked(&directory, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_session_that_is_over_its_instance_may_know_something_for_a_while() {
        let directory = complete(&[A]);
        let known = |hash| directory.may_know("peer", hash);
        assert!(known(1) && !known(2));
        directory.gone("peer", A);
        assert!(!asked(&directory, 1) && known(1));
        advance(PARTING).await;
        assert!(!known(1));
        let most = MOST_PARTING as u64;
        for round in 0..20 {
            for hash in round * most..(round + 1) * most {
                directory.gone("peer", (hash, 1));
            }
            assert!(directory.may_know("peer", round * most));
            advance(PARTING).await;
        }
        let remembered = directory.views()["peer"].parting.since.len();
        assert!(remembered <= MOST_PARTING * 4, "{remembered}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_and_goes_while_the_list_is_on_its_way_counts_more_than_the_list() {
        let directory = Directory::default();
        directory.heard("peer", Some(0));
        directory.came("peer", A);
        directory.gone("peer", B);
        directory.listed("peer", 1, list(&[B]));
        assert!(asked(&directory, 1) && !asked(&directory, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubt_on_either_side_has_all_listed_again_after_a_pause() {
        let directory = complete(&[A]);
        assert_eq!(directory.heard("peer", Some(0)), None);
        assert_eq!(directory.heard("peer", Some(1)), None, "too early");
        assert!(asked(&directory, 2), "and not trusted until then");
        advance(PAUSE).await;
        assert_eq!(directory.heard("peer", Some(1)), Some(2));
        directory.listed("peer", 2, list(&[B]));
        assert!(!asked(&directory, 1), "gone, unheard of");
        directory.doubt_all();
        assert!(asked(&directory, 1));
        advance(PAUSE).await;
        assert_eq!(directory.heard("peer", Some(1)), Some(3));
        directory.doubt_all();
        directory.listed("peer", 3, list(&[]));
        assert!(asked(&directory, 1), "a doubt since it was asked for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_answers_the_question_that_asked_for_it_and_no_later_one() {
        let directory = Directory::default();
        assert_eq!(directory.heard("peer", Some(0)), Some(1));
        directory.doubt_all();
        advance(PAUSE).await;
        assert_eq!(directory.heard("peer", Some(0)), Some(2));
        directory.listed("peer", 1, list(&[]));
        assert!(asked(&directory, 1), "from before the doubt");
        directory.listed("peer", 1, None);
        directory.listed("peer", 2, list(&[B]));
        assert!(asked(&directory, 2) && !asked(&directory, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_list_is_none_and_an_old_one_is_renewed() {
        let directory = complete(&[A]);
        advance(GOOD_FOR).await;
        assert_eq!(directory.heard("peer", Some(0)), Some(2));
        directory.listed("peer", 2, None);
        assert!(asked(&directory, 2));
        advance(PAUSE).await;
        assert_eq!(directory.heard("peer", Some(0)), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_no_list_is_always_asked_and_who_is_gone_is_forgotten() {
        let directory = complete(&[A]);
        assert_eq!(directory.heard("old", None), None);
        assert!(directory.may_have("old", &[2]));
        directory.keep(|peer| peer != "peer");
        assert!(asked(&directory, 2));
    }
}
