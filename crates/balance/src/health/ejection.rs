//! How long a backend stays out that failed too often in a row.

use std::time::{Duration, Instant};

/// Times the cooldown that a backend stays out at most.
const LONGEST: u32 = 10;

/// A backend's ejections: each lasts twice as long as the one before, up to ten times the cooldown, and once it was in
/// for as long as it was last out, they begin again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ejection {
    began: Option<Instant>,
    until: Option<Instant>,
    /// Cooldowns the last one lasts.
    times: u32,
    lasts: Duration,
}

impl Ejection {
    /// Out from now.
    pub fn eject(&mut self, cooldown: Duration, now: Instant) {
        let was_well = self.until.is_none_or(|until| now.saturating_duration_since(until) >= self.lasts);
        self.times = if was_well { 1 } else { self.times.saturating_mul(2).clamp(1, LONGEST) };
        self.lasts = cooldown * self.times;
        self.began = Some(now);
        self.until = Some(now + self.lasts);
    }

    /// In again before its time. What it did is remembered.
    pub fn end(&mut self, now: Instant) {
        self.until = self.until.map(|until| until.min(now));
    }

    /// It doesn't last longer than `cooldown`. What it did is remembered.
    pub fn hasten(&mut self, cooldown: Duration) {
        self.until = self.until.zip(self.began).map(|(until, began)| until.min(began + cooldown));
    }

    /// Whether it is out.
    #[must_use]
    pub fn is_out(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// When it comes back, if it is out.
    #[must_use]
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_hastened_lasts_a_cooldown_and_is_remembered() {
        let cooldown = Duration::from_secs(10);
        let now = crate::health::start();
        let mut ejection = Ejection::default();
        ejection.eject(cooldown, now);
        ejection.hasten(cooldown);
        assert_eq!(ejection.until(now), Some(now + cooldown));
        let again = now + cooldown;
        ejection.eject(cooldown, again);
        (0..2).for_each(|_| ejection.hasten(cooldown));
        assert_eq!(ejection.until(again), Some(again + cooldown));
        let again = again + cooldown;
        ejection.eject(cooldown, again);
        assert_eq!(ejection.until(again), Some(again + cooldown * 4));
    }

    #[test]
    fn cooldowns_double_up_to_ten_times_and_begin_again_when_it_was_well() {
        let cooldown = Duration::from_secs(10);
        let mut now = crate::health::start();
        let mut ejection = Ejection::default();
        for times in [1, 2, 4, 8, 10, 10] {
            ejection.eject(cooldown, now);
            let until = ejection.until(now).expect("it is out");
            assert_eq!(until - now, cooldown * times);
            assert!(ejection.is_out(now) && !ejection.is_out(until));
            now = until;
        }
        now += cooldown * 10;
        ejection.eject(cooldown, now);
        assert_eq!(ejection.until(now), Some(now + cooldown));
    }
}
