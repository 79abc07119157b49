//! How many requests a backend has at a time, in a description.

use serde::{Deserialize, Serialize};

/// A number, or `{"adaptive": {"min": …, "max": …}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MaxInFlight {
    /// So many over all workers; at least 1.
    Fixed(u64),
    /// As many as the backend bears.
    Adaptive(Adaptive),
}

/// A limit that finds itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptive {
    /// What it never leaves.
    pub adaptive: Bounds,
}

/// The least and the most that a limit may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// At least 1.
    pub min: u32,
    /// At least as much.
    pub max: u32,
}
