//! What failures in a row do. Their kind decides, and for two of them what else goes on:
//!
//! | in a row | ejects | counts towards `max_ejected` |
//! |---|---|---|
//! | refused | unless the others give no answer at all | no |
//! | reset | unless the others give no answer at all | yes |
//! | broken off | always | yes |
//! | timed out | unless the others fail so as well | yes |
//! | 5xx | while most of its own answers are 5xx, unless the others' are as well | yes |
//! | 429, 503 with Retry-After | never | |
//!
//! A backend that hangs lets time pass, and so do all of them when all have too much to do. Then those that were ejected
//! would leave even more to the others: so such an ejection also ends as soon as half of the others' tries fail so.
//! The others are what isn't ejected of the pool, and their tries those of the last three seconds, twenty at least: a few say
//! nothing of a pool. To fail so is what those with too much to do do: refuse, reset, let time pass, answer 503. Other errors
//! are no excuse, since they can be had for the asking; but 5xx are one for 5xx.
//!
//! Failures may be quicker than answers: of many tries that begin at once, as they do when a backend comes back, the few that
//! fail are then the first to end. So a row of 5xx or resets says nothing while more than twice as many tries are still to be
//! answered, nor does one of answers that broke off while more than twice as many go on. Refused connections and timeouts
//! need no such care: the ones come from nobody, the others are never the first.
//!
//! Where the others don't answer at all, whatever they are asked, there is nobody to leave the requests to, and whoever is
//! well again first must not be found last: then nobody is ejected for what he refuses or resets, and whoever is out is back.
//!
//! An answer that has begun ends every row but that of answers that broke off, which one that is whole ends.

use super::passive::{ENOUGH, Heard, Sample};
use super::report::Reading;

/// What ejects a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nobody accepts its connections.
    Refused,
    /// It resets them.
    Reset,
    /// It doesn't answer in time.
    TimedOut,
    /// It errs.
    Errored,
}

impl Cause {
    /// How many of these tries failed so.
    const fn of(self, sample: Sample) -> u64 {
        match self {
            Self::Errored => sample.errored,
            Self::Refused | Self::Reset | Self::TimedOut => sample.unserved,
        }
    }

    /// Whether as much of what the `others` did just now failed so that it is no reason: half, or all where it is the
    /// backend's own doing.
    pub(super) const fn is_common(self, others: Sample) -> bool {
        let part = match self {
            Self::TimedOut | Self::Errored => (1, 2),
            Self::Refused | Self::Reset => (1, 1),
        };
        self.reaches(part, others)
    }

    /// Whether that, or so much of it that a backend which did this is little worse, so that it is no reason. One that did
    /// nothing just now is there by its row alone, in which all have failed.
    pub(super) const fn is_shared(self, own: Sample, others: Sample) -> bool {
        let nearly = (self.of(own).saturating_mul(2), own.tries.saturating_mul(3));
        self.is_common(others) || own.tries > 0 && self.reaches(nearly, others)
    }

    /// Whether of what the `others` did just now so large a part, `such` of `all`, failed so.
    const fn reaches(self, (such, all): (u64, u64), others: Sample) -> bool {
        let found = self.of(others);
        found > 0 && others.tries >= ENOUGH && found.saturating_mul(all) >= others.tries.saturating_mul(such)
    }
}

/// Whether, and by what, a backend of this `reading` that did this has failed too often beside what the `others`
/// did just now: `limit` times, or once if it is on trial. It is to answer `awaited` tries yet.
pub(super) fn ejects(
    reading: Reading,
    awaited: u32,
    own: Heard,
    others: Sample,
    limit: u32,
) -> Option<Cause> {
    if reading.broken_off_streak >= limit.max(1) && outweighs(reading.broken_off_streak, reading.answering) {
        return Some(Cause::Reset);
    }
    let limit = if reading.on_trial { 1 } else { limit.max(1) };
    let broken = reading.streak.saturating_sub(reading.timed_out_streak);
    let counted = if Cause::TimedOut.is_shared(own.just_now, others) { broken } else { reading.streak };
    if counted >= limit {
        let cause = if reading.refused_streak.saturating_mul(2) > counted {
            Cause::Refused
        } else if broken >= limit {
            Cause::Reset
        } else {
            Cause::TimedOut
        };
        let is_enough = cause != Cause::Reset || outweighs(counted, awaited);
        return (is_enough && !cause.is_common(others)).then_some(cause);
    }
    let mostly_errored = own.lately.errored.saturating_mul(2) > own.lately.tries;
    let row = counted.saturating_add(reading.errored_streak);
    let errs = !Cause::Errored.is_shared(own.just_now, others)
        && mostly_errored
        && row >= limit
        && outweighs(row, awaited);
    errs.then_some(Cause::Errored)
}

