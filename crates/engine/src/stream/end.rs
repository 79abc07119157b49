//! Why a session is over.

use fairlead_balance::health::Report;
use fairlead_balance::{self as balance, NoBackend};

use crate::clock::Phase;
use crate::io::Fault;
use crate::proxy::pump::Side;
use crate::proxy::tunnel::Summary;
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
    pub(super) const CLIENT_CLOSED: Self = Self::new(Ended::Client, "the client closed", Blame::None);
    pub(super) const BACKEND_CLOSED: Self = Self::new(Ended::Backend, "the backend closed", Blame::None);
    pub(super) const CLIENT_RESET: Self =
        Self::new(Ended::Client, "the client reset the connection", Blame::Client);
    pub(super) const BACKEND_RESET: Self =
        Self::new(Ended::Backend, "the backend reset the connection", Blame::Upstream);
    pub(super) const IDLE: Self = Self::new(Ended::Timeout, "nothing moved for too long", Blame::None);
    pub(super) const STOPPED: Self = Self::new(Ended::Drain, "the drain's deadline passed", Blame::Fairlead);

    pub(super) const CLIENT_GONE: Self =
        Self::new(Ended::Client, "the client went away before there was a backend", Blame::Client);
    pub(super) const HELLO_TIMEOUT: Self =
        Self::new(Ended::Timeout, "the ClientHello was not sent in time", Blame::Client);
    pub(super) const HELLO_INCOMPLETE: Self =
        Self::new(Ended::Client, "the client closed before its ClientHello was whole", Blame::Client);
    pub(super) const NOT_TLS: Self = Self::refused("the client doesn't speak TLS");
    pub(super) const NO_NAME: Self = Self::refused("the client asks for no name, and there is no \"*\"");
    pub(super) const UNKNOWN_NAME: Self = Self::refused("nobody has the name that the client asks for");

    pub(super) const CONNECT_REFUSED: Self = Self::no_backend("the backend refused the connection");
    pub(super) const CONNECT_TIMEOUT: Self =
        Self::no_backend("the connection to the backend was not made in time");
    pub(super) const NO_BACKEND: Self = Self::no_backend("the pool has no usable backend");
    pub(super) const ALL_FULL: Self = Self::no_backend("every backend is at its limit");
    pub(super) const QUEUE_FULL: Self =
        Self::no_backend("every backend is at its limit and the queue is full");
    pub(super) const QUEUE_TIMEOUT: Self =
        Self::no_backend("no backend had room before the time in the queue was over");
    /// No descriptor, port or memory for one more connection: ours, so not the backend's fault.
    pub(super) const NO_RESOURCES: Self =
        Self::new(Ended::NoBackend, "no resources for one more connection", Blame::Fairlead);

    /// Nobody can speak from an IPv6 address to an IPv4 one: a matter of how it is configured.
    pub(super) const OTHER_FAMILY: Self = Self::new(
        Ended::NoBackend,
        "the backend's address is of another family than the client's, which it is to see",
        Blame::Fairlead,
    );

    const fn new(ended: Ended, reason: &'static str, blame: Blame) -> Self {
        Self { ended, reason, blame }
    }

    /// What the client sent leads nowhere.
    pub(super) const fn refused(reason: &'static str) -> Self {
        Self::new(Ended::Refused, reason, Blame::Client)
    }

    const fn no_backend(reason: &'static str) -> Self {
        Self::new(Ended::NoBackend, reason, Blame::Upstream)
    }

    /// How a relayed session ended.
    pub(super) fn of(summary: &Summary) -> Self {
        match summary.result {
            Ok(()) if summary.closed == Some(Side::To) => Self::BACKEND_CLOSED,
            Ok(()) => Self::CLIENT_CLOSED,
            Err(error) => match (error.fault, error.side) {
                (Fault::TimedOut(phase), _) => Self::timed_out(phase),
                (_, Side::From) => Self::CLIENT_RESET,
                (_, Side::To) => Self::BACKEND_RESET,
            },
        }
    }

    /// What it means that the limit of `phase` passed.
    pub(super) fn timed_out(phase: Phase) -> Self {
        match phase {
            Phase::Stop => Self::STOPPED,
            Phase::Header => Self::HELLO_TIMEOUT,
            _ => Self::IDLE,
        }
    }

    /// What it says of a backend that hasn't said a word; `None` if nobody waited long enough to learn anything.
    pub(super) fn says(self) -> Option<Report> {
        match self {
            Self::BACKEND_RESET => Some(Report::Reset),
            Self::BACKEND_CLOSED | Self::CLIENT_CLOSED => Some(Report::Answered),
            _ => None,
        }
    }

    /// Whether it ends otherwise than both sides wanted, which they are to see: by a reset.
    pub(super) fn is_cut(self) -> bool {
        ![Self::CLIENT_CLOSED, Self::BACKEND_CLOSED].contains(&self)
    }
}

impl From<balance::Failure> for End {
    fn from(failure: balance::Failure) -> Self {
        match failure {
            balance::Failure::ConnectTimedOut | balance::Failure::TimedOut => Self::CONNECT_TIMEOUT,
            balance::Failure::NoBackend(NoBackend::AllFull) => Self::ALL_FULL,
            balance::Failure::NoBackend(_) => Self::NO_BACKEND,
            // The others are said of requests that were sent.
            _ => Self::CONNECT_REFUSED,
        }
    }
}
