//! Why a session is over.

use crate::clock::Phase;
use crate::telemetry::{Blame, End, Ended};

pub(super) const IDLE: End = End::new(Ended::Timeout, "nothing came for too long", Blame::None);
pub(super) const ANSWERED: End = End::new(Ended::Answered, "all was answered", Blame::None);
pub(super) const CUT: End = End::new(Ended::Drain, "the backend was drained or disabled", Blame::Fairlead);
pub(super) const CLOSED: End = End::new(Ended::Drain, "the listener has left this address", Blame::Fairlead);
pub(super) const NO_BACKEND: End =
    End::new(Ended::NoBackend, "its backend is gone and no other takes it", Blame::Upstream);

/// What it means that the limit of `phase` passed.
pub(super) fn timed_out(phase: Phase) -> End {
    if phase == Phase::Stop { CUT } else { IDLE }
}
