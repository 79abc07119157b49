//! What failures in a row do. Their kind decides, and for two of them what else goes on:
//!
//! | in a row | ejects | counts towards `max_ejected` |
//! |---|---|---|
//! | refused | always | no |
//! | reset | always | yes |
//! | timed out | while the other backends are mostly well | yes |
//! | 5xx | while most of its own answers are 5xx and the other backends are mostly well | yes |
//! | 429, 503 with Retry-After | never | |
//!
//! A backend that hangs lets time pass, and so do all of them when all have too much to do, or they err. Then those that were
//! ejected would leave even more to the others: so such an ejection also ends as soon as the others are mostly not well. The
//! others are what isn't ejected of the pool; they are mostly well unless more than half of their tries of the last three
//! seconds were errors.

use super::passive::Sample;
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
    /// Whether it is none where the others do the same.
    pub(super) const fn may_be_shared(self) -> bool {
        matches!(self, Self::TimedOut | Self::Errored)
    }
}

/// Whether those whose tries these are mostly answer well. Nobody is blamed for what nobody tried.
pub(super) const fn mostly_well(just_now: Sample) -> bool {
    just_now.errors.saturating_mul(2) <= just_now.tries
}

/// Whether, and by what, a backend of this `reading` and these tries `lately` has failed too often: `limit` times, or once if
/// it is on trial.
pub(super) fn ejects(reading: Reading, lately: Sample, others_well: bool, limit: u32) -> Option<Cause> {
    let limit = if reading.on_trial { 1 } else { limit.max(1) };
    let broken = reading.streak.saturating_sub(reading.timed_out_streak);
    let counted = if others_well { reading.streak } else { broken };
    if counted >= limit {
        return Some(if reading.refused_streak.saturating_mul(2) > counted {
            Cause::Refused
        } else if broken >= limit {
            Cause::Reset
        } else {
            Cause::TimedOut
        });
    }
    let mostly_errored = lately.errored.saturating_mul(2) > lately.tries;
    let errs = others_well && mostly_errored && counted.saturating_add(reading.errored_streak) >= limit;
    errs.then_some(Cause::Errored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Report, Tally};

    const LIMIT: u32 = 5;

    /// What such a row does to a backend of whose tries so many lately were 5xx.
    fn after(row: &[(Report, usize)], errored: u64, others_well: bool) -> Option<Cause> {
        let tally = Tally::default();
        for &(report, times) in row {
            (0..times).for_each(|_| _ = tally.report(report, LIMIT));
        }
        let lately = Sample { tries: 100, errors: errored, errored };
        ejects(tally.read(), lately, others_well, LIMIT)
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
            (Report::TimedOut, "timed out"),
            (Report::Errored, "5xx"),
            (Report::Overloaded, "429, 503 with Retry-After"),
        ]
        .map(|(report, name)| {
            let what = |errored, others_well| after(&[(report, 5)], errored, others_well);
            assert_eq!(after(&[(report, 4)], 100, true), None);
            let found = [what(0, false), what(0, true), what(100, false), what(100, true)];
            let ejects = match found.map(|cause| cause.is_some()) {
                [true, true, true, true] => "always",
                [false, true, false, true] => "while the other backends are mostly well",
                [false, false, false, true] => {
                    "while most of its own answers are 5xx and the other backends are mostly well"
                }
                [false, false, false, false] => "never",
                other => panic!("{other:?}"),
            };
            let counts = word(what(100, true));
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
            assert_eq!(after(&row, 0, others_well), expected, "{row:?}");
        }
    }

    #[test]
    fn to_be_mostly_well_is_that_half_of_the_tries_are() {
        let sample = |tries, errors| Sample { tries, errors, errored: 0 };
        assert!(mostly_well(sample(0, 0)) && mostly_well(sample(10, 5)) && !mostly_well(sample(10, 6)));
    }
}
