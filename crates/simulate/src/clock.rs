//! Made-up time: whole nanoseconds since the start, and what the deciders see of them.

use std::time::{Duration, Instant};

/// Since the start.
pub(crate) type Nanos = u64;

const PER_SECOND: f64 = 1e9;

/// Where time is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: Instant,
    now: Nanos,
}

impl Clock {
    /// At the start, which is as good as `base`: an instant can't be made from nothing.
    pub(crate) fn new(base: Instant) -> Self {
        Self { base, now: 0 }
    }

    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    /// Now, as the deciders are told.
    pub(crate) fn instant(&self) -> Instant {
        self.base + Duration::from_nanos(self.now)
    }

    pub(crate) fn advance(&mut self, to: Nanos) {
        debug_assert!(to >= self.now, "invariant: time doesn't run backwards");
        self.now = to;
    }

    /// What `time` after now is.
    pub(crate) fn after(&self, time: Duration) -> Nanos {
        self.now.saturating_add(whole(time))
    }

    /// When a decider's instant is.
    pub(crate) fn at(&self, instant: Instant) -> Nanos {
        whole(instant.saturating_duration_since(self.base))
    }
}

/// A span; what is longer than five centuries is as good as that.
pub(crate) fn whole(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds as nanoseconds. Nothing negative comes here; `as` keeps what is too large at the most.
#[expect(clippy::cast_sign_loss, reason = "a negative span counts as none")]
pub(crate) fn nanos(seconds: f64) -> Nanos {
    (seconds * PER_SECOND).round() as u64
}

pub(crate) fn nanos_of_ms(milliseconds: u64) -> Nanos {
    milliseconds.saturating_mul(1_000_000)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to a hundred days")]
pub(crate) fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / PER_SECOND
}
