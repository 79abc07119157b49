//! From a check's results to up or down.

use std::time::{Duration, Instant};

/// How many results in a row it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Good ones, to be up again.
    pub healthy: u32,
    /// Bad ones, to be down.
    pub unhealthy: u32,
    /// How long it must have been up for its flapping to be forgotten.
    pub calm: Duration,
}

/// What a backend's check says, with what it takes to change that.
///
/// The first result decides at once. Afterwards a change takes as many results in a row as the thresholds say, and one
/// that goes down again and again has to be well for longer each time: twice as many good results after each further
/// fall, up to eight times as many. Only time that it is up calms it, counted from its recovery: a fall after less is a
/// further one, however long it was down before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    up: Option<bool>,
    /// The next result decides at once.
    is_fresh: bool,
    /// Results in a row that say otherwise.
    against: u32,
    /// Each soon after the rise before it.
    falls: u32,
    /// Since when it is up.
    rose: Option<Instant>,
}

/// Doublings at most: eight times. Bounded, so that coming back is always possible.
const DOUBLINGS: u32 = 3;

impl Verdict {
    /// What it says; `None` before the first result.
    #[must_use]
    pub const fn is_up(&self) -> Option<bool> {
        self.up
    }

    /// Whether results disagree with what it says, so that the next is worth having soon.
    #[must_use]
    pub const fn is_changing(&self) -> bool {
        self.against > 0
    }

    /// What is known from elsewhere holds until the first result, which decides at once.
    pub const fn assume(&mut self, up: bool) {
        self.up = Some(up);
        self.renew();
    }

    /// It is another check from now on: what the former one said holds until the first result, which decides at once.
    pub const fn renew(&mut self) {
        self.is_fresh = true;
        self.against = 0;
        self.falls = 0;
        self.rose = None;
    }

    /// Takes a result. `Some` if that changed what it says.
    pub fn take(&mut self, good: bool, now: Instant, thresholds: &Thresholds) -> Option<bool> {
        let decides = std::mem::take(&mut self.is_fresh) || self.up.is_none();
        if self.up == Some(good) {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        if !decides && self.against < self.needed(good, thresholds) {
            return None;
        }
        if good {
            self.rose = Some(now);
        } else if !decides {
            let is_calm = self.rose.is_none_or(|rose| now.saturating_duration_since(rose) >= thresholds.calm);
            self.falls = if is_calm { 1 } else { self.falls.saturating_add(1) };
        }
        self.up = Some(good);
        self.against = 0;
        Some(good)
    }

    fn needed(&self, good: bool, thresholds: &Thresholds) -> u32 {
        if good {
            let doublings = self.falls.saturating_sub(1).min(DOUBLINGS);
            thresholds.healthy.max(1).saturating_mul(1 << doublings)
        } else {
            thresholds.unhealthy.max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { healthy: 2, unhealthy: 3, calm: Duration::from_secs(100) };

    /// What it says after each result: `+` good, `-` bad, one a second.
    fn said(results: &str) -> String {
        let start = crate::health::start();
        let mut verdict = Verdict::default();
        let take = |(second, result): (u64, char)| {
            verdict.take(result == '+', start + Duration::from_secs(second), &THRESHOLDS);
            if verdict.is_up() == Some(true) { 'U' } else { 'd' }
        };
        (0..).zip(results.chars()).map(take).collect()
    }

    #[test]
    fn the_first_result_decides_and_thresholds_follow() {
        for (results, expected) in [
            ("+", "U"),
            ("-", "d"),
            ("+--+--+", "UUUUUUU"),
            ("+---", "UUUd"),
            ("-+-+-+", "dddddd"),
            ("-++", "ddU"),
        ] {
            assert_eq!(said(results), expected, "{results}");
        }
    }

    #[test]
    fn each_further_fall_takes_twice_as_long_to_rise_from() {
        let results = ["+---++", "---++++", "---++++++++"].concat();
        let expected = ["UUUddU", "UUddddU", "UUddddddddU"].concat();
        assert_eq!(said(&results), expected);
    }

    #[test]
    fn only_time_that_it_is_up_calms_it() {
        let flapping = ["+---++", "---"].concat();
        // Down for longer than it takes to be calm, and still not trusted.
        let down = "-".repeat(150);
        let results = [&flapping, &down, "++++", &"+".repeat(99), "---++", "---++++"].concat();
        let expected =
            ["UUUddU", "UUd", &"d".repeat(150), "dddU", &"U".repeat(99), "UUddU", "UUddddU"].concat();
        assert_eq!(said(&results), expected);
    }

    #[test]
    fn the_first_result_of_another_check_decides() {
        let now = crate::health::start();
        for (before, first) in [(true, false), (false, true)] {
            let mut verdict = Verdict::default();
            verdict.take(before, now, &THRESHOLDS);
            verdict.renew();
            assert_eq!(verdict.is_up(), Some(before));
            assert_eq!(verdict.take(first, now, &THRESHOLDS), Some(first));
            assert_eq!(verdict.take(before, now, &THRESHOLDS), None);
        }
    }

    #[test]
    fn what_is_assumed_holds_until_the_first_result() {
        let now = crate::health::start();
        for assumed in [true, false] {
            let mut verdict = Verdict::default();
            verdict.assume(assumed);
            assert_eq!(verdict.is_up(), Some(assumed));
            assert_eq!(verdict.take(!assumed, now, &THRESHOLDS), Some(!assumed));
        }
    }

    #[test]
    fn it_can_always_come_back() {
        for seed in 0_u64..500 {
            let mut now = crate::health::start();
            let mut verdict = Verdict::default();
            for step in 0..200_u64 {
                now += Duration::from_secs(1);
                let good = !crate::hash(&(seed << 32 | step).to_le_bytes()).is_multiple_of(3);
                verdict.take(good, now, &THRESHOLDS);
            }
            for _ in 0..THRESHOLDS.healthy << DOUBLINGS {
                verdict.take(true, now, &THRESHOLDS);
            }
            assert_eq!(verdict.is_up(), Some(true));
            assert!(!verdict.is_changing());
        }
    }
}
