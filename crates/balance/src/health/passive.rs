//! From the ends of tries to a share: a backend's error rate against that of the rest of its pool.
//!
//! The test is a one-sided comparison of two proportions over the last ten seconds: with `e₁` errors in `n₁` tries here
//! and `e₂` in `n₂` on all other backends of the pool, one error and one success are added to each (Agresti and Caffo 2000,
//! which keeps the variance honest for rates near nothing), and with `p = (e + 1) / (n + 2)`
//!
//! ```text
//! z = (p₁ − p₂ − margin) / √(p₁(1 − p₁)/(n₁ + 2) + p₂(1 − p₂)/(n₂ + 2))
//! ```
//!
//! A backend is degraded once `z ≥ 2.58`: one judgement in 200 would say so of a backend whose excess is just the
//! margin. The comparison is with the others, not with a fixed rate: errors that all of them give are no backend's fault.
//!
//! 5xx are compared over the last three seconds too, where those that have just begun stand out before ten seconds full of
//! them have passed. Timeouts are not: where all are overloaded they come in bursts, now here, now there, and whoever had
//! one would lose its share to the others, who then have the next.

use std::time::{Duration, Instant};

use super::report::Reading;
use crate::standing::Standing;

/// Tries and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// All.
    pub tries: u64,
    /// Those that failed, of whatever kind.
    pub errors: u64,
    /// Of these, 5xx.
    pub errored: u64,
    /// And those that got no answer, or 503.
    pub unserved: u64,
}

impl Sample {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            tries: self.tries + other.tries,
            errors: self.errors + other.errors,
            errored: self.errored + other.errored,
            unserved: self.unserved + other.unserved,
        }
    }

    /// What is left of a whole without `part` of it.
    #[must_use]
    pub const fn without(self, part: Self) -> Self {
        Self {
            tries: self.tries.saturating_sub(part.tries),
            errors: self.errors.saturating_sub(part.errors),
            errored: self.errored.saturating_sub(part.errored),
            unserved: self.unserved.saturating_sub(part.unserved),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of ten seconds, far below 2^52")]
    fn rate(self) -> f64 {
        if self.tries == 0 { 0.0 } else { self.errors as f64 / self.tries as f64 }
    }

    /// Agresti and Caffo's rate and its variance.
    #[expect(clippy::cast_precision_loss, reason = "counts of ten seconds, far below 2^52")]
    fn adjusted(self) -> (f64, f64) {
        let tries = self.tries as f64 + 2.0;
        let rate = (self.errors as f64 + 1.0) / tries;
        (rate, rate * (1.0 - rate).max(0.0) / tries)
    }
}

/// What tries came to, lately and just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// In the last ten seconds.
    pub lately: Sample,
    /// In the last three of them.
    pub just_now: Sample,
}

impl Heard {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { lately: self.lately.and(other.lately), just_now: self.just_now.and(other.just_now) }
    }

    /// What is left of a whole without `part` of it.
    #[must_use]
    pub const fn without(self, part: Self) -> Self {
        Self { lately: self.lately.without(part.lately), just_now: self.just_now.without(part.just_now) }
    }
}

/// Seconds that are looked back.
const SECONDS: usize = 10;
/// Of these, what is just now.
const JUST_NOW: u64 = 3;

/// What a backend's tries came to in the last ten seconds, by readings of its tally.
#[derive(Clone, Debug)]
pub struct Window {
    epoch: Instant,
    second: u64,
    buckets: [Sample; SECONDS],
    last: Reading,
}

impl Window {
    /// Nothing has happened since `reading`, which is of `now`.
    pub(crate) const fn new(reading: Reading, now: Instant) -> Self {
        Self {
            epoch: now,
            second: 0,
            buckets: [Sample { tries: 0, errors: 0, errored: 0, unserved: 0 }; SECONDS],
            last: reading,
        }
    }

    /// Takes what was counted since the last reading as having happened now.
    pub(crate) fn take(&mut self, reading: Reading, now: Instant) {
        let second = now.saturating_duration_since(self.epoch).as_secs();
        let passed = second.saturating_sub(self.second).min(SECONDS as u64);
        for back in 0..passed {
            self.buckets[Self::at(second - back)] = Sample::default();
        }
        self.second = self.second.max(second);
        let since = Sample {
            tries: reading.all.wrapping_sub(self.last.all).into(),
            errors: reading.errors.wrapping_sub(self.last.errors).into(),
            errored: reading.errored.wrapping_sub(self.last.errored).into(),
            unserved: reading.unserved.wrapping_sub(self.last.unserved).into(),
        };
        let bucket = &mut self.buckets[Self::at(self.second)];
        *bucket = bucket.and(since);
        self.last = reading;
    }

