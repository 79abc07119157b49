//! Time, and the only place of the engine that reads it.
//!
//! What a request may take is held as coarse deadlines: storing one is a store to a `Cell`, no timer is armed and no
//! descriptor touched. One [`Wheel`] a worker visits them every 100 ms.

mod deadline;
mod slots;
#[cfg(test)]
mod tests;
mod wheel;

use std::cell::Cell;
use std::time::{Instant, SystemTime};

pub(crate) use deadline::{Deadline, Phase};
pub(crate) use wheel::Wheel;

thread_local! {
    /// The last reading, if it is of this turn.
    static READ: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub(crate) fn now() -> Instant {
    let now = Instant::now();
    READ.set(Some(now));
    now
}

/// The time as this turn read it last: for what is measured in seconds, where a reading more would cost more than it
/// says. A turn is one poll of a connection: microseconds, or as long as the pump moves a mebibyte.
pub(crate) fn recently() -> Instant {
    READ.get().unwrap_or_else(now)
}

/// A task begins its turn: what was read before is no longer recent.
pub(crate) fn begin_turn() {
    READ.set(None);
}

/// The wall clock: for what people read (Date, access log), never for a decision.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
