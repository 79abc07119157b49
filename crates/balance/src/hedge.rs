//! Hedged requests: one that takes longer than most is sent to a second backend too, and the first answer counts.
//!
//! The model is "The Tail at Scale" (Dean and Barroso, 2013): waiting for the 95th percentile first keeps the extra load
//! at about 5 % and takes most of the tail away. A budget keeps it there when the whole pool becomes slow, which is when
//! every request would be late and twice the load the worst that could happen.
//!
//! The percentiles are those of the pool, over all workers and backends: counts in buckets that forget, an eighth of a
//! power of two wide, so that a percentile is found late by an eighth at the most and never early.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::budget::Budget;

/// When a second try is made beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HedgePolicy {
    /// After what time.
    pub after: HedgeAfter,
    /// How many second tries there may be, in thousandths of the requests that could have one.
    pub budget: u32,
}

/// After what time a second try is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// Once so many percent of the pool's answers would have come: 50 to 99, and beyond these as 50 or 99.
    Percentile(u8),
    /// Always after this.
    Time(Duration),
}

/// What is known of a pool's requests that may be hedged.
#[derive(Debug, Default)]
pub struct Hedging {
    epoch: OnceLock<Instant>,
    budget: Budget,
    /// Answers by the time they took, each [`ONE`], decayed.
    answers: Buckets,
    /// Seconds since `epoch` at which the percentiles were found last.
    found_at: AtomicU64,
    /// The 50th to the 99th percentile in microseconds; 0 while too little is known.
    percentiles: Percentiles,
    sent: AtomicU64,
    won: AtomicU64,
}

#[derive(Debug)]
struct Buckets([AtomicU64; BUCKETS]);

#[derive(Debug)]
struct Percentiles([AtomicU64; PERCENTILES]);

/// What became of second tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgeCounts {
    /// They were made.
    pub sent: u64,
    /// Theirs was the first answer.
    pub won: u64,
}

/// With fewer answers than these a percentile says little: of 100, five are beyond the 95th.
const ENOUGH: u64 = 100;

/// An answer's weight, so that decay has fractions to work with.
const ONE: u64 = 256;

/// What is left of an answer's weight after a second: 37 % after half a minute.
const KEPT: f64 = 31.0 / 32.0;

/// Second tries that are granted in ten seconds whatever the budget is: a pool with few requests has a tail, too.
const FLOOR: u64 = 1;

/// A power of two has this many buckets.
const STEPS: u64 = 8;

/// Up to 2^26 µs, a minute: what takes longer is counted there.
const BUCKETS: usize = 24 * STEPS as usize;

const FIRST_PERCENTILE: u8 = 50;
const PERCENTILES: usize = 50;

impl Default for Buckets {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::default()))
    }
}

impl Default for Percentiles {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::default()))
    }
}

/// Microseconds below [`STEPS`] have a bucket each, then each power of two has as many.
fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if micros < STEPS {
        return micros as usize;
    }
    let octave = u64::from(micros.ilog2() - STEPS.ilog2());
    let step = (micros >> octave) - STEPS;
    ((octave + 1) * STEPS + step).min(BUCKETS as u64 - 1) as usize
}

/// The first microsecond behind a bucket.
fn end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS { bucket + 1 } else { (bucket % STEPS + STEPS + 1) << (bucket / STEPS - 1) }
}

impl Hedging {
    /// A request was made that may be hedged.
    pub fn request(&self, now: Instant) {
        self.budget.request(now);
    }

    /// An answer took so long, or would have taken longer than so long.
    pub fn observe(&self, took: Duration) {
        self.answers.0[bucket(took)].fetch_add(ONE, Relaxed);
    }

    /// After what time a second try is made; `None` while too few answers are known to say.
    #[must_use]
    pub fn delay(&self, policy: &HedgePolicy, now: Instant) -> Option<Duration> {
        let percentile = match policy.after {
            HedgeAfter::Time(time) => return Some(time),
            HedgeAfter::Percentile(percentile) => percentile,
        };
        self.find_percentiles(now);
        let place = usize::from(percentile.saturating_sub(FIRST_PERCENTILE)).min(PERCENTILES - 1);
        let micros = self.percentiles.0[place].load(Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    /// Takes what a second try costs, if there is that much left.
    pub(crate) fn draw(&self, policy: &HedgePolicy, now: Instant) -> bool {
        self.budget.draw_above(FLOOR, policy.budget, now)
    }

    /// A second try is made.
    pub fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// The second try's was the first answer.
    pub fn won(&self) {
        self.won.fetch_add(1, Relaxed);
    }

    /// What became of second tries so far.
    #[must_use]
    pub fn counts(&self) -> HedgeCounts {
        HedgeCounts { sent: self.sent.load(Relaxed), won: self.won.load(Relaxed) }
    }

    /// Once a second, by whoever is first to ask in it.
    fn find_percentiles(&self, now: Instant) {
        // From 1, so that the first to ask finds them.
        let second = now.saturating_duration_since(*self.epoch.get_or_init(|| now)).as_secs() + 1;
        let before = self.found_at.load(Relaxed);
        let is_due =
            second > before && self.found_at.compare_exchange(before, second, Relaxed, Relaxed).is_ok();
        if is_due {
            self.decay(if before == 0 { 0 } else { second - before });
            self.percentiles.find(&self.answers);
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "counts below 2^52, and never negative"
    )]
    fn decay(&self, seconds: u64) {
        let kept = KEPT.powi(i32::try_from(seconds).unwrap_or(i32::MAX));
        for bucket in &self.answers.0 {
            let count = bucket.load(Relaxed);
            // Subtracted, so that what is counted meanwhile isn't lost.
            bucket.fetch_sub(count - (count as f64 * kept) as u64, Relaxed);
        }
    }
}

impl Percentiles {
    fn find(&self, answers: &Buckets) {
        let counts = answers.0.each_ref().map(|bucket| bucket.load(Relaxed));
        let all: u64 = counts.iter().sum();
        let mut bucket = 0;
        let mut below = counts[0];
        for (percent, percentile) in (u64::from(FIRST_PERCENTILE)..).zip(&self.0) {
            while below * 100 < all * percent && bucket + 1 < BUCKETS {
                bucket += 1;
                below += counts[bucket];
            }
            let known = all >= ENOUGH * ONE;
            percentile.store(if known { end(bucket) } else { 0 }, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_lies_in_its_bucket(micros in 0_u64..1 << 26) {
            let at = bucket(Duration::from_micros(micros));
            let begin = if at == 0 { 0 } else { end(at - 1) };
            prop_assert!(begin <= micros && micros < end(at), "{begin} {micros} {}", end(at));
            prop_assert!(end(at) - begin <= 1.max(begin / STEPS));
        }
    }

    #[test]
    fn what_takes_longest_has_a_bucket_too() {
        assert_eq!(bucket(Duration::from_secs(1 << 40)), BUCKETS - 1);
        assert_eq!(end(BUCKETS - 1), 1 << 26);
    }
}
