//! What a run says at its end: counts, failures by kind, latencies.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// Latencies in log-linear buckets: 64 to each doubling, so that a figure is right within 1.6 %.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

const STEPS: u32 = 6;

fn bucket(microseconds: u64) -> usize {
    let bits = 64 - microseconds.leading_zeros();
    if bits <= STEPS + 1 {
        return usize::try_from(microseconds).unwrap_or(0);
    }
    let shift = bits - STEPS - 1;
    let base = u64::from(shift) << STEPS;
    usize::try_from(base + (microseconds >> shift)).unwrap_or(0)
}

fn upper(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 << STEPS {
        return index;
    }
    let shift = (index >> STEPS) - 1;
    ((index - (shift << STEPS) + 1) << shift) - 1
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; bucket(u64::from(u32::MAX)) + 1], total: 0, max: 0 }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        self.counts[bucket(microseconds).min(last)] += 1;
        self.total += 1;
        self.max = self.max.max(microseconds);
    }

    /// The latency in milliseconds that `share` of the requests did not exceed.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "counts of a run are far below 2^52 and never negative"
    )]
    fn quantile(&self, share: f64) -> f64 {
        let rank = ((self.total as f64) * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(index).min(self.max) as f64 / 1000.0;
            }
        }
        self.max as f64 / 1000.0
    }
}

/// Latencies in milliseconds, from the moment a request was due.
#[derive(Serialize)]
pub(crate) struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// The JSON object that a run prints.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// Why, with how often.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Answers by the value of `--count-header`.
    pub(crate) labels: BTreeMap<String, u64>,
    pub(crate) body_bytes: u64,
    pub(crate) seconds: f64,
    /// Requests that were due before a connection was free for them.
    pub(crate) late: u64,
    pub(crate) latency_ms: Latency,
}

/// Gathers what happens during a run.
pub(crate) struct Tally {
    pub(crate) started: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) labels: BTreeMap<String, u64>,
    pub(crate) body_bytes: u64,
    pub(crate) late: u64,
    pub(crate) latency: Histogram,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            started: 0,
            failures: BTreeMap::new(),
            statuses: BTreeMap::new(),
            labels: BTreeMap::new(),
            body_bytes: 0,
            late: 0,
            latency: Histogram::new(),
        }
    }

    pub(crate) fn fail(&mut self, why: String) {
        *self.failures.entry(why).or_insert(0) += 1;
    }

    pub(crate) fn report(self, took: Duration) -> Report {
        Report {
            requests: self.started,
            failed: self.failures.values().sum(),
            failures: self.failures,
            statuses: self.statuses,
            labels: self.labels,
            body_bytes: self.body_bytes,
            seconds: took.as_secs_f64(),
            late: self.late,
            latency_ms: Latency {
                p50: self.latency.quantile(0.5),
                p90: self.latency.quantile(0.9),
                p99: self.latency.quantile(0.99),
                p999: self.latency.quantile(0.999),
                max: self.latency.quantile(1.0),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bucket, upper};
    use std::time::Duration;

    #[test]
    fn bucket_holds_its_value_within_two_percent() {
        for value in (0..200).chain([1_000, 4_095, 4_096, 65_537, 10_000_000]) {
            let top = upper(bucket(value));
            assert!(top >= value && top <= value + value / 50 + 1, "{value} {top}");
        }
    }

    #[test]
    fn quantiles_follow_the_ranks() {
        let mut histogram = Histogram::new();
        for millisecond in 1..=100 {
            histogram.record(Duration::from_millis(millisecond));
        }
        assert!((histogram.quantile(0.5) - 50.0).abs() < 1.0);
        assert!((histogram.quantile(0.99) - 99.0).abs() < 2.0);
        assert!((histogram.quantile(1.0) - 100.0).abs() < 0.01);
    }
}
