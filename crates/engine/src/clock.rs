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
    /// What was read in the turn that goes on, if one does.
    static TURN: Cell<Turn> = const { Cell::new(Turn::None) };
}

#[derive(Clone, Copy)]
enum Turn {
    None,
    Unread,
    Read(Instant),
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub(crate) fn now() -> Instant {
    let now = Instant::now();
    if !matches!(TURN.get(), Turn::None) {
        TURN.set(Turn::Read(now));
    }
    now
}

/// The time as this turn read it last: for what is measured in seconds, where a reading more would cost more than it
/// says. Outside of a turn it is read, since nobody knows how old the last reading is.
pub(crate) fn recently() -> Instant {
    match TURN.get() {
        Turn::Read(at) => at,
        Turn::None | Turn::Unread => now(),
    }
}

/// One poll of a connection: microseconds, or as long as the pump moves a mebibyte. Ends when it is dropped.
pub(crate) struct InTurn(());

/// A connection is polled from here on.
pub(crate) fn begin_turn() -> InTurn {
    TURN.set(Turn::Unread);
    InTurn(())
}

impl Drop for InTurn {
    fn drop(&mut self) {
        TURN.set(Turn::None);
    }
}

/// The wall clock: for what people read (Date, access log), never for a decision.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
