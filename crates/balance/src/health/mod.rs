//! Whether a backend is well: what its checks say, what traffic shows, and what follows for its share.
//!
//! Two witnesses are heard, because each is blind to what the other sees: a check asks a question nobody's request
//! asks, and traffic fails in ways a check never meets. Neither can undo what the other says; an operator outranks both.
//!
//! In reading order:
//!
//! - `report`: how a try ended, counted by whoever made it.
//! - `schedule`: when each check is due.
//! - `verdict`: from a check's results to up or down.
//! - `passive`: from the ends of tries to a share: a statistical test against the rest of the pool.
//! - `streak`: what failures in a row do.
//! - `ejection`: how long a backend stays out that failed too often in a row, and how many may be out.
//! - `slow_start`: how a share grows back.
//! - `table`: the one rule that combines operator, check and traffic.
//! - `member`: all of it for one backend: what it is, and what it is worth.
//! - `ward`: the backends of one pool, judged together.

mod ejection;
mod member;
mod passive;
mod report;
mod schedule;
mod slow_start;
mod streak;
mod table;
mod verdict;
mod ward;

pub use ejection::Ejection;
pub use passive::{Degradation, Heard, Sample, Window};
pub use report::{Report, Tally};
pub use schedule::{Pace, Schedule};
pub use slow_start::SlowStart;
pub use table::{Active, Operator, Passive, Row, TABLE, combine};
pub use verdict::{Thresholds, Verdict};
pub use ward::{Change, Check, Judged, Noted, PassivePolicy, Policy, Terms, Ward};

/// What the time of tests is counted from.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "time has to start somewhere")]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}
