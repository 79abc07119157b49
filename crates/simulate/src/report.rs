//! What came of a simulation.

use std::collections::BTreeMap;

use serde::Serialize;

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// That came.
    pub requests: u64,
    /// Of these, answered well.
    pub answered: u64,
    /// The others.
    pub failed: u64,
    /// Why.
    pub failures: BTreeMap<String, u64>,
    /// Tries beyond the first of a request.
    pub retries: u64,
    /// From the start until the last one was answered.
    pub seconds: f64,
    /// Of those that were answered well.
    pub latency: Latency,
    /// In the order of the pool.
    pub backends: Vec<BackendReport>,
    /// As it went.
    pub series: Series,
    /// Changes of backends' states.
    pub events: Vec<Happened>,
    /// Those beyond the first 10,000.
    pub events_dropped: u64,
}

/// Times from a request's arrival to its answer, further tries and waits included. `null` if there was none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Latency {
    /// The mean.
    pub mean_ms: f64,
    /// Half of them were at most this.
    pub p50_ms: Option<f64>,
    /// Nine tenths.
    pub p90_ms: Option<f64>,
    /// 99 of 100.
    pub p99_ms: Option<f64>,
    /// 999 of 1000.
    pub p999_ms: Option<f64>,
    /// The longest.
    pub max_ms: f64,
}

/// What a backend did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackendReport {
    /// Its id.
    pub id: String,
    /// Tries with it.
    pub requests: u64,
    /// Of all tries.
    pub share: f64,
    /// Tries that failed by its fault.
    pub errors: u64,
    /// How busy its slots were, of 1.
    pub busy: f64,
    /// The most requests it had at a time.
    pub max_in_flight: u32,
    /// What it worked on after nobody waited for it any more.
    pub wasted: u64,
}

/// Figures over time, each a list with an item for each bucket: requests by when they came, the others by when they ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Series {
    /// What an item stands for.
    pub bucket_ms: u64,
    /// That came.
    pub requests: Vec<u64>,
    /// Answered well.
    pub answered: Vec<u64>,
    /// Failed.
    pub failed: Vec<u64>,
    /// Further tries.
    pub retries: Vec<u64>,
    /// Milliseconds; `null` where nobody was answered.
    pub p50: Vec<Option<f64>>,
    /// The same.
    pub p99: Vec<Option<f64>>,
    /// Tries by backend.
    pub backends: Vec<Vec<u32>>,
}

/// A backend has become something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Happened {
    /// Since the start.
    pub at_ms: u64,
    /// Its id.
    pub backend: String,
    /// What it was.
    pub from: &'static str,
    /// What it is.
    pub to: &'static str,
    /// Why.
    pub reason: String,
}
