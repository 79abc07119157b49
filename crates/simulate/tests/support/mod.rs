//! Pools and worlds for tests.
#![allow(dead_code, reason = "each test file takes its part")]

#[path = "../../../plan/tests/support/mod.rs"]
mod description;

use std::time::Instant;

use fairlead_plan::spec::Spec;
use fairlead_simulate::scenario::{Effect, Law, What};
use fairlead_simulate::{Report, Scenario, Simulation};
use serde_json::{Value, from_value, json};

/// A pool before a world: change what matters, then run it.
pub(crate) struct World {
    /// The pool, as the engine is told of it.
    pub(crate) pool: Value,
    /// How the route to it tries again.
    pub(crate) retry: Value,
    /// And makes second tries.
    pub(crate) hedge: Value,
    pub(crate) response_ms: u64,
    pub(crate) scenario: Scenario,
    pub(crate) seed: u64,
}

impl World {
    /// So many servers of so many slots; work is exponential with a mean of 10 ms.
    pub(crate) fn new(servers: usize, slots: u32, per_second: f64, seconds: u64) -> Self {
        let addresses: Vec<String> = (0..servers).map(|n| format!("10.0.0.{}:80", n + 1)).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let server = json!({"slots": slots, "backlog": null, "present": true});
        let scenario = json!({
            "duration_ms": seconds * 1_000,
            "requests": null,
            "bucket_ms": 1_000,
            "workers": 1,
            "arrivals": {"law": "poisson", "rate": [{"at_ms": 0, "per_second": per_second}]},
            "clients": {"count": 1_000, "skew": 0.0},
            "safe": 1.0,
            "work": {"exponential": {"mean_ms": 10.0}},
            "servers": vec![server; servers],
            "checks": null,
            "effects": [],
        });
        Self {
            pool: description::pool("app", &addresses),
            retry: Value::Null,
            hedge: Value::Null,
            response_ms: 60_000,
            scenario: from_value(scenario).expect("the scenario is whole"),
            seed: 1,
        }
    }

    pub(crate) fn algorithm(mut self, algorithm: Value) -> Self {
        self.pool["algorithm"] = algorithm;
        self
    }

    pub(crate) fn work(mut self, law: Law) -> Self {
        self.scenario.work = law;
        self
    }

    /// Judged by traffic, as by default.
    pub(crate) fn judged(mut self) -> Self {
        self.pool["passive_health"] = json!({
            "error_rate_thousandths": 50, "consecutive_failures": 5, "cooldown_ms": 10_000,
            "max_ejected_thousandths": 500,
        });
        self
    }

    /// Something befalls the first server for some seconds.
    pub(crate) fn befalls(mut self, begins: u64, ends: u64, what: What) -> Self {
        let (from_ms, until_ms) = (begins * 1_000, Some(ends * 1_000));
        self.scenario.effects.push(Effect { from_ms, until_ms, servers: vec![0], what });
        self
    }

    pub(crate) fn run(&self) -> Report {
        let mut leading = description::route(&[], &[]);
        leading.retry = from_value(self.retry.clone()).expect("the retry is whole");
        leading.hedge = from_value(self.hedge.clone()).expect("the hedge is whole");
        leading.timeouts.response_ms = self.response_ms;
        let mut spec: Spec = description::spec(vec![leading]);
        spec.pools = vec![from_value(self.pool.clone()).expect("the pool is whole")];
        let simulation = Simulation { spec: &spec, pool: "app", scenario: &self.scenario, seed: self.seed };
        simulation.run(base(), &mut |_| true).expect("it is a good simulation")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can't be made from nothing; its value plays no part"
)]
pub(crate) fn base() -> Instant {
    Instant::now()
}

pub(crate) fn least_time() -> Value {
    json!({"least_time": {"average": "peak_ewma", "window_ms": 10_000}})
}

pub(crate) fn retry(statuses: &[u16], per_try_timeout_ms: Option<u64>) -> Value {
    json!({
        "connect_failure": true, "reset": true, "statuses": statuses, "attempts": 3,
        "per_try_timeout_ms": per_try_timeout_ms, "budget_thousandths": 200, "backoff_ms": 25, "methods": "safe",
        "replay_bytes": 0,
    })
}

/// Of the requests that came to a server within these seconds, its part.
pub(crate) fn share(report: &Report, server: usize, seconds: std::ops::Range<usize>) -> f64 {
    let sum = |line: &[u32]| f64::from(line[seconds.clone()].iter().sum::<u32>());
    let all: f64 = report.series.backends.iter().map(|line| sum(line)).sum();
    sum(&report.series.backends[server]) / all
}
