//! Latencies in log-linear buckets: 128 to each doubling, so that a figure is right within 0.8 %.

use crate::clock::{Nanos, seconds};

/// How often each latency came.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Vec<u32>,
    total: u64,
    sum: f64,
    most: Nanos,
}

const STEPS: u32 = 7;
/// Buckets up to 2³⁶ µs: 19 hours. What takes longer counts as that.
const BUCKETS: usize = (36 - STEPS as usize + 1) << STEPS;

fn bucket(microseconds: u64) -> usize {
    let bits = u64::BITS - microseconds.leading_zeros();
    let shift = bits.saturating_sub(STEPS + 1);
    (((u64::from(shift) << STEPS) + (microseconds >> shift)) as usize).min(BUCKETS - 1)
}

/// The middle of a bucket.
#[expect(clippy::cast_precision_loss, reason = "below 2^37")]
fn middle(bucket: usize) -> f64 {
    let bucket = bucket as u64;
    if bucket < 2 << STEPS {
        return bucket as f64;
    }
    let shift = (bucket >> STEPS) - 1;
    let least = (bucket - (shift << STEPS)) << shift;
    least as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, sum: 0.0, most: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, latency: Nanos) {
        self.counts[bucket(latency / 1_000)] += 1;
        self.total += 1;
        self.sum += seconds(latency);
        self.most = self.most.max(latency);
    }

    /// Milliseconds that `share` of them didn't exceed; `None` without any.
    #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "counts are far below 2^52")]
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let rank = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let at = self.counts.iter().position(|&count| {
            seen += u64::from(count);
            seen >= rank
        });
        at.map(|at| (middle(at) / 1_000.0).min(self.most()))
    }

    /// In milliseconds.
    pub(crate) fn most(&self) -> f64 {
        seconds(self.most) * 1_000.0
    }

    /// In milliseconds; nothing without any.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn mean(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.sum * 1_000.0 / self.total as f64 }
    }

    /// Begins anew, keeping its memory.
    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        *self = Self { counts: std::mem::take(&mut self.counts), total: 0, sum: 0.0, most: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_its_tolerance() {
        for value in (0..500_u64).chain((0..60_000).map(|step| step * step * 17)) {
            let found = middle(bucket(value));
            let value = crate::record::float(value);
            assert!((found - value).abs() <= value / 127.0, "{value} is counted as {found}");
        }
    }

    #[test]
    fn quantiles_follow_the_ranks() {
        let mut histogram = Histogram::default();
        for millisecond in 1..=1_000_u64 {
            histogram.add(millisecond * 1_000_000);
        }
        for (share, expected) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let found = histogram.quantile(share).expect("there are some");
            assert!((found / expected - 1.0).abs() < 0.008, "{found} is not {expected}");
        }
        assert!((histogram.mean() - 500.5).abs() < 1e-9);
        histogram.clear();
        assert_eq!((histogram.quantile(0.5), histogram.mean()), (None, 0.0));
    }
}