    /// All of the window, and its end.
    #[must_use]
    pub fn sum(&self) -> Heard {
        let first = self.second.saturating_sub(JUST_NOW - 1);
        Heard {
            lately: self.buckets.iter().fold(Sample::default(), |sum, bucket| sum.and(*bucket)),
            just_now: (first..=self.second)
                .fold(Sample::default(), |sum, second| sum.and(self.buckets[Self::at(second)])),
        }
    }

    /// Forgets what happened: it has been acted on.
    pub(crate) fn forget(&mut self) {
        self.buckets = [Sample::default(); SECONDS];
    }

    const fn at(second: u64) -> usize {
        (second % SECONDS as u64) as usize
    }
}

/// Fewer tries than this, here or on the others, say nothing.
pub(super) const ENOUGH: u64 = 20;

/// One-sided 0.5 % of the normal distribution.
const SIGNIFICANT: f64 = 2.58;

/// Where the curve of shares bends: excess of the error rate, share of the weight. Steep at first, so that an excess of 15 %
/// leaves less than a third even as it is measured too low by chance; then down to the floor.
const BEND: (f64, f64) = (0.12, 0.25);
/// From this excess on, the floor: enough traffic to notice that it is well again.
const FLOOR: (f64, f64) = (0.5, 0.05);

/// What a share may be multiplied by in a second of getting better: from the floor to all within 14 seconds.
const RISE: f64 = 1.25;
const RISE_EACH: Duration = Duration::from_secs(1);

/// The share that traffic leaves a backend.
///
/// It falls as soon as the test says so and as far as the excess says; it rises by a quarter a second at most, whether
/// because the others are no better any more or because nothing is known: so a backend can always come back.
#[derive(Clone, Copy, Debug)]
pub struct Degradation {
    share: f64,
    risen: Option<Instant>,
}

impl Default for Degradation {
    fn default() -> Self {
        Self { share: 1.0, risen: None }
    }
}

impl Degradation {
    /// The share, of 65,536; `None` if nothing is wrong.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the share is between 0.05 and 1"
    )]
    pub fn share(&self) -> Option<u32> {
        (self.share < 1.0).then(|| (self.share * f64::from(Standing::WHOLE)) as u32)
    }

    /// Judges what happened here and on all others of the pool. `margin` is the excess that is borne.
    pub fn judge(&mut self, own: Heard, others: Heard, margin: f64, now: Instant) {
        let target = self.target(own.lately, others.lately, margin).min(just_now(
            own.just_now,
            others.just_now,
            margin,
        ));
        if target <= self.share {
            self.share = target;
            self.risen = (target < 1.0).then_some(now);
            return;
        }
        let passed = self.risen.map_or(RISE_EACH, |risen| now.saturating_duration_since(risen));
        if passed >= RISE_EACH {
            self.share = (self.share * RISE).min(target);
            self.risen = (self.share < 1.0).then_some(now);
        }
    }

    fn target(&self, own: Sample, others: Sample, margin: f64) -> f64 {
        if own.tries < ENOUGH || others.tries < ENOUGH {
            // Of one that is degraded, few tries that are nearly all errors are still a reason not to send it more.
            let failing = self.share < 1.0 && own.tries > 0 && own.rate() - others.rate() > FLOOR.0;
            return if failing { self.share } else { 1.0 };
        }
        let excess = own.rate() - others.rate();
        let is_degraded = self.share < 1.0;
        if significance(own, others, margin) >= SIGNIFICANT || is_degraded && excess > margin {
            curve(excess, margin)
        } else {
            1.0
        }
    }
}

/// The share by 5xx that have only just begun: lower than by all that is remembered, or no matter.
fn just_now(own: Sample, others: Sample, margin: f64) -> f64 {
    let [own, others] = [own, others].map(|sample| Sample { errors: sample.errored, ..sample });
    let is_enough = own.tries >= ENOUGH && others.tries >= ENOUGH;
    if is_enough && significance(own, others, margin) >= SIGNIFICANT {
        curve(own.rate() - others.rate(), margin)
    } else {
        1.0
    }
}

/// `z`, as above.
fn significance(own: Sample, others: Sample, margin: f64) -> f64 {
    let ((own, own_variance), (others, others_variance)) = (own.adjusted(), others.adjusted());
    (own - others - margin) / (own_variance + others_variance).sqrt()
}

