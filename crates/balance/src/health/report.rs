//! How a try with a backend ended, counted without a lock by every worker that made one.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::count::Count;

/// How a try ended, as far as the backend is to blame for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// An answer that is no 5xx.
    Answered,
    /// The head of such an answer, of which more is to come. It counts as one now: a stream may go on for days.
    Begun,
    /// What had [begun](Self::Begun) is whole. No try of its own.
    Whole,
    /// What had [begun](Self::Begun) broke off: the try that was counted is an error after all.
    BrokenOff,
    /// A 5xx: the backend answers, but not well.
    Errored,
    /// 503, the 5xx that speaks of the backend's load.
    Unavailable,
    /// 429, or 503 with Retry-After: it says itself that it has too much. Weighs as an error, is never part of a streak.
    Overloaded,
    /// Nobody accepted the connection.
    Refused,
    /// The connection broke before the answer was there.
    Reset,
    /// No connection or no answer in time.
    TimedOut,
}

impl Report {
    /// Whether it counts against the backend.
    #[must_use]
    pub const fn is_error(self) -> bool {
        !matches!(self, Self::Answered | Self::Begun | Self::Whole)
    }
}

/// The ends of a backend's tries. Counts wrap: only differences between two readings mean anything.
///
/// Relaxed throughout: the counts guard no other memory, and a reading that is one report late is judged a second later.
#[derive(Debug, Default)]
pub struct Tally {
    all: AtomicU32,
    errors: AtomicU32,
    /// Of these, 5xx, and those that got no answer or 503.
    errored: AtomicU32,
    unserved: AtomicU32,
    /// Failures since the last answer: refused, reset and timed out, the first and the last also apart; 5xx only apart, since
    /// they are part of the streak only while most answers are 5xx.
    streak: AtomicU32,
    errored_streak: AtomicU32,
    refused_streak: AtomicU32,
    timed_out_streak: AtomicU32,
    /// Answers that broke off since the last one that was whole.
    broken_off_streak: AtomicU32,
    /// Answers that have begun and go on.
    answering: Count,
    /// It has just come back: the first end of a try decides.
    on_trial: AtomicBool,
}

/// What a [`Tally`] held at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(super) all: u32,
    pub(super) errors: u32,
    pub(super) errored: u32,
    pub(super) unserved: u32,
    pub(super) streak: u32,
    pub(super) errored_streak: u32,
    pub(super) refused_streak: u32,
    pub(super) timed_out_streak: u32,
    pub(super) broken_off_streak: u32,
    pub(super) answering: u32,
    pub(super) on_trial: bool,
}

impl Tally {
    /// Counts a try. `true` if the failures in a row, of whatever kind, have just become `limit`, or one while it is on
    /// trial, or twice as many as when that was said last: a good moment to judge the backend at once instead of within the
    /// second.
    pub fn report(&self, report: Report, limit: u32) -> bool {
        if !matches!(report, Report::Whole | Report::BrokenOff) {
            self.all.fetch_add(1, Relaxed);
        }
        if report.is_error() {
            self.errors.fetch_add(1, Relaxed);
        }
        if matches!(report, Report::Unavailable | Report::Refused | Report::Reset | Report::TimedOut) {
            self.unserved.fetch_add(1, Relaxed);
        }
        match report {
            Report::Answered | Report::Begun => {
                self.streaks().into_iter().for_each(end);
                if report == Report::Answered {
                    end(&self.broken_off_streak);
                }
                if self.on_trial.load(Relaxed) {
                    self.on_trial.store(false, Relaxed);
                }
                return false;
            }
            Report::Whole => {
                end(&self.broken_off_streak);
                return false;
            }
            // Of a backend that is on trial a good head was enough.
            Report::BrokenOff => return is_told(self.broken_off_streak.fetch_add(1, Relaxed) + 1, limit),
            Report::Overloaded => return false,
            Report::Errored | Report::Unavailable => {
                self.errored.fetch_add(1, Relaxed);
                self.errored_streak.fetch_add(1, Relaxed);
            }
            Report::Refused => {
                self.streak.fetch_add(1, Relaxed);
                self.refused_streak.fetch_add(1, Relaxed);
            }
            Report::Reset => {
                self.streak.fetch_add(1, Relaxed);
            }
            Report::TimedOut => {
                self.streak.fetch_add(1, Relaxed);
                self.timed_out_streak.fetch_add(1, Relaxed);
            }
        }
        let limit = if self.on_trial.load(Relaxed) { 1 } else { limit };
        let (streak, errored) = (self.streak.load(Relaxed), self.errored_streak.load(Relaxed));
        // Also where a row of 5xx went before: that it answers no more is news.
        is_told(streak.saturating_add(errored), limit)
            || is_told(streak, limit) && !matches!(report, Report::Errored | Report::Unavailable)
    }

