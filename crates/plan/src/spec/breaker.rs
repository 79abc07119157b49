//! When a backend's circuit breaker opens, in a description.

use serde::{Deserialize, Serialize};

/// When a backend's circuit breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreaker {
    /// At this share of errors, 1 to 1000.
    pub error_thousandths: u32,
    /// Over so long, 100 at least.
    pub window_ms: u64,
    /// Of so many requests, 1 at least.
    pub min_requests: u32,
    /// How long it stays open.
    pub open_ms: u64,
}
