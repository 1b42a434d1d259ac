//! Keeps applications in trouble from taking the room of the others.
//!
//! Events that cannot be delivered stay in the queue. One application's dead endpoint would fill it,
//! and nobody else's events found room. So an application in trouble is closed when it holds more
//! than its share of the queue, or all such applications more than theirs; its connections wait, and
//! the rest of the queue stays with the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sink::Completion;

/// An application of which nothing is finished for so long is in trouble, too.
pub(super) const SLOW: Duration = Duration::from_secs(1);
/// What one application in trouble may hold: this part of the queue.
const ONE: usize = 8;
/// What all of them together may hold.
const ALL: usize = 2;

/// See the module. The sink's thread judges, connections look.
pub(super) struct Valve {
    /// Bound of the queue.
    bound: usize,
    any_closed: AtomicBool,
    closed: Mutex<HashMap<Arc<str>, Vec<Waiter>>>,
}

/// A connection that waits for its application to be opened: its slot, and whom to tell.
pub(super) type Waiter = (usize, Arc<dyn Completion>);

/// What an application has in the sink's hands.
struct Account {
    held: usize,
    lanes_in_trouble: usize,
    /// When the first event came, or the last one was finished.
    progress: Instant,
}

impl Account {
    fn new() -> Self {
        Self {
            held: 0,
            lanes_in_trouble: 0,
            progress: Instant::now(),
        }
    }

    fn is_in_trouble(&self, now: Instant) -> bool {
        self.lanes_in_trouble > 0 || (self.held > 0 && now > self.progress + SLOW)
    }
}

/// The accounts of all applications that have any events in the sink's hands.
#[derive(Default)]
pub(super) struct Accounts(HashMap<Arc<str>, Account>);

impl Accounts {
    pub(super) fn take_in(&mut self, application: &Arc<str>, cost: usize) {
        match self.0.get_mut(application) {
            Some(account) => account.held += cost,
            None => {
                let mut account = Account::new();
                account.held = cost;
                self.0.insert(Arc::clone(application), account);
            }
        }
    }

    /// Whether there is anything that may get into trouble by itself.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn finish(&mut self, application: &Arc<str>, cost: usize, now: Instant) {
        if let Some(account) = self.0.get_mut(application) {
            account.held = account.held.saturating_sub(cost);
            account.progress = now;
            if account.held == 0 {
                self.drop_if_idle(application);
            }
        }
    }

    pub(super) fn trouble_begins(&mut self, application: &Arc<str>) {
        let application = Arc::clone(application);
        let account = self.0.entry(application).or_insert_with(Account::new);
        account.lanes_in_trouble += 1;
    }

    pub(super) fn trouble_ends(&mut self, application: &Arc<str>) {
        if let Some(account) = self.0.get_mut(application) {
            account.lanes_in_trouble = account.lanes_in_trouble.saturating_sub(1);
            self.drop_if_idle(application);
        }
    }

    fn drop_if_idle(&mut self, application: &Arc<str>) {
        let account = self.0.get(application);
        if account.is_some_and(|account| account.held == 0 && account.lanes_in_trouble == 0) {
            self.0.remove(application);
        }
    }
}

impl Valve {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            any_closed: AtomicBool::new(false),
            closed: Mutex::default(),
        }
    }

    /// Whether the application may bring more.
    pub(super) fn is_open(&self, application: &str) -> bool {
        !self.any_closed.load(Ordering::Acquire) || !self.lock().contains_key(application)
    }

    /// Enters a connection of a closed application; it comes out of [`Valve::judge`]. False: the
    /// application is open.
    pub(super) fn wait(&self, application: &str, waiter: impl FnOnce() -> Waiter) -> bool {
        if !self.any_closed.load(Ordering::Acquire) {
            return false;
        }
        match self.lock().get_mut(application) {
            Some(waiting) => {
                waiting.push(waiter());
                true
            }
            None => false,
        }
    }

    /// Opens and closes applications by what they hold now: the connections that waited for those
    /// that are open again.
    pub(super) fn judge(&self, accounts: &Accounts) -> Vec<Waiter> {
        let now = Instant::now();
        let in_trouble = |account: &Account| account.is_in_trouble(now);
        let any_in_trouble = accounts.0.values().any(in_trouble);
        if !any_in_trouble && !self.any_closed.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut closed = self.lock();
        let troubled = accounts.0.values().filter(|account| in_trouble(account));
        let all: usize = troubled.map(|account| account.held).sum();
        let is_over = |account: &Account| {
            in_trouble(account) && (account.held >= self.bound / ONE || all >= self.bound / ALL)
        };
        let mut free = Vec::new();
        closed.retain(|application, waiting| {
            let stays = accounts.0.get(application).is_some_and(is_over);
            if !stays {
                free.append(waiting);
            }
            stays
        });
        for (application, account) in &accounts.0 {
            if is_over(account) && !closed.contains_key(application) {
                closed.insert(Arc::clone(application), Vec::new());
            }
        }
        self.any_closed.store(!closed.is_empty(), Ordering::Release);
        free
    }

    /// Lets go of everybody: the sink has ended, and there is never room again.
    pub(super) fn end(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Waiter>>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
