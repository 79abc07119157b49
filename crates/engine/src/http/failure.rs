//! Why a request got no answer of a backend: the status, the words, and whose fault it was.

use fairlead_balance::{self as balance, NoBackend};
use fairlead_wire::Refusal;

use crate::clock::Phase;
use crate::telemetry::Blame;
use crate::tls::Trouble;

/// One way in which a request ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    /// The error type of `Proxy-Status` (RFC 9209 2.3).
    pub(crate) error: &'static str,
    /// Lower-case words for `Proxy-Status`, the body and the access log.
    pub(crate) reason: &'static str,
    pub(crate) blame: Blame,
}

impl Failure {
    pub(crate) const HEAD_TIMEOUT: Self = Self::client(408, "the request head was not sent in time");
    pub(crate) const HEAD_TOO_LARGE: Self = Self::client(431, "the request head is too large");
    pub(crate) const EMPTY_LINES: Self = Self::client(400, "too many empty lines before a request");
    pub(crate) const HEAD_INCOMPLETE: Self = Self::client(400, "the request head ended early");
    pub(crate) const MAX_FORWARDS: Self = Self::client(400, "Max-Forwards is not one whole number");
    pub(crate) const BODY_TIMEOUT: Self = Self::client(408, "the request body was not sent in time");
    pub(crate) const BODY_TOO_LARGE: Self = Self::client(413, "the request body is too large");
    pub(crate) const BODY_INCOMPLETE: Self = Self::client(400, "the request body ended early");
    pub(crate) const NO_ROUTE: Self = Self {
        status: 404,
        error: "destination_not_found",
        reason: "no route matches",
        blame: Blame::Client,
    };

    pub(crate) const QUEUE_FULL: Self =
        Self::shed("connection_limit_reached", "every backend is at its limit and the queue is full");
    pub(crate) const QUEUE_TIMEOUT: Self =
        Self::shed("connection_limit_reached", "no backend had room before the time in the queue was over");
    pub(crate) const NO_BACKEND: Self =
        Self::shed("destination_unavailable", "the pool has no usable backend");
    pub(crate) const ALL_FULL: Self = Self::shed("connection_limit_reached", "every backend is at its limit");
    pub(crate) const BOUND_GONE: Self =
        Self::shed("destination_unavailable", "the backend that this client belongs to can't be used");
    pub(crate) const BOUND_FULL: Self =
        Self::shed("connection_limit_reached", "the backend that this client belongs to is at its limit");

    /// With the status that was answered.
    const NOT_REPEATED: Self = Self::upstream(
        503,
        "destination_unavailable",
        "the backend answered with an error and nobody is left to try again with",
    );
    pub(crate) const REFUSED: Self =
        Self::upstream(502, "connection_refused", "the backend refused the connection");
    pub(crate) const UNREACHABLE: Self =
        Self::upstream(502, "destination_ip_unroutable", "the backend is unreachable");
    pub(crate) const RESET: Self =
        Self::upstream(502, "connection_terminated", "the backend closed the connection before answering");
    pub(crate) const MALFORMED: Self =
        Self::upstream(502, "http_protocol_error", "the backend's answer is malformed");
    pub(crate) const ANSWER_HEAD_TOO_LARGE: Self = Self::upstream(
        502,
        "http_response_header_section_size",
        "the head of the backend's answer is too large",
    );
    pub(crate) const ANSWER_INCOMPLETE: Self =
        Self::upstream(502, "http_response_incomplete", "the backend ended its answer early");
    pub(crate) const UNASKED_UPGRADE: Self =
        Self::upstream(502, "http_upgrade_failed", "the backend switched to a protocol nobody asked for");

    pub(crate) const CONNECT_TIMEOUT: Self =
        Self::upstream(504, "connection_timeout", "the connection to the backend was not made in time");
    pub(crate) const ANSWER_TIMEOUT: Self =
        Self::upstream(504, "http_response_timeout", "the backend did not answer in time");
    pub(crate) const TRY_TIMEOUT: Self =
        Self::upstream(504, "http_response_timeout", "the backend did not answer in the time of one try");
    pub(crate) const REQUEST_TIMEOUT: Self =
        Self::upstream(504, "http_response_timeout", "the request took longer than its route allows");
    pub(crate) const STREAM_IDLE: Self =
        Self::upstream(504, "connection_read_timeout", "the backend paused too long within its answer");

