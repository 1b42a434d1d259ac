//! Clients that are about to enter the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use super::DeviceKey;
use crate::records::Epoch;

/// The clients that are about to enter, by device.
#[derive(Default)]
pub(super) struct Newcomers {
    devices: DashMap<DeviceKey, Vec<Newcomer>>,
    last_arrival: AtomicU64,
}

struct Newcomer {
    arrival: u64,
    client_id: Box<str>,
    /// Once its session is recorded.
    epoch: Option<Epoch>,
    /// Others were told that its epoch will be above this.
    above: Epoch,
}

impl Newcomers {
    pub(super) fn arrive(self: &Arc<Self>, key: DeviceKey, client_id: &str) -> Arriving {
        let arrival = self.last_arrival.fetch_add(1, Ordering::Relaxed);
        let mut newcomers = self.devices.entry(key.clone()).or_default();
        newcomers.push(Newcomer {
            arrival,
            client_id: client_id.into(),
            epoch: None,
            above: 0,
        });
        Arriving {
            newcomers: Arc::clone(self),
            key,
            arrival,
        }
    }

    /// Whether another client of the device is about to enter by an epoch that counts; one that has none
    /// yet gets one above `asked`.
    pub(super) fn has_other(
        &self,
        key: &DeviceKey,
        client_id: &str,
        asked: Epoch,
        counts: impl Fn(Epoch) -> bool,
    ) -> bool {
        let Some(mut newcomers) = self.devices.get_mut(key) else {
            return false;
        };
        let mut has_other = false;
        let others = newcomers
            .iter_mut()
            .filter(|it| *it.client_id != *client_id);
        for other in others {
            match other.epoch {
                Some(epoch) => has_other |= counts(epoch),
                None => other.above = other.above.max(asked),
            }
        }
        has_other
    }
}

/// A client that is about to enter the table.
pub struct Arriving {
    newcomers: Arc<Newcomers>,
    key: DeviceKey,
    arrival: u64,
}

impl Arriving {
    /// Its session is recorded by this epoch. False: another client that comes by a higher one was told
    /// meanwhile that this one comes later; it is to be recorded anew.
    pub fn is_recorded(&self, epoch: Epoch) -> bool {
        let Some(mut newcomers) = self.newcomers.devices.get_mut(&self.key) else {
            return true;
        };
        let mut own = newcomers.iter_mut().filter(|it| it.arrival == self.arrival);
        own.all(|newcomer| {
            let holds = epoch > newcomer.above;
            if holds {
                newcomer.epoch = Some(epoch);
            }
            holds
        })
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let devices = &self.newcomers.devices;
        if let dashmap::Entry::Occupied(mut entry) = devices.entry(self.key.clone()) {
            let newcomers = entry.get_mut();
            newcomers.retain(|newcomer| newcomer.arrival != self.arrival);
            if newcomers.is_empty() {
                entry.remove();
            }
        }
    }
}
