//! Which records are done: an offset may be committed when it and all before it are.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Topic and partition.
pub(super) type Place = (String, i32);

/// The partitions that this consumer has.
#[derive(Clone, Default)]
pub(super) struct Offsets(Arc<Mutex<HashMap<Place, Arc<Partition>>>>);

/// The records of one partition that are under way.
#[derive(Default)]
struct Partition(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    under_way: BTreeSet<i64>,
    /// One behind the last record that was taken.
    next: i64,
    /// The last that was given to be committed.
    told: i64,
    /// Another consumer has the partition.
    lost: bool,
}

/// A record that is under way.
pub(super) struct Taken {
    partition: Arc<Partition>,
    offset: i64,
}

impl Offsets {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Arc<Partition>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record has come; `None`: it is done, or under way, and was only read again, as the partition
    /// was away for a while.
    pub(super) fn take(&self, place: Place, offset: i64) -> Option<Taken> {
        let mut partitions = self.lock();
        let mut partition = Arc::clone(partitions.entry(place.clone()).or_default());
        if offset < partition.lock().told {
            // What was committed is not read again: the topic is another one of the same name.
            partition = Arc::default();
            partitions.insert(place, Arc::clone(&partition));
        }
        drop(partitions);
        let mut progress = partition.lock();
        progress.lost = false;
        if offset < progress.next {
            return None;
        }
        progress.under_way.insert(offset);
        progress.next = offset + 1;
        drop(progress);
        Some(Taken { partition, offset })
    }

    /// A partition goes elsewhere: what is under way of it is not ours to commit until it is back.
    pub(super) fn lose(&self, place: &Place) {
        if let Some(partition) = self.lock().get(place) {
            partition.lock().lost = true;
        }
    }
}

impl Partition {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The record is done. `commit` is given the offset up to which all are, if it has moved on;
    /// offsets of a partition come to it in their order.
    pub(super) fn done(self, commit: impl FnOnce(i64)) {
        let mut progress = self.partition.lock();
        progress.under_way.remove(&self.offset);
        let first = progress.under_way.first().copied();
        let up_to = first.unwrap_or(progress.next);
        if !progress.lost && up_to > progress.told {
            progress.told = up_to;
            commit(up_to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        ("t".to_owned(), 0)
    }

    fn committed(taken: Taken) -> Option<i64> {
        let mut committed = None;
        taken.done(|offset| committed = Some(offset));
        committed
    }

    #[test]
    fn an_offset_is_committed_when_all_before_it_are_done() {
        let offsets = Offsets::default();
        let take = |offset| offsets.take(place(), offset).unwrap();
        let (a, b, c) = (take(5), take(6), take(9));
        assert_eq!(committed(b), Some(5), "where it began");
        assert_eq!(committed(a), Some(9), "compaction leaves gaps");
        assert_eq!(committed(c), Some(10));
        let other = offsets.take(("t".to_owned(), 1), 3).unwrap();
        let d = take(10);
        assert_eq!(committed(d), Some(11), "other partitions have their own");
        assert_eq!(committed(other), Some(4));
    }

    #[test]
    fn what_is_under_way_of_a_lost_partition_is_not_committed() {
        let offsets = Offsets::default();
        let taken = offsets.take(place(), 5).unwrap();
        offsets.lose(&place());
        assert_eq!(committed(taken), None);
    }

    #[test]
    fn what_is_read_again_is_not_done_again() {
        let offsets = Offsets::default();
        let (slow, quick) = (offsets.take(place(), 5), offsets.take(place(), 6));
        assert_eq!(committed(quick.unwrap()), Some(5));
        offsets.lose(&place());
        assert!(offsets.take(place(), 5).is_none(), "under way");
        assert!(offsets.take(place(), 6).is_none(), "done");
        let next = offsets.take(place(), 7).unwrap();
        assert_eq!(committed(slow.unwrap()), Some(7));
        assert_eq!(committed(next), Some(8));
    }

    #[test]
    fn a_topic_that_was_made_anew_is_read_from_its_start() {
        let offsets = Offsets::default();
        assert_eq!(committed(offsets.take(place(), 5).unwrap()), Some(6));
        let first = offsets.take(place(), 0).unwrap();
        assert_eq!(committed(first), Some(1));
    }
}
