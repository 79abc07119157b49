//! Who asks: clients of which some ask more often than others. They are what hashing algorithms tell apart.

use std::net::{IpAddr, Ipv4Addr};

use fairlead_balance::hash_address;

use crate::random::Stream;
use crate::scenario::Clients;

/// The clients, and how often each of them asks.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// The sum of the weights up to each one.
    cumulated: Vec<f64>,
    keys: Vec<u64>,
}

impl Crowd {
    /// Nobody is told apart by an algorithm that needs no key.
    pub(crate) fn new(clients: &Clients, keyed: bool) -> Self {
        let count = if keyed { clients.count } else { 0 };
        let mut sum = 0.0;
        let weigh = |rank: u32| {
            sum += f64::from(rank).powf(-clients.skew);
            sum
        };
        let cumulated = (1..=count).map(weigh).collect();
        Self { cumulated, keys: (0..count).map(key).collect() }
    }

    /// The key of the next request.
    pub(crate) fn next(&self, stream: &mut Stream) -> Option<u64> {
        let all = *self.cumulated.last()?;
        let drawn = stream.unit() * all;
        let at = self.cumulated.partition_point(|&sum| sum < drawn);
        self.keys.get(at.min(self.keys.len() - 1)).copied()
    }
}

/// As the engine makes it of a client's address: 10.0.0.0 and on. An IPv4 address counts whole.
fn key(number: u32) -> u64 {
    let address = Ipv4Addr::from_bits(0x0a00_0000 | number & 0x00ff_ffff);
    hash_address(IpAddr::V4(address), 128)
}
