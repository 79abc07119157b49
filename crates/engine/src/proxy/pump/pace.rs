//! How long one side of a body may keep the other waiting: the longest gap, and a lowest rate.

use std::time::{Duration, Instant};

use crate::clock::{self, Deadline, Phase};

/// Slower than this for long isn't a slow network, but somebody who holds a connection on purpose (bytes a second).
const LOWEST_RATE: u64 = 240;

/// What anybody may wait before the rate counts.
const GRACE: Duration = Duration::from_secs(5);

/// A time limit on waiting for one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub phase: Phase,
    /// Without any byte.
    pub gap: Duration,
    /// Whether the lowest rate applies too: to clients, never to a stream of a backend.
    pub lowest_rate: bool,
}

/// One side's use of its [`Limit`]. Reads the clock only when it has to wait.
///
/// The rate is a purse of time: waiting spends it, bytes fill it at 240 to the second. It holds no more than one gap,
/// so that a fast start doesn't pay for an endless drip.
pub(super) struct Pace {
    limit: Option<Limit>,
    purse: Duration,
    waiting_since: Option<Instant>,
}

impl Pace {
    pub(super) fn new(limit: Option<Limit>) -> Self {
        Self { limit, purse: GRACE, waiting_since: None }
    }

    /// This side has to do something from now on.
    pub(super) fn wait(&mut self, deadline: &Deadline) {
        if self.limit.is_some() && self.waiting_since.is_none() {
            self.wait_from(clock::now(), deadline);
        }
    }

    /// It did: `bytes` moved.
    pub(super) fn moved(&mut self, bytes: usize, deadline: &Deadline) {
        let Some(limit) = self.limit else { return };
        if let Some(since) = self.waiting_since.take() {
            deadline.clear(limit.phase);
            self.purse = self.purse.saturating_sub(clock::now().saturating_duration_since(since));
        }
        self.fill(limit, bytes);
    }

    /// No limit from now on.
    pub(super) fn lift(&mut self, deadline: &Deadline) {
        if let Some(limit) = self.limit.take()
            && self.waiting_since.take().is_some()
        {
            deadline.clear(limit.phase);
        }
    }

    fn wait_from(&mut self, now: Instant, deadline: &Deadline) {
        let Some(limit) = self.limit else { return };
        self.waiting_since = Some(now);
        deadline.set(limit.phase, now + self.patience(limit));
    }

    /// How long this side may be waited for, from now.
    fn patience(&self, limit: Limit) -> Duration {
        if limit.lowest_rate { limit.gap.min(self.purse) } else { limit.gap }
    }

    fn fill(&mut self, limit: Limit, bytes: usize) {
        let earned = Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000 / LOWEST_RATE));
        self.purse = (self.purse + earned).min(limit.gap.max(GRACE));
    }
}
