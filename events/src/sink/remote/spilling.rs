//! What the driver does with a spill: lanes whose trouble lasts go to disk, and come back from it in
//! order, before anything newer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::courier::Courier;
use super::driver::{Driver, enter_lane};
use super::lane::Lane;
use super::spool::Piece;

/// Trouble that is over sooner leaves events in memory.
const PATIENCE: Duration = Duration::from_secs(1);
/// A spill that cannot be written is tried again after this.
const PAUSE: Duration = Duration::from_secs(1);

impl<C: Courier> Driver<'_, C> {
    /// Makes the lanes that have events on disk since an earlier run.
    pub(super) fn find_spilled(&mut self) {
        let Some(spool) = &self.spool else { return };
        let keys = spool.lanes();
        match keys {
            Ok(keys) => {
                for key in keys {
                    let lanes = &mut self.lanes;
                    let id = enter_lane(key, &mut self.keys, lanes, &mut self.next_lane);
                    if let Some(lane) = lanes.get_mut(&id) {
                        lane.has_spilled();
                    }
                    self.unspill(id);
                    self.make_ready(id);
                }
            }
            Err(error) => self.cannot_spill(&error),
        }
    }

    /// Writes to disk what waits in lanes whose trouble lasts, and tells the connections. When to
    /// look again.
    pub(super) fn spill(&mut self, at_once: bool) -> Option<Instant> {
        let spool = self.spool.as_mut()?;
        let patience = if at_once { Duration::ZERO } else { PATIENCE };
        let now = Instant::now();
        let due = |id: &u64| self.lanes.get(id)?.spills_at(patience, now);
        let (ready, later): (Vec<_>, Vec<_>) = self
            .lanes
            .keys()
            .filter_map(|id| Some((*id, due(id)?)))
            .partition(|(_, at)| *at <= now);
        let next = later.into_iter().map(|(_, at)| at).min();
        if ready.is_empty() {
            return next;
        }
        let lanes = ready.iter().filter_map(|(id, _)| self.lanes.get(id));
        let events = lanes.flat_map(|lane| lane.unspilled().map(|event| (&lane.key, event)));
        if let Err(error) = spool.append(events) {
            self.cannot_spill(&error);
            return Some(next.map_or(now + PAUSE, |next| next.min(now + PAUSE)));
        }
        self.shared.count_spilled(spool.events());
        self.shared.spill_failed.store(false, Ordering::Relaxed);
        let mut finished = Vec::new();
        for (id, _) in ready {
            if let Some(lane) = self.lanes.get_mut(&id) {
                for parcel in lane.spill() {
                    self.ledger.finish(&parcel);
                    self.accounts.finish(lane.application(), parcel.cost(), now);
                    finished.push(parcel);
                }
            }
            self.unspill(id);
        }
        self.ledger.report();
        self.intake.release(finished.iter());
        next
    }

    /// Takes a lane's next events from the disk, if those before are finished.
    pub(super) fn unspill(&mut self, id: u64) {
        let (Some(spool), Some(lane)) = (&mut self.spool, self.lanes.get_mut(&id)) else {
            return;
        };
        let Some(finished) = lane.wants_spilled() else {
            return;
        };
        let removed = finished.map_or(Ok(()), |up_to| spool.remove(&lane.key, up_to));
        match removed.and_then(|()| spool.head(&lane.key)) {
            Ok(piece) => lane.unspill(piece.map(|Piece { events, last }| (events, last))),
            Err(error) => return self.cannot_spill(&error),
        }
        self.shared.count_spilled(spool.events());
    }

    /// Whether nothing would be lost if the process ended now.
    pub(super) fn is_all_on_disk(&self) -> bool {
        let mut lanes = self.lanes.values();
        self.spool.is_some() && lanes.all(Lane::is_on_disk)
    }

    fn cannot_spill(&self, error: &dyn std::fmt::Display) {
        if !self.shared.spill_failed.swap(true, Ordering::Relaxed) {
            tracing::warn!(sink = %self.shared.name, %error, "events are not spilled; they wait in memory");
        }
    }
}
