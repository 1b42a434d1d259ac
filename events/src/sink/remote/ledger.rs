//! Outcomes in any order → "accepted up to n" in the order of each connection.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::sink::queue::Parcel;
use crate::sink::{Completion, Sequence};

/// The events under way, by connection.
#[derive(Default)]
pub(crate) struct Ledger {
    accounts: HashMap<Whom, Account>,
    /// Accounts whose oldest events may be finished.
    due: HashSet<Whom>,
}

/// A connection and its slot, as something to compare by.
type Whom = (usize, usize);

struct Account {
    completion: Arc<dyn Completion>,
    slot: usize,
    /// In the connection's order; finished ones wait here for those before them.
    entries: VecDeque<(Sequence, bool)>,
}

impl Ledger {
    /// Enters an event, in the order of its connection.
    pub(crate) fn enter(&mut self, parcel: &Parcel) {
        let account = self
            .accounts
            .entry(whom(parcel))
            .or_insert_with(|| Account {
                completion: Arc::clone(&parcel.completion),
                slot: parcel.slot,
                entries: VecDeque::new(),
            });
        account.entries.push_back((parcel.sequence, false));
    }

    /// Notes that an event has its outcome. Its connection learns of it with [`Ledger::report`].
    pub(crate) fn finish(&mut self, parcel: &Parcel) {
        if parcel.is_spilled {
            return;
        }
        let whom = whom(parcel);
        let Some(account) = self.accounts.get_mut(&whom) else {
            return;
        };
        let entries = &mut account.entries;
        let place = entries.partition_point(|(sequence, _)| *sequence < parcel.sequence);
        if let Some(entry) = entries.get_mut(place) {
            entry.1 = true;
        }
        if place == 0 {
            self.due.insert(whom);
        }
    }

    /// Tells each connection, once, up to where all its events are finished.
    pub(crate) fn report(&mut self) {
        for whom in self.due.drain() {
            let Some(account) = self.accounts.get_mut(&whom) else {
                continue;
            };
            let mut up_to = None;
            while let Some((sequence, _)) = account.entries.pop_front_if(|(_, done)| *done) {
                up_to = Some(sequence);
            }
            if let Some(up_to) = up_to {
                account.completion.accepted(account.slot, up_to);
            }
            if account.entries.is_empty() {
                self.accounts.remove(&whom);
            }
        }
    }
}

fn whom(parcel: &Parcel) -> Whom {
    let address = Arc::as_ptr(&parcel.completion).cast::<()>() as usize;
    (address, parcel.slot)
}
