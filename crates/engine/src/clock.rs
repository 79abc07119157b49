//! Time, and the only place of the engine that reads it.
//!
//! What a request may take is held as coarse deadlines: storing one is a store to a `Cell`, no timer is armed and no
//! descriptor touched. One [`Wheel`] a worker visits them every 100 ms.

mod deadline;
mod slots;
#[cfg(test)]
mod tests;
mod wheel;

use std::time::{Instant, SystemTime};

pub(crate) use deadline::{Deadline, Phase};
pub(crate) use wheel::Wheel;

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock: for what people read (Date, access log), never for a decision.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
