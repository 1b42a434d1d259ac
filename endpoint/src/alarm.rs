//! The connections' timers: one wheel for all of them.
//!
//! Most connections wait for nothing but the end of a keep-alive that never comes. A timer of the
//! runtime is 112 bytes for each of them; here it is a pointer in the slot of its tick, and a
//! place number in the connection's [`Link`] (a `DelayQueue` of tokio-util would have an entry of some 64
//! bytes). It wakes at every tick, which costs nothing to speak of. A connection has one alarm, for whatever it has to look at
//! first; woken, it looks and sets the next.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landfall_protocol::session::Time;

use crate::connection::Link;
use crate::server::Shared;

/// Milliseconds. An alarm rings at a multiple of it: up to so much late, and never early.
const TICK: Time = 100;
/// Ticks of one turn of the wheel. What is further away, by 102 seconds, rings at its end, and is set
/// again by whom it wakes.
const SLOTS: u64 = 1_024;
/// Connections that are woken before others of the thread have their turn.
const AT_ONCE: usize = 256;

/// The alarms of all connections.
pub struct Alarms(Mutex<Wheel>);

struct Wheel {
    /// All up to this tick have rung.
    tick: u64,
    /// By tick, modulo their number.
    slots: Vec<Vec<Arc<Link>>>,
}

/// Where a connection's alarm is in the wheel: used under the wheel's lock alone.
#[derive(Default)]
pub(crate) struct Place {
    /// The slot's number and one; 0 without an alarm.
    slot: AtomicU32,
    index: AtomicU32,
}

impl Default for Alarms {
    fn default() -> Self {
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        Self(Mutex::new(Wheel { tick: 0, slots }))
    }
}

impl Alarms {
    fn wheel(&self) -> MutexGuard<'_, Wheel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the connection woken at a time, in place of the time that was set before; sooner if that
    /// is further away than the wheel reaches. Returns when.
    pub fn set(&self, link: &Arc<Link>, at: Time) -> Time {
        let mut wheel = self.wheel();
        wheel.remove(link);
        wheel.insert(link, at)
    }

    /// The connection is woken no more.
    pub fn clear(&self, link: &Link) {
        self.wheel().remove(link);
    }

    /// Wakes connections whose time has come. True: there are more.
    fn ring(&self, now: Time) -> bool {
        let mut due = Vec::new();
        let more = self.wheel().take_due(now / TICK, &mut due);
        for link in due {
            link.wake();
        }
        more
    }
}

impl Wheel {
    fn insert(&mut self, link: &Arc<Link>, at: Time) -> Time {
        let last = self.tick + SLOTS - 1;
        let tick = at.div_ceil(TICK).clamp(self.tick + 1, last);
        if let Some((number, slot)) = self.slot(tick) {
            link.alarm.enter(number, slot.len());
            slot.push(Arc::clone(link));
        }
        at.min(last * TICK)
    }

    fn remove(&mut self, link: &Link) {
        let Some((number, index)) = link.alarm.leave() else {
            return;
        };
        if let Some(slot) = self.slots.get_mut(number)
            && index < slot.len()
        {
            slot.swap_remove(index);
            if let Some(moved) = slot.get(index) {
                moved.alarm.enter(number, index);
            }
        }
    }

    /// Takes out what rings up to `tick`, but no more than [`AT_ONCE`]. True: there is more.
    fn take_due(&mut self, tick: u64, due: &mut Vec<Arc<Link>>) -> bool {
        while self.tick < tick {
            let Some((_, slot)) = self.slot(self.tick + 1) else {
                return false;
            };
            while let Some(link) = slot.pop() {
                link.alarm.leave();
                due.push(link);
                if due.len() == AT_ONCE {
                    return true;
                }
            }
            *slot = Vec::new();
            self.tick += 1;
        }
        false
    }

    fn slot(&mut self, tick: u64) -> Option<(usize, &mut Vec<Arc<Link>>)> {
        let number = usize::try_from(tick % SLOTS).ok()?;
        self.slots.get_mut(number).map(|slot| (number, slot))
    }
}

impl Place {
    fn enter(&self, slot: usize, index: usize) {
        // Neither has that many: connections are bounded by the system's descriptors.
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.slot.store(number(slot + 1), Ordering::Relaxed);
        self.index.store(number(index), Ordering::Relaxed);
    }