/// The share for an excess above `margin`.
fn curve(excess: f64, margin: f64) -> f64 {
    let line = |(x0, y0): (f64, f64), (x1, y1): (f64, f64)| y0 + (y1 - y0) * (excess - x0) / (x1 - x0);
    if excess <= margin {
        1.0
    } else if excess >= FLOOR.0 {
        FLOOR.1
    } else if excess >= BEND.0 {
        line(BEND, FLOOR)
    } else {
        line((margin, 1.0), BEND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same all the time.
    fn sample(tries: u64, errors: u64) -> Heard {
        let of = |tries, errors| Sample { tries, errors, errored: errors, unserved: 0 };
        let (lately, just_now) = (of(tries, errors), of(tries * 3 / 10, errors * 3 / 10));
        Heard { lately, just_now }
    }

    fn share(own: Heard, others: Heard) -> f64 {
        let mut degradation = Degradation::default();
        degradation.judge(own, others, 0.05, crate::health::start());
        degradation.share().map_or(1.0, |share| f64::from(share) / f64::from(Standing::WHOLE))
    }

    #[test]
    fn a_share_follows_the_excess() {
        let well = sample(9000, 0);
        for (own, least, most) in [
            (sample(1000, 0), 1.0, 1.0),
            (sample(1000, 50), 1.0, 1.0),
            (sample(1000, 150), 0.05, 0.333),
            (sample(1000, 300), 0.05, 0.2),
            (sample(1000, 500), 0.049, 0.05),
            (sample(1000, 1000), 0.049, 0.05),
            // Too few to tell.
            (sample(19, 19), 1.0, 1.0),
            (sample(20, 2), 1.0, 1.0),
        ] {
            let share = share(own, well);
            assert!((least..=most).contains(&share), "{own:?} {share}");
        }
    }

    #[test]
    fn errors_that_have_just_begun_stand_out_at_once_unless_they_are_timeouts() {
        let well = Sample { tries: 1000, ..Sample::default() };
        let others =
            Heard { lately: Sample { tries: 9000, ..well }, just_now: Sample { tries: 2700, ..well } };
        let begun = |errored| Sample { tries: 300, errors: 45, errored, unserved: 45 - errored };
        let own = |errored| Heard {
            lately: begun(errored).and(Sample { tries: 700, ..well }),
            just_now: begun(errored),
        };
        assert!(share(own(45), others) < 1.0 / 3.0);
        assert!(share(own(0), others) > 0.99);
    }

    #[test]
    fn errors_that_all_give_are_no_backends_fault() {
        assert!((share(sample(1000, 400), sample(9000, 3600)) - 1.0).abs() < 1e-9);
        assert!((share(sample(1000, 1000), sample(9000, 9000)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_healed_one_has_nine_tenths_within_twenty_seconds() {
        let mut now = crate::health::start();
        let mut degradation = Degradation::default();
        degradation.judge(sample(1000, 900), sample(9000, 0), 0.05, now);
        let mut seconds = 0;
        while degradation.share().is_some() {
            now += Duration::from_secs(1);
            degradation.judge(sample(50, 0), sample(9000, 0), 0.05, now);
            seconds += 1;
        }
        assert!((10..20).contains(&seconds), "{seconds}");
    }

    #[test]
    fn one_that_nobody_asks_any_more_comes_back() {
        let mut now = crate::health::start();
        let mut degradation = Degradation::default();
        degradation.judge(sample(100, 100), sample(900, 0), 0.05, now);
        for _ in 0..20 {
            now += Duration::from_secs(1);
            degradation.judge(Heard::default(), Heard::default(), 0.05, now);
        }
        assert_eq!(degradation.share(), None);
    }

    #[test]
    fn shares_never_leave_the_floor_and_never_grow_with_the_excess() {
        for margin in [0.0, 0.01, 0.05, 0.2, 0.6] {
            let mut last = 1.0;
            for percent in 0..=100 {
                let share = curve(f64::from(percent) / 100.0, margin);
                assert!((FLOOR.1..=last).contains(&share), "{percent} {margin} {share}");
                last = share;
            }
        }
    }

    #[test]
    fn the_window_forgets_after_ten_seconds() {
        let start = crate::health::start();
        let mut window = Window::new(Reading::default(), start);
        let reading = |all, errors| Reading { all, errors, ..Reading::default() };
        window.take(reading(10, 4), start);
        window.take(reading(15, 4), start + Duration::from_secs(5));
        assert_eq!((window.sum().lately.tries, window.sum().lately.errors), (15, 4));
        assert_eq!((window.sum().just_now.tries, window.sum().just_now.errors), (5, 0));
        window.take(reading(15, 4), start + Duration::from_secs(10));
        assert_eq!((window.sum().lately.tries, window.sum().lately.errors), (5, 0));
        window.take(reading(15, 4), start + Duration::from_secs(1000));
        assert_eq!(window.sum(), Heard::default());
    }
}
