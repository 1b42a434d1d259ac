//! How often one address may connect.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::PoisonError;

use landfall_protocol::session::Time;
use quick_cache::unsync::Cache;

/// Addresses remembered; those not seen for the longest time are forgotten first. Some 6 MiB.
const ADDRESSES: usize = 65_536;
const SECOND: u64 = 1_000_000;

/// A bucket for each address, which fills by so many connections a second and holds as many.
///
/// It is kept as one number, the time at which it will be full again (GCRA).
pub(super) struct RateLimit {
    /// Microseconds between two connections on average.
    interval: u64,
    full_again: Mutex<Cache<IpAddr, u64>>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Serve,
    /// One too many; the client may be told, at the cost of a handshake.
    Tell,
    /// Far too many: not worth a handshake.
    Close,
}

impl RateLimit {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self {
            interval: (SECOND / u64::from(per_second.get())).max(1),
            full_again: Mutex::new(Cache::new(ADDRESSES)),
        }
    }

    /// Takes one connection of `address` at `now` out of its bucket.
    pub(super) fn take(&self, address: IpAddr, now: Time) -> Verdict {
        let now = now.saturating_mul(1_000);
        let mut all = self
            .full_again
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = bucket(address);
        let full_again = all.get(&key).copied().unwrap_or(0).max(now);
        let taken = full_again - now + self.interval;
        if taken > 2 * SECOND {
            return Verdict::Close;
        }
        all.insert(key, now + taken);
        match taken <= SECOND {
            true => Verdict::Serve,
            false => Verdict::Tell,
        }
    }
}

/// One IPv4 address, or the /64 network that one IPv6 host has to itself.
fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: u32) -> RateLimit {
        RateLimit::new(NonZeroU32::new(per_second).unwrap())
    }

    fn served(limit: &RateLimit, address: &str, now: Time) -> bool {
        limit.take(address.parse().unwrap(), now) == Verdict::Serve
    }

    #[test]
    fn as_many_as_a_second_brings_may_come_at_once() {
        let limit = limit(3);
        let at_once: Vec<_> = (0..4).map(|_| served(&limit, "192.0.2.1", 5_000)).collect();
        assert_eq!(at_once, [true, true, true, false]);
        assert!(served(&limit, "192.0.2.2", 5_000), "another address");
        // The refused one counted, so that hammering buys nothing.
        assert!(!served(&limit, "192.0.2.1", 5_330));
        assert!(served(&limit, "192.0.2.1", 6_700));
    }

    #[test]
    fn one_that_hammers_is_told_for_a_while_and_then_closed() {
        let limit = limit(10);
        let address = "192.0.2.1".parse().unwrap();
        let verdicts: Vec<_> = (0..100).map(|_| limit.take(address, 0)).collect();
        let count = |wanted| {
            verdicts
                .iter()
                .filter(|verdict| **verdict == wanted)
                .count()
        };
        assert_eq!(count(Verdict::Serve), 10);
        assert_eq!(count(Verdict::Tell), 10);
        assert_eq!(count(Verdict::Close), 80);
        assert!(
            served(&limit, "192.0.2.1", 1_101),
            "it is not locked out for good"
        );
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket() {
        let limit = limit(1);
        assert!(served(&limit, "2001:db8::1", 0));
        assert!(!served(&limit, "2001:db8::2", 0));
        assert!(served(&limit, "2001:db8:0:1::1", 0));
    }

    #[test]
    fn memory_is_bounded() {
        let limit = limit(1);
        for n in 0..300_000_u32 {
            limit.take(IpAddr::V4(n.into()), 0);
        }
        assert!(limit.full_again.lock().unwrap().len() <= ADDRESSES);
    }
}
