//! One request's tries, as a state machine: the engine reports what became of a try and is told what to do.
//!
//! What may be tried again follows RFC 9110 9.2.2: a connection that was never made carried nothing, so any
//! request goes on to the next backend; one that broke before the answer is repeated only for safe methods; once
//! a byte of the answer has left there is nothing to decide.

use crate::pool::NoBackend;
use crate::tried::Tried;

/// How often a request may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// All tries of a request together, 1 to 32; beyond that it counts as 32.
    pub attempts: u8,
    /// Tries again after a connection broke before the answer's first byte, for safe methods.
    pub resets: u8,
}

impl Default for RetryPolicy {
    /// Eight tries: with seven backends refused, an eighth is unlikely to be better and the client has waited.
    /// One reset: a second one in a row looks like a request that kills its backends.
    fn default() -> Self {
        Self { attempts: 8, resets: 1 }
    }
}

/// What became of a try. `member` is the index that [`Picker::pick`](crate::Picker::pick) returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No connection came about, so nothing was sent.
    ConnectFailed {
        /// Who was tried.
        member: usize,
        /// Nobody answered within the connect timeout; else it was refused or unreachable.
        timed_out: bool,
    },
    /// The connection was reset or closed before the answer was complete.
    Reset {
        /// Who was tried.
        member: usize,
        /// The connection had served a request before; it may have been closed while it lay idle.
        reused: bool,
        /// A byte of the answer has gone to the client.
        answer_begun: bool,
        /// Nothing of the body was read from the client, or all that was read is still buffered.
        request_replayable: bool,
    },
    /// The answer didn't come, or didn't go on, within its timeout.
    TimedOut {
        /// A byte of the answer has gone to the client.
        answer_begun: bool,
    },
    /// What came was no valid answer.
    Invalid {
        /// A byte of the answer has gone to the client.
        answer_begun: bool,
    },
    /// Nobody could be picked.
    NoneAvailable(NoBackend),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pick again, leaving out [`Attempts::tried`], and send the request there.
    Send,
    /// No further try: give this answer.
    Answer(Failure),
    /// The answer has begun and can't be completed: end it so that the client sees it is incomplete.
    Cut,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The last backend tried refused the connection or couldn't be reached.
    ConnectRefused,
    /// The last backend tried didn't take the connection in time.
    ConnectTimedOut,
    /// The connection broke before the answer began.
    Reset,
    /// The answer didn't begin in time.
    TimedOut,
    /// What the backend sent was no valid answer.
    Invalid,
    /// Nobody to send to.
    NoBackend(NoBackend),
}

impl Failure {
    /// The status to answer with (RFC 9110 15.6): 502 for a failed backend, 503 for none, 504 for a slow one.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::ConnectRefused | Self::Reset | Self::Invalid => 502,
            Self::NoBackend(_) => 503,
            Self::ConnectTimedOut | Self::TimedOut => 504,
        }
    }

    /// The error type for the `Proxy-Status` field (RFC 9209 2.3).
    #[must_use]
    pub fn error_type(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connection_refused",
            Self::ConnectTimedOut => "connection_timeout",
            Self::Reset => "connection_terminated",
            Self::TimedOut => "http_response_timeout",
            Self::Invalid => "http_protocol_error",
            Self::NoBackend(NoBackend::AllFull) => "connection_limit_reached",
            Self::NoBackend(NoBackend::Empty | NoBackend::NoneUsable | NoBackend::AllTried) => {
                "destination_unavailable"
            }
        }
    }
}

/// The tries of one request. The first is under way from the start.
#[derive(Clone, Debug)]
pub struct Attempts {
    tried: Tried,
    tries_left: u8,
    resets_left: u8,
    safe_method: bool,
    /// Whom a connection that had lain idle was stale with, as long as another is looked for.
    stale: Option<u32>,
    must_dial: bool,
    last: Option<Failure>,
    end: Option<Action>,
}

impl Attempts {
    /// `safe_method`: GET, HEAD, OPTIONS or TRACE (RFC 9110 9.2.1).
    #[must_use]
    pub fn new(policy: &RetryPolicy, safe_method: bool) -> Self {
        Self {
            tried: Tried::new(),
            tries_left: policy.attempts.clamp(1, Tried::CAPACITY as u8) - 1,
            resets_left: policy.resets,
            safe_method,
            stale: None,
            must_dial: false,
            last: None,
            end: None,
        }
    }

    /// Whom to leave out when picking.
    #[must_use]
    pub fn tried(&self) -> &Tried {
        &self.tried
    }

    /// Whether the next try needs a fresh connection: after a stale one there is no second reset to spend on
    /// another.
    #[must_use]
    pub fn must_dial(&self) -> bool {
        self.must_dial
    }

    /// Takes what became of the try (or of picking for it) and says what to do. Once it has said anything but
    /// [`Action::Send`] it says the same for ever.
    pub fn next(&mut self, outcome: Outcome) -> Action {
        if let Some(end) = self.end {
            return end;
        }
        let action = self.judge(outcome);
        if action != Action::Send {
            self.end = Some(action);
        }
        action
    }

    fn judge(&mut self, outcome: Outcome) -> Action {
        match outcome {
            Outcome::ConnectFailed { member, timed_out } => {
                let failure = if timed_out { Failure::ConnectTimedOut } else { Failure::ConnectRefused };
                self.go_on(member, failure)
            }
            Outcome::Reset { answer_begun: true, .. }
            | Outcome::TimedOut { answer_begun: true }
            | Outcome::Invalid { answer_begun: true } => Action::Cut,
            Outcome::Reset { member, reused, request_replayable, .. } => {
                if !self.safe_method || !request_replayable || self.resets_left == 0 {
                    return Action::Answer(Failure::Reset);
                }
                self.resets_left -= 1;
                self.stale = reused.then_some(member as u32);
                self.must_dial |= reused;
                self.go_on(member, Failure::Reset)
            }
            Outcome::TimedOut { .. } => Action::Answer(Failure::TimedOut),
            Outcome::Invalid { .. } => Action::Answer(Failure::Invalid),
            Outcome::NoneAvailable(none) => self.without_backend(none),
        }
    }

    fn go_on(&mut self, member: usize, failure: Failure) -> Action {
        self.last = Some(failure);
        if self.tries_left == 0 || !self.tried.insert(member) {
            return Action::Answer(failure);
        }
        self.tries_left -= 1;
        Action::Send
    }

    /// The try was granted already, so this spends none. A stale connection says that the backend closed it, not
    /// that the backend is gone: if there is no other, the same one is asked again.
    fn without_backend(&mut self, none: NoBackend) -> Action {
        if let Some(member) = self.stale.take() {
            self.tried.remove(member as usize);
            return Action::Send;
        }
        match (none, self.last) {
            // That the others are full is the better reason: it passes, and the answer says when to come back.
            (NoBackend::AllTried | NoBackend::NoneUsable | NoBackend::Empty, Some(failure)) => {
                Action::Answer(failure)
            }
            _ => Action::Answer(Failure::NoBackend(none)),
        }
    }
}
