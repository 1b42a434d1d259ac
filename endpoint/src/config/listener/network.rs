//! Networks of peers, as `10.0.0.0/8`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Deserializer, de::Error};

/// Addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Whose PROXY header is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Peers of this network.
    Network(Network),
    /// The peers of a Unix socket.
    Unix,
}

impl Network {
    /// Reads `address/prefix`, or an address alone.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().ok()?
            }
            Some(_) => return None,
            None => most,
        };
        (prefix <= most).then_some(Self { address, prefix })
    }

    /// Whether an address is in it. An IPv4 address may come mapped into IPv6, as from a socket
    /// that is bound to `[::]`.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => self.covers(in_128(ours), in_128(theirs)),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                self.covers(Ipv6Addr::to_bits(ours), Ipv6Addr::to_bits(theirs))
            }
            _ => false,
        }
    }

    fn covers(&self, ours: u128, theirs: u128) -> bool {
        let host_bits = 128 - u32::from(self.prefix);
        let difference = ours ^ theirs;
        difference.checked_shr(host_bits).unwrap_or(0) == 0
    }
}

/// At the upper end, so that prefixes of both families count from the same side.
fn in_128(address: Ipv4Addr) -> u128 {
    u128::from(Ipv4Addr::to_bits(address)) << 96
}

impl<'de> Deserialize<'de> for Trusted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let network = Network::parse(&text).ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{text}` is no network: write for example \"10.0.0.0/8\" or \"fd00::/8\", or \
                 \"unix\" for the peers of a Unix socket"
            ))
        })?;
        Ok(Self::Network(network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let network = Network::parse(network).unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_the_addresses_of_its_prefix() {
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.0.2.128/25", "192.0.2.200"));
        assert!(!holds("192.0.2.128/25", "192.0.2.127"));
        assert!(holds("192.0.2.7", "192.0.2.7"));
        assert!(!holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(holds("fd00::/8", "fdff::1"));
        assert!(!holds("fd00::/8", "fe80::1"));
        assert!(holds("::/0", "2001:db8::1"));
    }

    #[test]
    fn families_differ_but_for_mapped_addresses() {
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(!holds("::/0", "192.0.2.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "host",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
