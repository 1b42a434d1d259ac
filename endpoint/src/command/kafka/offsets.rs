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
    /// The first record that was taken.
    first: Option<i64>,
    /// One behind the last record that was taken.
    next: i64,
    /// The last that was given to be committed.
    told: i64,
    /// The last that the brokers have confirmed.
    committed: i64,
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
    /// was away for a while. What was done by then may not have been committed: `commit` is given the
    /// offset up to which all are done, as in [`Taken::done`].
    pub(super) fn take(
        &self,
        place: Place,
        offset: i64,
        commit: impl FnOnce(i64),
    ) -> Option<Taken> {
        let mut partitions = self.lock();
        let mut partition = Arc::clone(partitions.entry(place.clone()).or_default());
        if partition.lock().is_anew(offset) {
            partition = Arc::default();
            partitions.insert(place, Arc::clone(&partition));
        }
        drop(partitions);
        let mut progress = partition.lock();
        progress.lost = false;
        if offset < progress.next {
            let up_to = progress.done_up_to();
            if up_to > offset {
                progress.told = up_to;
                commit(up_to);
            }
            return None;
        }
        progress.first.get_or_insert(offset);
        progress.under_way.insert(offset);
        progress.next = offset + 1;
        drop(progress);
        Some(Taken { partition, offset })
    }

    /// The brokers have taken note that all records before this offset are done.
    pub(super) fn committed(&self, place: &Place, offset: i64) {
        if let Some(partition) = self.lock().get(place) {
            let mut progress = partition.lock();
            progress.committed = progress.committed.max(offset);
        }
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

impl Progress {
    /// The topic is another one of the same name, or was set back. What was given to be committed may
    /// be read again: it is lost when the brokers are away, and where they confirm it, a consumer that
    /// joins its group at that moment may still be told what was before. But never of a time before
    /// this consumer's, nor that nothing was committed yet.
    fn is_anew(&self, offset: i64) -> bool {
        self.first.is_some_and(|first| offset < first) || (offset == 0 && self.committed > 0)
    }

    /// All records before this offset are done.
    fn done_up_to(&self) -> i64 {
        self.under_way.first().copied().unwrap_or(self.next)
    }
}

impl Taken {
    /// The record is done. `commit` is given the offset up to which all are, if it has moved on;
    /// offsets of a partition come to it in their order.
    pub(super) fn done(self, commit: impl FnOnce(i64)) {
        let mut progress = self.partition.lock();
        progress.under_way.remove(&self.offset);
        let up_to = progress.done_up_to();
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

    fn new(offsets: &Offsets, offset: i64) -> Taken {
        let taken = offsets.take(place(), offset, |_| panic!("nothing to commit"));
        taken.expect("a new record")
    }

    /// Reads a record again; what it has committed.
    fn again(offsets: &Offsets, offset: i64) -> Option<i64> {
        let mut committed = None;
        let taken = offsets.take(place(), offset, |offset| committed = Some(offset));
        assert!(taken.is_none(), "{offset} is known");
        committed
    }

    #[test]
    fn an_offset_is_committed_when_all_before_it_are_done() {
        let offsets = Offsets::default();
        let (a, b, c) = (new(&offsets, 5), new(&offsets, 6), new(&offsets, 9));
        assert_eq!(committed(b), Some(5), "where it began");
        assert_eq!(committed(a), Some(9), "compaction leaves gaps");
        assert_eq!(committed(c), Some(10));
        let elsewhere = ("t".to_owned(), 1);
        let other = offsets.take(elsewhere, 3, |_| panic!("nothing to commit"));
        let d = new(&offsets, 10);
        assert_eq!(committed(d), Some(11), "other partitions have their own");
        assert_eq!(committed(other.unwrap()), Some(4));
    }

    #[test]
    fn what_is_under_way_of_a_lost_partition_is_not_committed_until_it_is_back() {
        let offsets = Offsets::default();
        let (first, second) = (new(&offsets, 5), new(&offsets, 6));
        offsets.lose(&place());
        assert_eq!(committed(first), None);
        assert_eq!(committed(second), None);
        assert_eq!(again(&offsets, 5), Some(7), "both are done");
    }

    #[test]
    fn what_is_read_again_is_not_done_again() {
        let offsets = Offsets::default();
        let (slow, quick) = (new(&offsets, 5), new(&offsets, 6));
        assert_eq!(committed(quick), Some(5));
        offsets.lose(&place());
        assert_eq!(again(&offsets, 5), None, "under way");
        assert_eq!(again(&offsets, 6), None, "behind one that is under way");
        let next = new(&offsets, 7);
        assert_eq!(committed(slow), Some(7));
        assert_eq!(committed(next), Some(8));
    }

    #[test]
    fn what_was_done_and_could_not_be_committed_is_committed_when_it_is_read_again() {
        let offsets = Offsets::default();
        assert_eq!(committed(new(&offsets, 5)), Some(6));
        offsets.committed(&place(), 6);
        // The brokers go away, and never hear of these.
        assert_eq!(committed(new(&offsets, 6)), Some(7));
        assert_eq!(committed(new(&offsets, 7)), Some(8));
        offsets.lose(&place());
        assert_eq!(again(&offsets, 6), Some(8));
        // They have heard of it, and tell the group of what was before.
        offsets.committed(&place(), 8);
        assert_eq!(again(&offsets, 6), Some(8));
    }

    #[test]
    fn a_topic_that_was_made_anew_is_read_from_its_start() {
        let offsets = Offsets::default();
        assert_eq!(committed(new(&offsets, 5)), Some(6));
        assert_eq!(committed(new(&offsets, 0)), Some(1), "before the first");
        assert_eq!(committed(new(&offsets, 1)), Some(2));
        offsets.committed(&place(), 2);
        assert_eq!(committed(new(&offsets, 0)), Some(1), "begun, and confirmed");
    }
}
