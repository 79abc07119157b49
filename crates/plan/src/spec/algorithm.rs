//! How a backend is picked, in a description.

use serde::{Deserialize, Serialize};

use super::nullable;

/// How a backend is picked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Algorithm {
    /// In turn, as their weights are.
    RoundRobin,
    /// The lowest (active + 1) / weight.
    LeastConnections,
    /// The lowest (active + 1) × time / weight.
    LeastTime(LeastTime),
    /// The best of some drawn by weight.
    Random {
        /// How many are drawn.
        choices: u8,
        /// What the best is.
        by: Score,
    },
    /// The hash of the client's address modulo the weights.
    IpHash {
        /// The bits of an IPv6 address that count.
        v6_prefix: u8,
    },
    /// The one that the request's key belongs to.
    ConsistentHash {
        /// What the key is made of, one part at least.
        key: Vec<KeyPart>,
        /// How the backend of a key is found.
        table: HashTable,
        /// The most that a backend takes, in thousandths of the mean.
        #[serde(deserialize_with = "nullable")]
        bounded_load_thousandths: Option<u32>,
    },
    /// The first in order with a free slot.
    First,
}

/// How the time of answers is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeastTime {
    /// What a slower answer does to the average.
    pub average: Average,
    /// After this long a past answer has lost 63 % of its weight.
    pub window_ms: u64,
}

/// What a slower answer does to the average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// It becomes the average.
    PeakEwma,
    /// It moves the average as a faster one does.
    Ewma,
}

/// What backends that were drawn are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// (active + 1) / weight.
    LeastConnections,
    /// (active + 1) × time / weight.
    LeastTime(LeastTime),
}

/// How the backend of a key is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashTable {
    /// Points on a ring, as libketama places them.
    Ring,
    /// Google's Maglev.
    Maglev,
    /// The highest number drawn from key and backend.
    Rendezvous,
}

/// A part of a request's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPart {
    /// The client's address.
    Client,
    /// The first field of this name.
    Header(String),
    /// The cookie of this name.
    Cookie(String),
    /// The parameter of this name in the query.
    Query(String),
    /// The normalised path.
    Path,
}
