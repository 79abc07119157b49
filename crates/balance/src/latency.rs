//! How long a backend takes to answer: one moving average, in one atomic, for all workers.
//!
//! Peak-EWMA as in Finagle and linkerd: a sample above the average replaces it at once, one below moves it by as much
//! of the window as has passed since the sample before. While no sample comes the estimate falls towards nothing, so a
//! backend that was slow is asked again some day. The weight of a sample is time, not number: a thousand samples in
//! a millisecond move the average no more than one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How answers' times are averaged, and so how least time weighs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeastTime {
    /// What a slower answer does.
    pub average: Average,
    /// After this long without it, a past answer has lost 63 % of its weight.
    pub window: Duration,
}

impl Default for LeastTime {
    fn default() -> Self {
        Self { average: Average::PeakEwma, window: Duration::from_secs(10) }
    }
}

/// What a slower answer does to the average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Average {
    /// It becomes the average at once, since what is slow now costs now.
    PeakEwma,
    /// It moves the average as a faster one does.
    Ewma,
}

/// Time of the last sample (40 bits of [`TICK`]s: 3 years) and the average (24 bits, those of an `f32` in seconds without
/// its sign and its last 7: 5 digits). All zero: nothing is known.
#[derive(Debug, Default)]
pub(crate) struct Latency(AtomicU64);

/// The unit of time between samples.
const TICK: Duration = Duration::from_micros(100);

const VALUE_BITS: u32 = 24;
const LOST_BITS: u32 = 7;

/// Halvings within which a weight counts as whole: 1.5 ms of a window of 10 s, a part in 7,000. A busy backend has answered a
/// moment ago, and what has no effect on a choice isn't worth a nanosecond a backend.
const NEGLIGIBLE: f32 = 1.0 / 4_600.0;

/// Ticks in a span, which fit in what a [`Latency`] has for them.
pub(crate) fn ticks(span: Duration) -> u64 {
    const MOST: u64 = (1 << (64 - VALUE_BITS)) - 1;
    const PER_SECOND: u64 = 10_000;
    span.as_secs().min(MOST / PER_SECOND - 1) * PER_SECOND
        + u64::from(span.subsec_nanos() / TICK.subsec_nanos())
}

/// How weights decay: [`LeastTime`] as a pick computes with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decay {
    /// Halvings in a tick.
    rate: f32,
    /// Ticks after which a weight is still whole.
    whole_for: u64,
    peak: bool,
}

impl From<LeastTime> for Decay {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a window needs no 24 bits and has no sign"
    )]
    fn from(how: LeastTime) -> Self {
        let rate = std::f32::consts::LOG2_E / ticks(how.window).max(1) as f32;
        Self { rate, whole_for: (NEGLIGIBLE / rate) as u64, peak: how.average == Average::PeakEwma }
    }
}

/// A point in time as averages see it: the decay up to here is some multiplications for each backend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    ticks: u64,
    decay: Decay,
    /// The first [`Latency`] whose weight is whole.
    whole_from: u64,
}

impl Moment {
    pub(crate) fn new(ticks_now: u64, decay: Decay) -> Self {
        // Above nothing, which means that nothing is known.
        let whole_from = (ticks_now.saturating_sub(decay.whole_for) << VALUE_BITS).max(1);
        Self { ticks: ticks_now, decay, whole_from }
    }

    /// What is left of a weight after the time since `then`.
    #[expect(clippy::cast_precision_loss, reason = "after 2^24 ticks nothing is left of any weight")]
    #[inline]
    fn left_since(self, then: u64) -> f32 {
        // 40 bits: signed, they convert in one instruction.
        let elapsed = self.ticks.saturating_sub(then).cast_signed();
        power_of_half(elapsed as f32 * self.decay.rate)
    }
}

impl Latency {
    /// Takes a sample. A worker that lost a race to another's sample judges its own again.
    pub(crate) fn observe(&self, sample: Duration, moment: Moment) {
        let sample = sample.as_secs_f32().max(f32::MIN_POSITIVE);
        let _ = self.0.fetch_update(Relaxed, Relaxed, |packed| {
            let Some((average, then)) = unpack(packed) else { return Some(pack(sample, moment.ticks)) };
            if moment.decay.peak && sample > average {
                return Some(pack(sample, moment.ticks.max(then)));
            }
            // Hardly any time has passed that could move the average. What has goes to a sample that comes later, whose weight
            // isn't lost in rounding: no write, no bouncing line.
            (packed < moment.whole_from).then(|| {
                let left = moment.left_since(then);
                pack(average * left + sample * (1.0 - left), moment.ticks)
            })
        });
    }

    /// The average in seconds as of now, or `None` if nothing is known.
    #[inline]
    pub(crate) fn estimate(&self, moment: Moment) -> Option<f32> {
        let packed = self.0.load(Relaxed);
        if packed >= moment.whole_from {
            return Some(value(packed));
        }
        let (average, then) = unpack(packed)?;
        Some(average * moment.left_since(then))
    }

    /// Another address: what was learnt is void.
    pub(crate) fn forget(&self) {
        self.0.store(0, Relaxed);
    }
}

