//! Sets of networks: who is trusted, who is allowed.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// A set of networks. An IPv4 address and its IPv4-mapped IPv6 form (RFC 4291 2.5.5.2) are the same client, so both
/// are kept and asked for as IPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl Networks {
    /// Takes CIDR networks and single addresses; bits behind the prefix are ignored. The text that is neither is the
    /// error.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NotANetwork> {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for text in texts {
            match network(text)? {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Ok(Self { v4: Ranges::new(v4), v6: Ranges::new(v6) })
    }

    /// Whether one of the networks has this address. O(log n).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    /// Whether there is no network in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }
}

/// The text names neither a network nor an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotANetwork(pub String);

impl std::fmt::Display for NotANetwork {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?} is neither a network (10.0.0.0/8) nor an address", self.0)
    }
}

impl std::error::Error for NotANetwork {}

/// Bits of `::ffff:0:0/96`, behind which an IPv4 address stands.
const MAPPED: u8 = 96;

fn network(text: &str) -> Result<IpNet, NotANetwork> {
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| NotANetwork(text.to_owned()))?;
    let IpNet::V6(v6) = net else { return Ok(net) };
    let mapped = v6.prefix_len() >= MAPPED && is_mapped(v6.addr());
    let canonical = mapped.then(|| IpNet::new(v6.addr().to_canonical(), v6.prefix_len() - MAPPED));
    Ok(canonical.and_then(Result::ok).unwrap_or(net))
}

fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

/// Closed ranges, sorted and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ranges<T>(Vec<(T, T)>);

impl<T: Ord + Copy> Ranges<T> {
    fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        ranges.dedup_by(|later, earlier| {
            let overlap = later.0 <= earlier.1;
            if overlap {
                earlier.1 = earlier.1.max(later.1);
            }
            overlap
        });
        Self(ranges)
    }

    fn contains(&self, value: T) -> bool {
        let after = self.0.partition_point(|range| range.0 <= value);
        after > 0 && value <= self.0[after - 1].1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(texts: &[&str]) -> Networks {
        Networks::parse(texts.iter().copied()).expect("networks")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn mapped_address_is_its_ipv4_address() {
        assert!(set(&["10.0.0.0/8"]).contains(ip("::ffff:10.1.2.3")));
        assert!(set(&["::ffff:10.0.0.0/104"]).contains(ip("10.1.2.3")));
        assert!(set(&["::ffff:10.1.2.3"]).contains(ip("10.1.2.3")));
        assert!(!set(&["::ffff:10.0.0.0/104"]).contains(ip("11.1.2.3")));
    }

    #[test]
    fn single_address_is_a_network_of_itself() {
        assert!(set(&["192.0.2.7"]).contains(ip("192.0.2.7")));
        assert!(!set(&["192.0.2.7"]).contains(ip("192.0.2.8")));
        assert!(set(&["2001:db8::1"]).contains(ip("2001:db8::1")));
    }

    #[test]
    fn all_of_ipv6_has_no_ipv4_address() {
        assert!(!set(&["::/0"]).contains(ip("10.0.0.1")));
        assert!(set(&["0.0.0.0/0"]).contains(ip("10.0.0.1")));
    }

    #[test]
    fn empty_set_contains_nothing() {
        assert!(set(&[]).is_empty());
        assert!(!set(&[]).contains(ip("127.0.0.1")));
    }

    #[test]
    fn error_quotes_the_text() {
        let error = Networks::parse(["10.0.0.0/33"]).expect_err("too long a prefix");
        assert_eq!(error.to_string(), "\"10.0.0.0/33\" is neither a network (10.0.0.0/8) nor an address");
    }

    proptest! {
        #[test]
        fn set_contains_what_any_of_its_networks_contains(
            networks in prop::collection::vec((any::<[u8; 4]>(), 0..=32_u8), 0..12),
            address in any::<[u8; 4]>(),
        ) {
            let nets: Vec<IpNet> = networks.iter()
                .map(|(octets, prefix)| IpNet::new((*octets).into(), *prefix).expect("a prefix within 32"))
                .collect();
            let texts: Vec<String> = nets.iter().map(ToString::to_string).collect();
            let set = Networks::parse(texts.iter().map(String::as_str)).expect("networks");
            let address = IpAddr::from(address);
            prop_assert_eq!(set.contains(address), nets.iter().any(|net| net.contains(&address)));
        }
    }
}
