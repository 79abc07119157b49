//! When each check is due.
//!
//! The first one at once, the next ones on a grid of the check's own: multiples of its interval, shifted by a hash of what
//! it checks; while a state is changing, multiples of its fast interval, shifted likewise. So thousands of checks that began
//! together, or failed together, spread over their interval and stay spread, and a slow answer shifts nothing. A reload leaves a check alone whose definition it leaves alone: however often it comes, no timer
//! starts over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often a check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one to the next.
    pub interval: Duration,
    /// While a state is changing.
    pub fast_interval: Duration,
    /// Where on the grid: a [hash](crate::hash) of the backend's name.
    pub phase: u64,
}

/// No check is made more often, whatever its interval.
const SHORTEST: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct Entry {
    /// What defines the check: another one is another check.
    digest: u64,
    pace: Pace,
    /// `None` while it is being made.
    due: Option<Instant>,
}

/// The checks by key, and what is due next.
#[derive(Debug)]
pub struct Schedule<K> {
    epoch: Instant,
    entries: BTreeMap<K, Entry>,
    queue: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone> Schedule<K> {
    /// Nothing is due. Grids are counted from `epoch`.
    #[must_use]
    pub const fn new(epoch: Instant) -> Self {
        Self { epoch, entries: BTreeMap::new(), queue: BTreeSet::new() }
    }

    /// Has `key` checked as `digest` says: at once if that is new, else it goes on as it was. With another pace it goes on
    /// by that, but never later than it would have.
    pub fn set(&mut self, key: K, digest: u64, pace: Pace, now: Instant) {
        let until_next = pace.until_next(pace.interval, now.saturating_duration_since(self.epoch));
        match self.entries.get_mut(&key) {
            Some(entry) if entry.digest == digest => {
                let is_other = std::mem::replace(&mut entry.pace, pace) != pace;
                if let Some(due) = entry.due.filter(|due| is_other && *due > now + until_next) {
                    entry.due = Some(now + until_next);
                    self.queue.remove(&(due, key.clone()));
                    self.queue.insert((now + until_next, key));
                }
            }
            _ => {
                self.remove(&key);
                self.queue.insert((now, key.clone()));
                self.entries.insert(key, Entry { digest, pace, due: Some(now) });
            }
        }
    }

    /// Checks `key` no longer. `false` if it wasn't checked.
    pub fn remove(&mut self, key: &K) -> bool {
        let Some(entry) = self.entries.remove(key) else { return false };
        if let Some(due) = entry.due {
            self.queue.remove(&(due, key.clone()));
        }
        true
    }

    /// Checks only those that `keep` says to keep.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| keep(key));
        self.queue.retain(|(_, key)| keep(key));
    }

    /// When the next one is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// One that is due now, with the digest it is to be made by. It isn't due again before it is [done](Self::done).
    pub fn take(&mut self, now: Instant) -> Option<(K, u64)> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        let entry = self.entries.get_mut(&key)?;
        entry.due = None;
        Some((key, entry.digest))
    }

    /// The check of `key` that was taken by `digest` is made. `false` if its result is void, since the check has gone or
    /// changed meanwhile. With `changing`, the next comes within the fast interval.
    pub fn done(&mut self, key: &K, digest: u64, changing: bool, now: Instant) -> bool {
        let epoch = self.epoch;
        let Some(entry) = self.entries.get_mut(key).filter(|e| e.digest == digest && e.due.is_none()) else {
            return false;
        };
        let Pace { interval, fast_interval, .. } = entry.pace;
        let step = if changing { fast_interval.min(interval) } else { interval };
        let due = now + entry.pace.until_next(step, now.saturating_duration_since(epoch));
        entry.due = Some(due);
        self.queue.insert((due, key.clone()));
        true
    }
}

