//! Why a session is over.

use fairlead_balance::health::Report;
use fairlead_balance::{self as balance, NoBackend};

use crate::clock::Phase;
use crate::io::Fault;
use crate::proxy::pump::Side;
use crate::proxy::tunnel::Summary;
use crate::telemetry::{Blame, End, Ended};

pub(super) const CLIENT_CLOSED: End = End::new(Ended::Client, "the client closed", Blame::None);
pub(super) const BACKEND_CLOSED: End = End::new(Ended::Backend, "the backend closed", Blame::None);
pub(super) const CLIENT_RESET: End =
    End::new(Ended::Client, "the client reset the connection", Blame::Client);
pub(super) const BACKEND_RESET: End =
    End::new(Ended::Backend, "the backend reset the connection", Blame::Upstream);
pub(super) const IDLE: End = End::new(Ended::Timeout, "nothing moved for too long", Blame::None);
pub(super) const STOPPED: End = End::new(Ended::Drain, "the drain's deadline passed", Blame::Fairlead);

pub(super) const CLIENT_GONE: End =
    End::new(Ended::Client, "the client went away before there was a backend", Blame::Client);
pub(super) const HELLO_TIMEOUT: End =
    End::new(Ended::Timeout, "the ClientHello was not sent in time", Blame::Client);
pub(super) const HELLO_INCOMPLETE: End =
    End::new(Ended::Client, "the client closed before its ClientHello was whole", Blame::Client);
pub(super) const NOT_TLS: End = refused("the client doesn't speak TLS");
pub(super) const NO_NAME: End = refused("the client asks for no name, and there is no \"*\"");
pub(super) const UNKNOWN_NAME: End = refused("nobody has the name that the client asks for");

pub(super) const CONNECT_REFUSED: End = no_backend("the backend refused the connection");
pub(super) const CONNECT_TIMEOUT: End = no_backend("the connection to the backend was not made in time");
pub(super) const NO_BACKEND: End = no_backend("the pool has no usable backend");
pub(super) const ALL_FULL: End = no_backend("every backend is at its limit");
pub(super) const QUEUE_FULL: End = no_backend("every backend is at its limit and the queue is full");
pub(super) const QUEUE_TIMEOUT: End = no_backend("no backend had room before the time in the queue was over");
/// No descriptor, port or memory for one more connection: ours, so not the backend's fault.
pub(super) const NO_RESOURCES: End =
    End::new(Ended::NoBackend, "no resources for one more connection", Blame::Fairlead);

/// Nobody can speak from an IPv6 address to an IPv4 one: a matter of how it is configured.
pub(super) const OTHER_FAMILY: End = End::new(
    Ended::NoBackend,
    "the backend's address is of another family than the client's, which it is to see",
    Blame::Fairlead,
);

/// What the client sent leads nowhere.
pub(super) const fn refused(reason: &'static str) -> End {
    End::new(Ended::Refused, reason, Blame::Client)
}

pub(super) const fn no_backend(reason: &'static str) -> End {
    End::new(Ended::NoBackend, reason, Blame::Upstream)
}

/// How a relayed session ended.
pub(super) fn of(summary: &Summary) -> End {
    match summary.result {
        Ok(()) if summary.closed == Some(Side::To) => BACKEND_CLOSED,
        Ok(()) => CLIENT_CLOSED,
        Err(error) => match (error.fault, error.side) {
            (Fault::TimedOut(phase), _) => timed_out(phase),
            (_, Side::From) => CLIENT_RESET,
            (_, Side::To) => BACKEND_RESET,
        },
    }
}

/// What it means that the limit of `phase` passed.
pub(super) fn timed_out(phase: Phase) -> End {
    match phase {
        Phase::Stop => STOPPED,
        Phase::Header => HELLO_TIMEOUT,
        _ => IDLE,
    }
}

/// What it says of a backend that hasn't said a word; `None` if nobody waited long enough to learn anything.
pub(super) fn says(end: End) -> Option<Report> {
    match end {
        BACKEND_RESET => Some(Report::Reset),
        BACKEND_CLOSED | CLIENT_CLOSED => Some(Report::Answered),
        _ => None,
    }
}

/// Whether it ends otherwise than both sides wanted, which they are to see: by a reset.
pub(super) fn is_cut(end: End) -> bool {
    ![CLIENT_CLOSED, BACKEND_CLOSED].contains(&end)
}

/// What it means that no backend took it.
pub(super) fn untaken(failure: balance::Failure) -> End {
    match failure {
        balance::Failure::ConnectTimedOut | balance::Failure::TimedOut => CONNECT_TIMEOUT,
        balance::Failure::NoBackend(NoBackend::AllFull) => ALL_FULL,
        balance::Failure::NoBackend(_) => NO_BACKEND,
        // The others are said of requests that were sent.
        _ => CONNECT_REFUSED,
    }
}