    pub(crate) const TUNNEL_BROKEN: Self =
        Self::upstream(502, "connection_terminated", "the backend broke the tunnel");
    pub(crate) const TUNNEL_IDLE: Self = Self {
        status: 504,
        error: "connection_read_timeout",
        reason: "nothing moved in the tunnel",
        blame: Blame::None,
    };

    /// No descriptor, port or memory for one more connection: ours, so not the backend's fault.
    pub(crate) const NO_RESOURCES: Self = Self {
        status: 503,
        error: "proxy_internal_error",
        reason: "no resources for one more connection",
        blame: Blame::Fairlead,
    };
    pub(crate) const STOPPED: Self = Self {
        status: 503,
        error: "proxy_internal_error",
        reason: "the drain's deadline passed",
        blame: Blame::Fairlead,
    };

    /// The client went away; nobody reads the answer, the status is for the log (as nginx writes it).
    pub(crate) const CLIENT_GONE: Self = Self::client(499, "the client went away");
    pub(crate) const CLIENT_SLOW: Self = Self::client(408, "the client did not take its answer in time");

    /// What the parser refused in a request.
    pub(crate) const fn refused(refusal: Refusal) -> Self {
        Self::client(refusal.status, refusal.reason)
    }

    /// What the parser refused in an answer.
    pub(crate) const fn malformed(refusal: Refusal) -> Self {
        Self { reason: refusal.reason, ..Self::MALFORMED }
    }

    /// What it means that the limit of `phase` passed before the answer began.
    pub(crate) const fn timed_out(phase: Phase) -> Self {
        match phase {
            Phase::Idle | Phase::Handshake | Phase::Header => Self::HEAD_TIMEOUT,
            Phase::Body => Self::BODY_TIMEOUT,
            Phase::Write => Self::CLIENT_SLOW,
            Phase::Connect => Self::CONNECT_TIMEOUT,
            Phase::Response => Self::ANSWER_TIMEOUT,
            Phase::Try => Self::TRY_TIMEOUT,
            Phase::Request => Self::REQUEST_TIMEOUT,
            Phase::StreamIdle => Self::STREAM_IDLE,
            Phase::Tunnel => Self::TUNNEL_IDLE,
            Phase::Stop => Self::STOPPED,
        }
    }

    /// There was no handshake with the backend.
    pub(crate) const fn insecure(trouble: Trouble) -> Self {
        let status = if matches!(trouble, Trouble::TimedOut) { 504 } else { 502 };
        Self::upstream(status, trouble.proxy_status(), trouble.reason())
    }

    /// Nobody is there to be answered, or there is no time for it.
    pub(crate) fn is_silent(&self) -> bool {
        [Self::CLIENT_GONE, Self::CLIENT_SLOW, Self::STOPPED].contains(self)
    }

    const fn client(status: u16, reason: &'static str) -> Self {
        Self { status, error: "http_request_error", reason, blame: Blame::Client }
    }

    const fn upstream(status: u16, error: &'static str, reason: &'static str) -> Self {
        Self { status, error, reason, blame: Blame::Upstream }
    }

    const fn shed(error: &'static str, reason: &'static str) -> Self {
        Self { status: 503, error, reason, blame: Blame::Upstream }
    }
}

impl From<balance::Failure> for Failure {
    fn from(failure: balance::Failure) -> Self {
        match failure {
            balance::Failure::ConnectRefused => Self::REFUSED,
            balance::Failure::ConnectTimedOut => Self::CONNECT_TIMEOUT,
            balance::Failure::Reset => Self::RESET,
            balance::Failure::TimedOut => Self::ANSWER_TIMEOUT,
            balance::Failure::Invalid => Self::MALFORMED,
            balance::Failure::Answered(status) => Self { status, ..Self::NOT_REPEATED },
            balance::Failure::NoBackend(NoBackend::AllFull) => Self::ALL_FULL,
            balance::Failure::NoBackend(NoBackend::Empty | NoBackend::NoneUsable | NoBackend::AllTried) => {
                Self::NO_BACKEND
            }
        }
    }
}
