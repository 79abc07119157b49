//! A circuit breaker for each backend: one that mostly fails gets nothing for a while, then one request at a time until
//! one is answered well.
//!
//! Closed, it counts answers and errors over a sliding window. Open, no pick takes the backend. Half-open, it takes one
//! request, whose outcome closes or opens it again; who ends without an outcome leaves the trial to the next, and so does
//! who has had it for as long as the breaker stays open: a request without an end must not keep it half-open for ever. An
//! outcome that comes later than that still decides, unless another was sooner. Its state stands in the backend's
//! [`Standing`](crate::Standing), apart from what health says.
//!
//! Each opening begins a phase. A request carries the one it was let in by, so that what comes late, of requests and of the
//! timer that half-opens, never moves a breaker that has opened again since.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::standing::Phase;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// It opens at this share of errors, in thousandths.
    pub error_thousandths: u32,
    /// Over so long.
    pub window: Duration,
    /// Of so many requests within the window at least.
    pub min_requests: u32,
    /// How long it stays open.
    pub open: Duration,
}

/// What a breaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All are let in.
    Closed,
    /// Nobody is.
    Open,
    /// One at a time.
    HalfOpen,
}

/// What became of a breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaking {
    /// Nothing.
    Stays,
    /// It has opened: it is to be [tended](crate::BackendLive::tend) from now on.
    Opened(Phase),
    /// Its trial went well.
    Closed,
}

/// Parts of a window: what is a window old is forgotten a tenth at a time.
const PARTS: u64 = 10;

/// Requests are counted up to this in a part of the window; beyond it the share won't change much.
const MOST: u64 = (1 << 20) - 1;

/// What came of a backend's requests within the window.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    epoch: OnceLock<Instant>,
    parts: [AtomicU64; PARTS as usize],
}

/// Of a part: its number (24 bits), requests (20), errors (20).
fn unpack(word: u64, part: u64) -> (u64, u64) {
    if word >> 40 == part & 0xff_ffff { (word >> 20 & MOST, word & MOST) } else { (0, 0) }
}

impl Outcomes {
    /// Counts a request and says whether the breaker has to open.
    pub(crate) fn count(&self, failed: bool, policy: &BreakerPolicy, now: Instant) -> bool {
        self.add(1, failed, policy, now)
    }

    /// A request that was counted as good has failed after all.
    pub(crate) fn spoil(&self, policy: &BreakerPolicy, now: Instant) -> bool {
        self.add(0, true, policy, now)
    }

    fn add(&self, more: u64, failed: bool, policy: &BreakerPolicy, now: Instant) -> bool {
        let since = now.saturating_duration_since(*self.epoch.get_or_init(|| now));
        let length = (policy.window.as_millis() as u64 / PARTS).max(1);
        // From 1, so that a word of zero belongs to no part.
        let part = since.as_millis() as u64 / length + 1;
        let here = &self.parts[(part % PARTS) as usize];
        let _ = here.fetch_update(Relaxed, Relaxed, |word| {
            let (requests, errors) = unpack(word, part);
            let counted = requests < MOST && errors < MOST;
            let (requests, errors) =
                if counted { (requests + more, errors + u64::from(failed)) } else { (requests, errors) };
            Some((part & 0xff_ffff) << 40 | requests << 20 | errors)
        });
        let (requests, errors) = (part.saturating_sub(PARTS - 1)..=part)
            .map(|at| unpack(self.parts[(at % PARTS) as usize].load(Relaxed), at))
            .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        failed
            && requests >= u64::from(policy.min_requests)
            && errors * 1_000 >= requests * u64::from(policy.error_thousandths)
    }

    /// What was before doesn't count any more.
    pub(crate) fn forget(&self) {
        for part in &self.parts {
            part.store(0, Relaxed);
        }
    }
}