impl Pace {
    /// How long after `elapsed` the next point of the grid of `interval` comes; never nothing, at most the interval.
    fn until_next(&self, interval: Duration, elapsed: Duration) -> Duration {
        let step = interval.max(SHORTEST).as_nanos();
        let phase = u128::from(self.phase) % step;
        let into = (elapsed.as_nanos() + step - phase) % step;
        // Not above the interval, which came from a duration.
        Duration::from_nanos(u64::try_from(step - into).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(key: u32) -> Pace {
        Pace { interval: 10 * SECOND, fast_interval: SECOND, phase: hash(&key.to_le_bytes()) }
    }

    #[test]
    fn ten_thousand_checks_are_spread_over_their_interval() {
        let epoch = crate::health::start();
        let mut schedule = Schedule::new(epoch);
        for key in 0..10_000 {
            schedule.set(key, 1, pace(key), epoch);
        }
        while let Some((key, digest)) = schedule.take(epoch) {
            assert!(schedule.done(&key, digest, false, epoch));
        }
        let mut now = epoch;
        for _ in 0..200 {
            now += SECOND / 10;
            let mut made = 0;
            while let Some((key, digest)) = schedule.take(now) {
                assert!(schedule.done(&key, digest, false, now));
                made += 1;
            }
            // 100 on average; five standard deviations.
            assert!((50..150).contains(&made), "{made}");
        }
    }

    #[test]
    fn checks_that_fail_together_are_spread_over_the_fast_interval() {
        let epoch = crate::health::start();
        let mut schedule = Schedule::new(epoch);
        for key in 0..10_000 {
            schedule.set(key, 1, pace(key), epoch);
        }
        let mut now = epoch;
        let make = |schedule: &mut Schedule<u32>, now| {
            let mut made = 0;
            while let Some((key, digest)) = schedule.take(now) {
                assert!(schedule.done(&key, digest, true, now));
                made += 1;
            }
            made
        };
        assert_eq!(make(&mut schedule, now), 10_000);
        for _ in 0..30 {
            now += SECOND / 10;
            // 1,000 on average; five standard deviations.
            assert!((850..1_150).contains(&make(&mut schedule, now)));
        }
    }

    #[test]
    fn reloads_that_leave_a_check_alone_leave_its_timer_alone() {
        let epoch = crate::health::start();
        let mut schedule = Schedule::new(epoch);
        let mut made = 0;
        for reload in 0..100 {
            let now = epoch + reload * SECOND / 5;
            schedule.set(7, 1, pace(7), now);
            while let Some((key, digest)) = schedule.take(now) {
                assert!(schedule.done(&key, digest, false, now));
                made += 1;
            }
        }
        assert!((2..=4).contains(&made), "{made}");
    }

    #[test]
    fn a_shorter_interval_counts_from_now_on() {
        let epoch = crate::health::start();
        let mut schedule = Schedule::new(epoch);
        schedule.set(7, 1, Pace { interval: 3600 * SECOND, ..pace(7) }, epoch);
        let (key, digest) = schedule.take(epoch).expect("it is due");
        assert!(schedule.done(&key, digest, false, epoch));
        let now = epoch + SECOND;
        schedule.set(7, 1, pace(7), now);
        let next = schedule.next().expect("one is queued");
        assert!(now < next && next <= now + 10 * SECOND);
        schedule.set(7, 1, Pace { interval: 3600 * SECOND, ..pace(7) }, now);
        assert_eq!(schedule.next(), Some(next));
    }

    #[test]
    fn a_changed_check_is_made_at_once_and_the_old_result_is_void() {
        let now = crate::health::start();
        let mut schedule = Schedule::new(now);
        schedule.set(7, 1, pace(7), now);
        assert_eq!(schedule.take(now), Some((7, 1)));
        assert_eq!(schedule.next(), None);
        schedule.set(7, 2, pace(7), now);
        assert!(!schedule.done(&7, 1, false, now));
        assert_eq!(schedule.take(now), Some((7, 2)));
        assert!(schedule.done(&7, 2, true, now));
        let next = schedule.next().expect("one is queued");
        assert!(now < next && next <= now + SECOND);
        assert!(schedule.remove(&7) && !schedule.remove(&7));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn the_grid_is_never_left_and_never_due_twice_at_once() {
        let epoch = crate::health::start();
        for key in 0..200 {
            let pace = pace(key);
            let mut elapsed = Duration::from_millis(u64::from(key) * 377);
            let until_next = |elapsed| pace.until_next(pace.interval, elapsed);
            elapsed += until_next(elapsed);
            assert_eq!(until_next(elapsed), pace.interval, "{epoch:?}");
            assert!(until_next(elapsed + SECOND * 3) == SECOND * 7);
        }
    }
}