    fn leave(&self) -> Option<(usize, usize)> {
        let slot = self.slot.swap(0, Ordering::Relaxed).checked_sub(1)?;
        let index = self.index.load(Ordering::Relaxed);
        Some((slot as usize, index as usize))
    }
}

/// Rings, tick by tick, as long as the server runs.
pub async fn run(shared: Arc<Shared>) {
    loop {
        let now = shared.clock.now();
        while shared.alarms.ring(now) {
            tokio::task::yield_now().await;
        }
        let next = (now / TICK + 1) * TICK;
        tokio::time::sleep_until(shared.clock.instant(next)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use landfall_events::event::Timestamp;
    use landfall_protocol::Version;

    use super::*;
    use crate::connection::Identity;
    use crate::listener::{Carrier, Peer};

    fn link() -> Arc<Link> {
        let identity = Identity {
            application: "app".into(),
            device: "d".into(),
            client_id: "c".into(),
            peer: Peer::Local,
            transport: Carrier::Unix,
            version: Version::V5,
            since: Timestamp(0),
            epoch: 1,
            credential: None,
        };
        Arc::new(Link::new(identity, 1))
    }

    /// Whether it was woken since this was last asked.
    fn is_woken(link: &Link) -> bool {
        let woken = !link.sleep(Waker::noop());
        assert!(link.news().is_none());
        woken
    }

    fn ring(alarms: &Alarms, now: Time) {
        while alarms.ring(now) {}
    }

    #[test]
    fn an_alarm_rings_once_at_the_first_tick_that_is_not_before_its_time() {
        let (alarms, link) = (Alarms::default(), link());
        assert_eq!(alarms.set(&link, 3 * TICK - 1), 3 * TICK - 1);
        ring(&alarms, 3 * TICK - 1);
        assert!(!is_woken(&link));
        ring(&alarms, 3 * TICK);
        assert!(is_woken(&link));
        ring(&alarms, 2 * SLOTS * TICK);
        assert!(!is_woken(&link));
    }

    #[test]
    fn a_time_that_has_passed_rings_at_the_next_tick() {
        let (alarms, link) = (Alarms::default(), link());
        ring(&alarms, 50 * TICK);
        alarms.set(&link, TICK);
        ring(&alarms, 51 * TICK);
        assert!(is_woken(&link));
    }

    #[test]
    fn what_is_further_away_than_the_wheel_reaches_rings_at_its_end() {
        let (alarms, link) = (Alarms::default(), link());
        ring(&alarms, 7 * TICK);
        let end = (7 + SLOTS - 1) * TICK;
        assert_eq!(alarms.set(&link, Time::MAX), end);
        ring(&alarms, end - 1);
        assert!(!is_woken(&link));
        ring(&alarms, end);
        assert!(is_woken(&link));
    }

    #[test]
    fn of_two_times_the_one_that_was_set_last_counts() {
        let (alarms, link) = (Alarms::default(), link());
        alarms.set(&link, 5 * TICK);
        alarms.set(&link, 9 * TICK);
        ring(&alarms, 8 * TICK);
        assert!(!is_woken(&link));
        ring(&alarms, 9 * TICK);
        assert!(is_woken(&link));
    }

    #[test]
    fn who_clears_its_alarm_is_forgotten_and_all_others_ring() {
        let alarms = Alarms::default();
        let links: Vec<_> = (0..2 * AT_ONCE).map(|_| link()).collect();
        for link in &links {
            alarms.set(link, 5 * TICK);
        }
        let (gone, left): (Vec<_>, Vec<_>) =
            links.iter().enumerate().partition(|(n, _)| n % 3 == 0);
        for (_, link) in &gone {
            alarms.clear(link);
            alarms.clear(link);
            assert_eq!(Arc::strong_count(link), 1);
        }
        ring(&alarms, 5 * TICK);
        assert!(left.iter().all(|(_, link)| is_woken(link)));
        assert!(!gone.iter().any(|(_, link)| is_woken(link)));
        assert!(links.iter().all(|link| Arc::strong_count(link) == 1));
    }

    #[test]
    fn many_that_ring_at_once_let_others_have_their_turn() {
        let alarms = Alarms::default();
        let links: Vec<_> = (0..AT_ONCE + 1).map(|_| link()).collect();
        for link in &links {
            alarms.set(link, TICK);
        }
        assert!(alarms.ring(TICK));
        assert!(!alarms.ring(TICK));
        assert!(links.iter().all(|link| is_woken(link)));
    }
}