/// Whether a row of so many isn't only the quickest part of all.
const fn outweighs(row: u32, open: u32) -> bool {
    row.saturating_mul(2) >= open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Report, Tally};

    const LIMIT: u32 = 5;

    /// Others that are well, others half of whose tries fail in every way, and others that don't answer.
    const OTHERS: [Sample; 3] = [
        Sample { tries: 100, errors: 0, errored: 0, unserved: 0 },
        Sample { tries: 100, errors: 50, errored: 50, unserved: 50 },
        Sample { tries: 100, errors: 100, errored: 100, unserved: 100 },
    ];

    /// What such a row does to a backend of whose tries so many lately were 5xx.
    fn after(row: &[(Report, usize)], errored: u64, others: Sample) -> Option<Cause> {
        let tally = Tally::default();
        for &(report, times) in row {
            (0..times).for_each(|_| _ = tally.report(report, LIMIT));
        }
        let own = Sample { tries: 100, errors: 100, errored, unserved: 100 - errored };
        ejects(tally.read(), 0, Heard { lately: own, just_now: own }, others, LIMIT)
    }

    #[test]
    fn the_documented_tables_are_the_rule() {
        let word = |cause: Option<Cause>| match cause {
            None => "",
            Some(Cause::Refused) => "no",
            Some(_) => "yes",
        };
        let rows = [
            (Report::Refused, "refused"),
            (Report::Reset, "reset"),
            (Report::BrokenOff, "broken off"),
            (Report::TimedOut, "timed out"),
            (Report::Errored, "5xx"),
            (Report::Overloaded, "429, 503 with Retry-After"),
        ]
        .map(|(report, name)| {
            let [well, sick, silent] = OTHERS;
            let what = |errored, others| after(&[(report, 5)], errored, others);
            assert_eq!(after(&[(report, 4)], 100, well), None);
            let found = [what(0, sick), what(0, well), what(100, sick), what(100, well)];
            let ejects = match found.map(|cause| cause.is_some()) {
                [true, true, true, true] if what(100, silent).is_some() => "always",
                [true, true, true, true] => "unless the others give no answer at all",
                [false, true, false, true] => "unless the others fail so as well",
                [false, false, false, true] => {
                    "while most of its own answers are 5xx, unless the others' are as well"
                }
                [false, false, false, false] => "never",
                other => panic!("{other:?}"),
            };
            let counts = word(what(100, well));
            format!("{name} | {ejects} | {counts} |").replace("|  |", "| |")
        });
        let rows_of = |page: &'static str, mark: &str| -> Vec<&'static str> {
            let (header, row) = (format!("{mark}| in a row |"), format!("{mark}| "));
            let table = page.lines().skip_while(move |line| !line.starts_with(&header)).skip(2);
            table.map_while(move |line| line.strip_prefix(&*row)).collect()
        };
        assert_eq!(rows_of(include_str!("streak.rs"), "//! "), rows);
        assert_eq!(rows_of(include_str!("../../../../docs/guides/health.md"), ""), rows);
    }

    #[test]
    fn rows_may_be_mixed() {
        use Report::{Answered, Errored, Refused, Reset, TimedOut};
        for (row, others_well, expected) in [
            (vec![(Refused, 3), (TimedOut, 2)], true, Some(Cause::Refused)),
            (vec![(Refused, 3), (TimedOut, 2)], false, None),
            (vec![(Reset, 3), (TimedOut, 2)], true, Some(Cause::TimedOut)),
            (vec![(Reset, 5), (TimedOut, 2)], false, Some(Cause::Reset)),
            (vec![(Errored, 3), (TimedOut, 5)], true, Some(Cause::TimedOut)),
            (vec![(TimedOut, 4), (Answered, 1), (TimedOut, 4)], true, None),
        ] {
            assert_eq!(after(&row, 0, OTHERS[usize::from(!others_well)]), expected, "{row:?}");
        }
    }

    #[test]
    fn the_quickest_part_of_all_tries_is_no_row() {
        let own = Sample { tries: 100, errors: 100, errored: 100, unserved: 0 };
        let heard = Heard { lately: own, just_now: own };
        let quick = |report, times, awaited| {
            let tally = Tally::default();
            (0..times).for_each(|_| _ = tally.report(report, LIMIT));
            ejects(tally.read(), awaited, heard, OTHERS[0], LIMIT).is_some()
        };
        for report in [Report::Errored, Report::Reset] {
            assert!(!quick(report, 5, 11) && quick(report, 5, 10) && quick(report, 50, 100), "{report:?}");
        }
        for report in [Report::Refused, Report::TimedOut, Report::BrokenOff] {
            assert!(quick(report, 5, 1000), "{report:?}");
        }
        let broken_off = |going_on: u32| {
            let tally = Tally::default();
            (0..going_on).for_each(|_| tally.begin_answer());
            (0..5).for_each(|_| _ = tally.report(Report::BrokenOff, LIMIT));
            ejects(tally.read(), 0, heard, OTHERS[0], LIMIT).is_some()
        };
        assert!(broken_off(10) && !broken_off(11));
    }

    #[test]
    fn only_enough_of_the_same_is_an_excuse() {
        let others = |tries, errored, unserved| Sample { tries, errors: tries, errored, unserved };
        for (cause, others, is_shared) in [
            (Cause::TimedOut, others(20, 0, 10), true),
            (Cause::TimedOut, others(20, 0, 9), false),
            (Cause::TimedOut, others(19, 0, 19), false),
            (Cause::TimedOut, others(100, 100, 0), false),
            // 429, of which there may be any number.
            (Cause::TimedOut, others(100, 0, 0), false),
            (Cause::Errored, others(100, 51, 0), true),
            (Cause::Errored, others(100, 0, 100), false),
            (Cause::Reset, others(100, 0, 99), false),
            (Cause::Reset, others(100, 0, 100), true),
            (Cause::Refused, others(100, 0, 100), true),
            (Cause::Refused, others(19, 0, 19), false),
        ] {
            assert_eq!(cause.is_common(others), is_shared, "{cause:?} {others:?}");
        }
        let own = Sample { tries: 10, errors: 6, errored: 0, unserved: 6 };
        assert!(Cause::TimedOut.is_shared(own, others(100, 0, 40)));
        assert!(!Cause::TimedOut.is_shared(own, others(100, 0, 39)));
        // Its row is older than that.
        let own = Sample::default();
        assert!(Cause::TimedOut.is_shared(own, others(100, 0, 50)));
        assert!(!Cause::TimedOut.is_shared(own, others(100, 0, 49)));
    }
}
