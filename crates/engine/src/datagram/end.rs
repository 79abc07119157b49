//! Why a session is over.

use crate::clock::Phase;
use crate::telemetry::{Blame, Ended};

/// One way in which a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) ended: Ended,
    /// Lower-case words for the access log.
    pub(super) reason: &'static str,
    pub(super) blame: Blame,
}

impl End {
    pub(super) const IDLE: Self = Self::new(Ended::Timeout, "nothing came for too long", Blame::None);
    pub(super) const ANSWERED: Self = Self::new(Ended::Answered, "all was answered", Blame::None);
    pub(super) const CUT: Self =
        Self::new(Ended::Drain, "the backend was drained or disabled", Blame::Fairlead);
    pub(super) const CLOSED: Self =
        Self::new(Ended::Drain, "the listener has left this address", Blame::Fairlead);
    pub(super) const NO_BACKEND: Self =
        Self::new(Ended::NoBackend, "its backend is gone and no other takes it", Blame::Upstream);

    const fn new(ended: Ended, reason: &'static str, blame: Blame) -> Self {
        Self { ended, reason, blame }
    }

    /// What it means that the limit of `phase` passed.
    pub(super) fn timed_out(phase: Phase) -> Self {
        if phase == Phase::Stop { Self::CUT } else { Self::IDLE }
    }
}
