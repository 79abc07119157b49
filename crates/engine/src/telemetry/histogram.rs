//! Durations in buckets whose width grows with the value: one array, one index computation, no allocation.
//!
//! Each power of two of microseconds is cut into 16 equal buckets, so a value read back from the middle of its
//! bucket is within 1/32 (3.2 %) of the recorded one. (Log-linear, as in the high dynamic range histogram of G. Tene.)

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use super::counters::Counter;

const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
/// 2^36 µs, 19 hours: what takes longer counts as that long.
const TOP_BITS: u32 = 36;
const BUCKETS: usize = (TOP_BITS - SUB_BITS + 1) as usize * SUB;

/// Durations of one writer.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// 32 bits wrap after four billion durations in one bucket; halves the memory of every backend.
    buckets: [AtomicU32; BUCKETS],
    sum_micros: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU32::new(0) }; BUCKETS], sum_micros: Counter::default() }
    }
}

/// The bucket of a number of microseconds.
fn index(micros: u64) -> usize {
    if micros < SUB as u64 {
        return micros as usize;
    }
    let exponent = micros.ilog2();
    if exponent >= TOP_BITS {
        return BUCKETS - 1;
    }
    let within = (micros >> (exponent - SUB_BITS)) as usize & (SUB - 1);
    (exponent - SUB_BITS + 1) as usize * SUB + within
}

/// First microsecond of a bucket, and of the next.
fn bounds(index: usize) -> (u64, u64) {
    let (row, within) = (index / SUB, (index % SUB) as u64);
    if row == 0 {
        return (within, within + 1);
    }
    let shift = row as u32 - 1;
    ((SUB as u64 + within) << shift, (SUB as u64 + within + 1) << shift)
}

impl Histogram {
    /// Notes one duration; only the owning worker may call it.
    #[inline]
    pub(crate) fn record(&self, taken: Duration) {
        let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        let bucket = &self.buckets[index(micros)];
        bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
        self.sum_micros.add(micros);
    }

    /// Adds these durations to `sum`.
    pub(crate) fn add_to(&self, sum: &mut Distribution) {
        for (into, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *into += u64::from(bucket.load(Relaxed));
        }
        sum.sum_micros += self.sum_micros.value();
    }
}

/// Durations of all writers, to be read.
#[derive(Debug, Clone)]
pub(crate) struct Distribution {
    buckets: Box<[u64; BUCKETS]>,
    sum_micros: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), sum_micros: 0 }
    }
}

impl Distribution {
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All durations together, in seconds.
    #[expect(clippy::cast_precision_loss, reason = "exact for 285 years")]
    pub(crate) fn sum_seconds(&self) -> f64 {
        self.sum_micros as f64 / 1e6
    }

    /// The duration that the share `quantile` (0 to 1) of all durations does not exceed, within 3.2 %; `None` when there are none.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "ranks below 2^53, shares above 0"
    )]
    pub(crate) fn quantile(&self, quantile: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((count as f64 * quantile).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        let index = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= rank
        })?;
        let (from, to) = bounds(index);
        Some(Duration::from_micros(u64::midpoint(from, to - 1)))
    }

    /// How many durations were certainly below `limit`: a bucket that straddles it counts as above.
    pub(crate) fn below(&self, limit: Duration) -> u64 {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let within = |(index, _): &(usize, &u64)| bounds(*index).1 <= limit.saturating_add(1);
        self.buckets.iter().enumerate().take_while(within).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "the numbers here are below 2^53")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distribution(micros: &[u64]) -> Distribution {
        let histogram = Box::<Histogram>::default();
        for &value in micros {
            histogram.record(Duration::from_micros(value));
        }
        let mut sum = Distribution::default();
        histogram.add_to(&mut sum);
        sum
    }

    #[test]
    fn buckets_follow_each_other_without_gap() {
        let mut expected = 0;
        for bucket in 0..BUCKETS {
            let (from, to) = bounds(bucket);
            assert_eq!(from, expected, "bucket {bucket}");
            expected = to;
        }
        assert_eq!(expected, 1 << TOP_BITS);
    }

    #[test]
    fn no_duration_has_no_quantile() {
        assert_eq!(distribution(&[]).quantile(0.99), None);
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket(micros in 0..1_u64 << TOP_BITS) {
            let (from, to) = bounds(index(micros));
            prop_assert!(from <= micros && micros < to);
        }

        #[test]
        fn a_value_is_read_back_within_5_percent(micros in 0..1_u64 << TOP_BITS) {
            let read = distribution(&[micros]).quantile(0.5).unwrap().as_micros() as f64;
            prop_assert!((read - micros as f64).abs() <= 0.05 * micros as f64, "{micros} → {read}");
        }

        #[test]
        fn quantiles_never_decrease(values in prop::collection::vec(0_u64..1 << 40, 1..50), a in 0.0..1.0, b in 0.0..1.0) {
            let distribution = distribution(&values);
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            prop_assert!(distribution.quantile(low) <= distribution.quantile(high));
        }

        #[test]
        fn counts_below_never_exceed_the_true_count(values in prop::collection::vec(0_u64..1 << 30, 0..50), limit in 0_u64..1 << 30) {
            let below = distribution(&values).below(Duration::from_micros(limit));
            let truly = values.iter().filter(|&&value| value <= limit).count() as u64;
            let surely = values.iter().filter(|&&value| value + value / 16 < limit).count() as u64;
            prop_assert!(surely <= below && below <= truly);
        }

        #[test]
        fn sums_and_counts_are_exact(values in prop::collection::vec(0_u64..1 << 30, 0..50)) {
            let distribution = distribution(&values);
            prop_assert_eq!(distribution.count(), values.len() as u64);
            prop_assert!((distribution.sum_seconds() - values.iter().sum::<u64>() as f64 / 1e6).abs() < 1e-6);
        }
    }
}