    /// An answer goes on from now.
    pub(crate) fn begin_answer(&self) {
        self.answering.add();
    }

    /// One that went on doesn't any more.
    pub(crate) fn end_answer(&self) {
        self.answering.remove();
    }

    /// Forgets the failures in a row: they have been acted on. With `on_trial`, until the next answer one failure is enough.
    pub fn settle(&self, on_trial: bool) {
        self.on_trial.store(on_trial, Relaxed);
        self.streaks().into_iter().chain([&self.broken_off_streak]).for_each(end);
    }

    /// What a good head ends.
    const fn streaks(&self) -> [&AtomicU32; 4] {
        [&self.streak, &self.errored_streak, &self.refused_streak, &self.timed_out_streak]
    }

    /// Answers that go on.
    pub(crate) fn answering(&self) -> u32 {
        self.answering.get()
    }

    pub(crate) fn read(&self) -> Reading {
        Reading {
            all: self.all.load(Relaxed),
            errors: self.errors.load(Relaxed),
            errored: self.errored.load(Relaxed),
            unserved: self.unserved.load(Relaxed),
            streak: self.streak.load(Relaxed),
            errored_streak: self.errored_streak.load(Relaxed),
            refused_streak: self.refused_streak.load(Relaxed),
            timed_out_streak: self.timed_out_streak.load(Relaxed),
            broken_off_streak: self.broken_off_streak.load(Relaxed),
            answering: self.answering(),
            on_trial: self.on_trial.load(Relaxed),
        }
    }
}

/// Whether a row is the limit's, once, twice, four times, and so on.
const fn is_told(row: u32, limit: u32) -> bool {
    let limit = if limit == 0 { 1 } else { limit };
    row.is_multiple_of(limit) && (row / limit).is_power_of_two()
}

/// Reading first keeps the line shared between workers in the usual case: no streak.
fn end(streak: &AtomicU32) {
    if streak.load(Relaxed) != 0 {
        streak.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_is_told_whenever_it_has_doubled_and_ended_by_an_answer() {
        let tally = Tally::default();
        let told: Vec<bool> = (0..5).map(|_| tally.report(Report::Refused, 3)).collect();
        assert_eq!(told, [false, false, true, false, false]);
        assert_eq!(tally.read().refused_streak, 5);
        assert!(!tally.report(Report::Answered, 3));
        assert_eq!((tally.read().streak, tally.read().refused_streak), (0, 0));
        assert_eq!((tally.read().all, tally.read().errors), (6, 5));
        let told = |report, times| (1..=times).filter(|_| tally.report(report, 3)).collect::<Vec<_>>();
        assert_eq!(told(Report::Errored, 30), [3, 6, 12, 24]);
        // And where a row of 5xx went before.
        assert_eq!(told(Report::Refused, 10), [3, 6]);
    }

    #[test]
    fn one_that_is_on_trial_is_told_of_at_its_first_failure_until_it_answers() {
        let tally = Tally::default();
        tally.settle(true);
        assert!(tally.report(Report::Reset, 3) && tally.read().on_trial);
        tally.settle(true);
        assert!(!tally.report(Report::Answered, 3));
        assert!(!tally.read().on_trial && !tally.report(Report::Reset, 3));
    }

    #[test]
    fn heads_end_every_row_but_that_of_answers_that_break_off() {
        let tally = Tally::default();
        (0..2).for_each(|_| _ = tally.report(Report::TimedOut, 5));
        (0..2).for_each(|_| _ = tally.report(Report::Errored, 5));
        let told = (0..5).map(|_| tally.report(Report::Begun, 5) || tally.report(Report::BrokenOff, 5));
        assert_eq!(told.collect::<Vec<_>>(), [false, false, false, false, true]);
        let read = tally.read();
        assert_eq!((read.streak, read.errored_streak, read.broken_off_streak), (0, 0, 5));
        // Each was one try.
        assert_eq!((read.all, read.errors), (9, 9));
        tally.report(Report::Begun, 5);
        assert_eq!(tally.read().broken_off_streak, 5);
        tally.report(Report::Whole, 5);
        assert_eq!((tally.read().broken_off_streak, tally.read().all), (0, 10));
    }

    #[test]
    fn saying_it_has_too_much_weighs_without_being_a_failure_in_a_row() {
        let tally = Tally::default();
        assert!(!(0..10).any(|_| tally.report(Report::Overloaded, 1)));
        assert_eq!((tally.read().errors, tally.read().streak, tally.read().errored_streak), (10, 0, 0));
    }
}
