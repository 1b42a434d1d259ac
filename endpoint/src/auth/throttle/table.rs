//! The pure part: who failed how often, on a clock that is an argument.
//!
//! An attempt is held against the failures from its address and those for its device. A device that
//! was let in from this address lately is spared both: neither a bad neighbour behind the same
//! address nor an attacker somewhere else can keep it out. Its own failures from there count apart.
//!
//! What is counted does not depend on whether the device exists.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hash},
    net::IpAddr,
    time::Duration,
};

use landfall_protocol::session::Time;
use quick_cache::unsync::Cache;

use super::bucket::{Allowance, Bucket};

/// Entries of each kind, some 50 bytes each: beyond them, the ones that are used least go.
const ENTRIES: usize = 65_536;
/// How long a device is known at an address after it was let in.
const KNOWN: Time = 24 * 60 * 60 * 1_000;

/// An attempt to log in: from where, as whom.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The peer's address.
    pub address: IpAddr,
    /// The application that is claimed.
    pub application: &'a str,
    /// The device that is claimed.
    pub device: &'a str,
    /// Whether the device is connected from this address now.
    pub connected: bool,
}

/// What stands against an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttled {
    /// Too many failures from its address.
    Address {
        /// Worth a line in the log: the first of this address in a while.
        first: bool,
    },
    /// Too many failures for its device.
    Device {
        /// As for an address.
        first: bool,
    },
}

pub(super) struct Table {
    addresses: Cache<u64, Bucket>,
    devices: Cache<u64, Bucket>,
    /// By device and address; only of devices that were let in from there.
    known: Cache<u64, Known>,
    per_address: Allowance,
    per_device: Allowance,
    /// Keys are keyed hashes: they are small whatever is claimed, and nobody can make them collide.
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Known {
    until: Time,
    failures: Bucket,
}

impl Table {
    pub(super) fn new(per_address: u32, per_device: u32, longest_wait: Duration) -> Self {
        Self {
            addresses: Cache::new(ENTRIES),
            devices: Cache::new(ENTRIES),
            known: Cache::new(ENTRIES),
            per_address: Allowance::new(per_address, longest_wait),
            per_device: Allowance::new(per_device, longest_wait),
            hasher: RandomState::new(),
        }
    }

    /// Whether the attempt may be made.
    pub(super) fn check(&mut self, attempt: &Attempt<'_>, now: Time) -> Result<(), Throttled> {
        if let Some(mut known) = self.known_at(attempt, now) {
            return match blocks(&mut known.failures, now) {
                Some(first) => {
                    self.known.insert(self.key_of_both(attempt), known);
                    Err(Throttled::Device { first })
                }
                None => Ok(()),
            };
        }
        let address = self.key(&network(attempt.address));
        if let Some(first) = blocked(&mut self.addresses, address, now) {
            return Err(Throttled::Address { first });
        }
        let device = self.key(&(attempt.application, attempt.device));
        match blocked(&mut self.devices, device, now) {
            Some(first) => Err(Throttled::Device { first }),
            None => Ok(()),
        }
    }

    /// The attempt was refused for its credentials.
    pub(super) fn failed(&mut self, attempt: &Attempt<'_>, now: Time) {
        if let Some(mut known) = self.known_at(attempt, now) {
            known.failures.fail(&self.per_device, now);
            self.known.insert(self.key_of_both(attempt), known);
            return;
        }
        let address = self.key(&network(attempt.address));
        count(&mut self.addresses, address, &self.per_address, now);
        let device = self.key(&(attempt.application, attempt.device));
        count(&mut self.devices, device, &self.per_device, now);
    }

    /// The device was let in.
    pub(super) fn succeeded(&mut self, attempt: &Attempt<'_>, now: Time) {
        let known = Known {
            until: now + KNOWN,
            // Whoever shows the right credential is no guesser.
            failures: Bucket::default(),
        };
        self.known.insert(self.key_of_both(attempt), known);
    }

    /// Entries of each kind.
    #[cfg(test)]
    pub(super) fn entries(&self) -> [usize; 3] {
        [self.addresses.len(), self.devices.len(), self.known.len()]
    }

    fn known_at(&self, attempt: &Attempt<'_>, now: Time) -> Option<Known> {
        let known = self.known.get(&self.key_of_both(attempt)).copied();
        known
            .filter(|known| now < known.until)
            .or(attempt.connected.then_some(Known {
                until: now + KNOWN,
                failures: Bucket::default(),
            }))
    }

    fn key_of_both(&self, attempt: &Attempt<'_>) -> u64 {
        let Attempt {
            address,
            application,
            device,
            ..
        } = *attempt;
        self.key(&(network(address), application, device))
    }

    fn key(&self, of: &impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }
}

/// What one party usually has for itself: an IPv4 address, or an IPv6 network of 64 bits (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

/// Whether the bucket of a key blocks, and if so, whether to report it.
fn blocked(buckets: &mut Cache<u64, Bucket>, key: u64, now: Time) -> Option<bool> {
    let mut bucket = *buckets.get(&key)?;
    let blocks = blocks(&mut bucket, now);
    if blocks == Some(true) {
        buckets.insert(key, bucket);
    }
    blocks
}

fn blocks(bucket: &mut Bucket, now: Time) -> Option<bool> {
    bucket.is_blocked(now).then(|| bucket.report(now))
}

fn count(buckets: &mut Cache<u64, Bucket>, key: u64, allowance: &Allowance, now: Time) {
    let mut bucket = buckets.get(&key).copied().unwrap_or_default();
    bucket.fail(allowance, now);
    buckets.insert(key, bucket);
}
