//! When requests come: an open loop, at a rate that steps and ramps.
//!
//! The clients don't wait for each other's answers, as those of the world don't. A rate that changes is dealt with by
//! running a clock of constant rate through it: the next request comes once the area below the rate has grown by one draw
//! (Çinlar's inversion), so ramps are exact.

use crate::random::Stream;
use crate::scenario::{ArrivalLaw, Arrivals, Point};

/// The moments of arrival, one after the other.
#[derive(Debug)]
pub(crate) struct Rate<'a> {
    law: ArrivalLaw,
    points: &'a [Point],
    /// The segment that begins at this point.
    segment: usize,
    /// In seconds.
    now: f64,
}

impl<'a> Rate<'a> {
    pub(crate) fn new(arrivals: &'a Arrivals) -> Self {
        Self { law: arrivals.law, points: &arrivals.rate, segment: 0, now: 0.0 }
    }

    /// When the next one comes, in seconds; `None` if the rate ends at nothing.
    pub(crate) fn next(&mut self, stream: &mut Stream) -> Option<f64> {
        let mut area = match self.law {
            ArrivalLaw::Constant => 1.0,
            ArrivalLaw::Poisson => stream.exponential(),
        };
        loop {
            let from = self.points.get(self.segment)?;
            let begins = seconds(from);
            let into = (self.now - begins).max(0.0);
            let Some(to) = self.points.get(self.segment + 1) else {
                if from.per_second <= 0.0 {
                    return None;
                }
                self.now += area / from.per_second;
                return Some(self.now);
            };
            let whole = seconds(to) - begins;
            let slope = if whole > 0.0 { (to.per_second - from.per_second) / whole } else { 0.0 };
            let rate = from.per_second + slope * into;
            let left = (whole - into).max(0.0);
            let here = (rate + slope * left / 2.0) * left;
            if area <= here {
                // The root of slope / 2 × x² + rate × x = area, in the form that a slope of nothing leaves exact.
                let root = (rate * rate + 2.0 * slope * area).max(0.0).sqrt();
                self.now += 2.0 * area / (rate + root);
                return Some(self.now);
            }
            area -= here;
            self.now = seconds(to).max(self.now);
            self.segment += 1;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a run are far below 2^52")]
fn seconds(point: &Point) -> f64 {
    point.at_ms as f64 / 1_000.0
}

/// What is wrong with it.
pub(crate) fn fault(arrivals: &Arrivals) -> Option<&'static str> {
    let good = |point: &Point| point.per_second.is_finite() && point.per_second >= 0.0;
    if arrivals.rate.is_empty() || !arrivals.rate.iter().all(good) {
        return Some("a rate needs points, with numbers that are finite and not negative");
    }
    let in_order = arrivals.rate.is_sorted_by_key(|point| point.at_ms);
    (!in_order || arrivals.rate[0].at_ms > 0).then_some("the points of a rate begin at 0 and are in order")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn counted(law: ArrivalLaw, points: &[(u64, f64)], until: f64) -> Vec<u32> {
        let rate = points.iter().map(|&(at_ms, per_second)| Point { at_ms, per_second }).collect();
        let arrivals = Arrivals { law, rate };
        let mut stream = Stream::new(3, Purpose::Arrivals);
        let mut rate = Rate::new(&arrivals);
        let mut counts = Vec::new();
        let mut second = 0.0;
        let mut count = 0;
        while let Some(at) = rate.next(&mut stream) {
            while at >= second + 1.0 && second < until {
                counts.push(std::mem::take(&mut count));
                second += 1.0;
            }
            if second >= until {
                break;
            }
            count += 1;
        }
        counts
    }

    #[test]
    fn a_constant_rate_is_even() {
        assert_eq!(counted(ArrivalLaw::Constant, &[(0, 50.5)], 4.0), [50, 50, 51, 50]);
    }

    #[test]
    fn a_ramp_grows_and_a_step_jumps() {
        let points = [(0, 0.0), (10_000, 1_000.0), (12_000, 1_000.0), (12_000, 10.0)];
        let counts = counted(ArrivalLaw::Constant, &points, 14.0);
        // The area below the ramp: 100 × (second + 1/2).
        for (second, count) in (0..).zip(&counts).take(10) {
            let expected = 100 * second + 50;
            assert!(count.abs_diff(expected) <= 1, "second {second}: {count}");
        }
        assert!(counts[10].abs_diff(1_000) <= 1 && counts[12].abs_diff(10) <= 1, "{counts:?}");
    }

    #[test]
    fn poisson_arrivals_have_the_variance_of_their_mean() {
        let counts = counted(ArrivalLaw::Poisson, &[(0, 100.0)], 2_000.0);
        let mean = f64::from(counts.iter().sum::<u32>()) / 2_000.0;
        let variance = counts.iter().map(|&count| (f64::from(count) - mean).powi(2)).sum::<f64>() / 2_000.0;
        assert!((mean - 100.0).abs() < 1.5 && (variance - 100.0).abs() < 12.0, "{mean} {variance}");
    }

    #[test]
    fn a_rate_that_ends_at_nothing_ends() {
        let counts = counted(ArrivalLaw::Constant, &[(0, 10.0), (2_000, 10.0), (2_000, 0.0)], 9.0);
        assert!(counts.len() <= 2);
    }
}