/// An average is never rounded to nothing, which would mean that nothing is known. To the nearest: cut off, each of many
/// samples would take a little away.
fn pack(average: f32, ticks: u64) -> u64 {
    let value = (average.max(f32::MIN_POSITIVE).to_bits() + (1 << (LOST_BITS - 1))) >> LOST_BITS;
    ticks << VALUE_BITS | u64::from(value)
}

#[inline]
fn unpack(packed: u64) -> Option<(f32, u64)> {
    (packed != 0).then(|| (value(packed), packed >> VALUE_BITS))
}

#[inline]
fn value(packed: u64) -> f32 {
    f32::from_bits((packed as u32 & ((1 << VALUE_BITS) - 1)) << LOST_BITS)
}

/// 2⁻ˣ for x ≥ 0, right to a part in 7,000: additions and multiplications only, so that a pick can afford it for each
/// backend and every machine gets the same.
#[inline]
fn power_of_half(x: f32) -> f32 {
    // From here on an f32 has no room for fractions: adding it rounds, and leaves the whole number in the low bits.
    const ROUNDING: f32 = 8_388_608.0;
    let rounded = x.min(126.0) + ROUNDING;
    let whole = rounded.to_bits() & 0x7f;
    let rest = (rounded - ROUNDING) - x.min(126.0);
    // Of all cubics through 1 at 0 the one that is least far from 2^rest anywhere between -1/2 and 1/2.
    let fraction = 1.0 + rest * (0.693_106 + rest * (0.242_235 + rest * 0.055_953));
    f32::from_bits((127 - whole) << 23) * fraction
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64, average: Average) -> Moment {
        let how = LeastTime { average, window: Duration::from_secs(10) };
        Moment::new(ticks(Duration::from_secs_f64(seconds)), how.into())
    }

    proptest! {
        #[test]
        fn decay_is_two_to_the_minus_x(x in 0.0_f32..120.0) {
            let expected = (-x).exp2();
            prop_assert!((power_of_half(x) - expected).abs() <= 2e-4 * expected, "{x}");
        }

        #[test]
        fn estimates_are_those_of_the_formula(
            samples in prop::collection::vec((0.0_f64..5.0, 1e-6_f64..10.0), 1..50),
            peak in any::<bool>(),
        ) {
            let average = if peak { Average::PeakEwma } else { Average::Ewma };
            let latency = Latency::default();
            let mut now = 0.0;
            let mut model: Option<(f64, f64)> = None;
            for (gap, sample) in samples {
                // Whole ticks, as the packed time has them.
                now += (gap * 10_000.0).floor() / 10_000.0;
                latency.observe(Duration::from_secs_f64(sample), at(now, average));
                model = Some(match model {
                    Some((average, then)) if !(peak && sample > average) => {
                        let left = (-(now - then) / 10.0).exp();
                        (average * left + sample * (1.0 - left), now)
                    }
                    _ => (sample, now),
                });
                let expected = model.expect("a sample was taken").0 * (-0.3_f64).exp();
                let estimate = f64::from(latency.estimate(at(now + 3.0, average)).expect("a sample was taken"));
                prop_assert!((estimate / expected - 1.0).abs() < 0.01, "{estimate} is not {expected}");
            }
        }
    }

    #[test]
    fn averages_of_busy_backends_move_by_time_too() {
        // From ten in a tick to one in a hundred.
        for samples in [2_000_000_u32, 200_000, 70_000, 20_000, 2_000] {
            let gap = 20.0 / f64::from(samples);
            let (falling, even) = (Latency::default(), Latency::default());
            falling.observe(Duration::from_secs(1), at(0.0, Average::PeakEwma));
            even.observe(Duration::from_millis(100), at(0.0, Average::Ewma));
            for sample in 1..=samples {
                let now = f64::from(sample) * gap;
                falling.observe(Duration::from_millis(10), at(now, Average::PeakEwma));
                let swing = if crate::hash(&sample.to_le_bytes()).is_multiple_of(2) { 20 } else { 180 };
                even.observe(Duration::from_millis(swing), at(now, Average::Ewma));
            }
            let falling = falling.estimate(at(20.0, Average::PeakEwma)).expect("samples were taken");
            let expected = 0.01 + 0.99 * (-2.0_f32).exp();
            assert!((falling / expected - 1.0).abs() < 0.02, "{gap}: {falling} is not {expected}");
            let even = even.estimate(at(20.0, Average::Ewma)).expect("samples were taken");
            assert!((even / 0.1 - 1.0).abs() < 0.05, "{gap}: {even} is not 0.1");
        }
    }

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let latency = Latency::default();
        assert_eq!(latency.estimate(at(0.0, Average::PeakEwma)), None);
        latency.observe(Duration::from_millis(10), at(1.0, Average::PeakEwma));
        latency.observe(Duration::from_secs(1), at(1.0, Average::PeakEwma));
        latency.observe(Duration::from_millis(10), at(1.0, Average::PeakEwma));
        let estimate =
            |seconds| latency.estimate(at(seconds, Average::PeakEwma)).expect("samples were taken");
        assert!((estimate(1.0) - 1.0).abs() < 1e-4);
        assert!((estimate(11.0) - 0.3679).abs() < 1e-3);
        assert!(estimate(1e6) < 1e-30 && estimate(1e6) > 0.0);
    }
}
