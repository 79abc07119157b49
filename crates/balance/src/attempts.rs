//! One request's tries, as a state machine: the engine reports what became of a try and is told what to do.
//!
//! What may be tried again follows RFC 9110 9.2.2: a connection that was never made carried nothing, so any
//! request goes on to the next backend; one that broke before the answer, or whose answer was an error that may pass, is
//! repeated only for safe methods and within the pool's [`Budget`]; once a byte of the answer has left there is nothing
//! to decide.

use std::time::{Duration, Instant};

use crate::backoff::backoff;
use crate::budget::Budget;
use crate::hedge::{HedgePolicy, Hedging};
use crate::pool::NoBackend;
use crate::tried::Tried;

/// How often, and after what, a request may be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// All tries of a request together, 1 to 32; beyond that it counts as 32.
    pub attempts: u8,
    /// Whether a connection that was never made is followed by a try on the next backend.
    pub connect: bool,
    /// Tries again after a connection broke before the answer's first byte, for repeatable methods.
    pub resets: u8,
    /// Whether a try that took longer than it may is followed by another, for repeatable methods.
    pub timeouts: bool,
    /// Answers that are followed by another try, for repeatable methods. Sorted.
    pub statuses: Vec<u16>,
    /// How many all tries again but those after connect failures may be, in thousandths of the pool's requests; `None`
    /// for any number.
    pub budget: Option<u32>,
    /// The first ceiling of what is waited before a try again, connect failures excepted; zero for at once.
    pub backoff: Duration,
}

impl RetryPolicy {
    /// Whether an answer of this status may be followed by another try.
    #[must_use]
    pub fn repeats_after(&self, status: u16) -> bool {
        self.statuses.binary_search(&status).is_ok()
    }
}

impl Default for RetryPolicy {
    /// Eight tries: with seven backends refused, an eighth is unlikely to be better and the client has waited.
    /// One reset: a second one in a row looks like a request that kills its backends.
    fn default() -> Self {
        Self {
            attempts: 8,
            connect: true,
            resets: 1,
            timeouts: false,
            statuses: Vec::new(),
            budget: None,
            backoff: Duration::ZERO,
        }
    }
}

/// What a decision is made with besides: the pool's budget, the time, and a random number uniform over all of its values.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// Of the pool that is tried.
    pub budget: &'a Budget,
    /// Now.
    pub now: Instant,
    /// For the wait before the next try.
    pub random: u64,
    /// The pool has a queue.
    pub queues: bool,
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
    /// The head of an answer is here, and nothing of it has gone to the client.
    Answered {
        /// Who was tried.
        member: usize,
        /// Its status.
        status: u16,
        /// Nothing of the body was read from the client, or all that was read is still buffered.
        request_replayable: bool,
    },
    /// The try took longer than a single try may, and nothing of an answer has gone to the client.
    TryTimedOut {
        /// Who was tried.
        member: usize,
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
    /// The same after this time.
    Wait(Duration),
    /// The same as [`Action::Send`], waiting for room if there is none.
    Queue,
    /// Pick another besides, and send the request there too: the first answer counts.
    Hedge,
    /// Wait on for the try that is under way.
    Keep,
    /// The answer that is here is the client's, whatever it says.
    Pass,
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
    /// The last backend tried gave an answer that was to be tried again.
    Answered(u16),
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
            Self::Answered(status) => status,
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
            Self::Answered(_)
            | Self::NoBackend(NoBackend::Empty | NoBackend::NoneUsable | NoBackend::AllTried) => {
                "destination_unavailable"
            }
        }
    }
}

/// The tries of one request. The first is under way from the start.
#[derive(Clone, Debug)]
pub struct Attempts<'a> {
    policy: &'a RetryPolicy,
    tried: Tried,
    tries_left: u8,
    resets_left: u8,
    /// Tries again that were waited for.
    waits: u32,
    repeatable: bool,
    /// Who may be asked a second time if there is no other: it closed a connection that lay idle, or it is there and didn't
    /// answer as wished.
    again: Option<u32>,
    must_dial: bool,
    queued: bool,
    /// Second tries that may be made beside one.
    hedges_left: u8,
    last: Option<Failure>,
    end: Option<Action>,
}

impl<'a> Attempts<'a> {
    /// `repeatable`: doing it twice is as good as once. GET, HEAD, OPTIONS and TRACE are (RFC 9110 9.2.1), others if
    /// somebody who knows them says so.
    #[must_use]
    pub fn new(policy: &'a RetryPolicy, repeatable: bool) -> Self {
        Self {
            policy,
            tried: Tried::new(),
            tries_left: policy.attempts.clamp(1, Tried::CAPACITY as u8) - 1,
            resets_left: policy.resets,
            waits: 0,
            repeatable,
            again: None,
            must_dial: false,
            queued: false,
            hedges_left: 1,
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

    /// Whether `member` is who only closed a connection that had lain idle: then it may be asked again, on a fresh one, by
    /// a request that belongs there.
    pub fn asks_again(&mut self, member: usize) -> bool {
        let again = self.must_dial && self.again == Some(member as u32);
        if again {
            self.again = None;
            self.tried.remove(member);
        }
        again
    }

    /// Takes what became of the try (or of picking for it) and says what to do. Once it has said anything but
    /// [`Action::Send`], [`Action::Wait`] and [`Action::Queue`] it says the same for ever.
    pub fn next(&mut self, outcome: Outcome, means: &Means<'_>) -> Action {
        if let Some(end) = self.end {
            return end;
        }
        let action = self.judge(outcome, means);
        if !matches!(action, Action::Send | Action::Wait(_) | Action::Queue) {
            self.end = Some(action);
        }
        action
    }

    /// The try at `member` takes longer than its request waits before a second one is made beside it. There is one such try
    /// for a request, besides those of its policy and only within the budget. Where it went is [told](Self::beside).
    pub fn slow(&mut self, member: usize, policy: &HedgePolicy, hedging: &Hedging, now: Instant) -> Action {
        let may = self.hedges_left > 0 && self.end.is_none() && self.repeatable;
        // The budget last: nothing is drawn for a try that isn't made.
        if !may || !self.tried.insert(member) || !hedging.draw(policy, now) {
            return Action::Keep;
        }
        self.hedges_left -= 1;
        Action::Hedge
    }

    /// The second try was made at `member`, which no further one goes to.
    pub fn beside(&mut self, member: usize) {
        // Without room for it among those that were tried it may be asked again, which does no harm.
        let _ = self.tried.insert(member);
    }

    fn judge(&mut self, outcome: Outcome, means: &Means<'_>) -> Action {
        match outcome {
            Outcome::ConnectFailed { member, timed_out } => {
                let failure = if timed_out { Failure::ConnectTimedOut } else { Failure::ConnectRefused };
                if !self.policy.connect || !self.leave(member, failure) {
                    return Action::Answer(failure);
                }
                Action::Send
            }
            Outcome::Reset { answer_begun: true, .. }
            | Outcome::TimedOut { answer_begun: true }
            | Outcome::Invalid { answer_begun: true } => Action::Cut,
            Outcome::Reset { member, reused, request_replayable, .. } => {
                if self.resets_left == 0 || !self.repeat(member, Failure::Reset, request_replayable, means) {
                    return Action::Answer(Failure::Reset);
                }
                self.resets_left -= 1;
                // That it closed a connection which had lain idle doesn't say that it is gone.
                self.again = reused.then_some(member as u32);
                self.must_dial |= reused;
                self.wait(means)
            }
            Outcome::Answered { member, status, request_replayable } => {
                if !self.policy.repeats_after(status)
                    || !self.repeat(member, Failure::Answered(status), request_replayable, means)
                {
                    return Action::Pass;
                }
                self.again = Some(member as u32);
                self.wait(means)
            }
            Outcome::TryTimedOut { member, request_replayable } => {
                if !self.policy.timeouts || !self.repeat(member, Failure::TimedOut, request_replayable, means)
                {
                    return Action::Answer(Failure::TimedOut);
                }
                self.again = Some(member as u32);
                self.wait(means)
            }
            Outcome::TimedOut { .. } => Action::Answer(Failure::TimedOut),
            Outcome::Invalid { .. } => Action::Answer(Failure::Invalid),
            // Once: what a request may wait in all is the queue's time.
            Outcome::NoneAvailable(NoBackend::AllFull) if means.queues && !self.queued => {
                self.queued = true;
                Action::Queue
            }
            Outcome::NoneAvailable(none) => self.without_backend(none),
        }
    }

    /// Whether what was sent may be sent once more, and if so takes what it costs.
    fn repeat(&mut self, member: usize, failure: Failure, replayable: bool, means: &Means<'_>) -> bool {
        // The budget last: nothing is drawn for a try that isn't made.
        self.repeatable
            && replayable
            && self.tries_left > 0
            && self.policy.budget.is_none_or(|share| means.budget.draw(share, means.now))
            && self.leave(member, failure)
    }

    /// Takes a try for another backend than `member`, if there is one left.
    fn leave(&mut self, member: usize, failure: Failure) -> bool {
        self.last = Some(failure);
        if self.tries_left == 0 || !self.tried.insert(member) {
            return false;
        }
        self.tries_left -= 1;
        true
    }

    fn wait(&mut self, means: &Means<'_>) -> Action {
        let wait = backoff(self.policy.backoff, self.waits, means.random);
        self.waits += 1;
        if wait.is_zero() { Action::Send } else { Action::Wait(wait) }
    }

    /// The try was granted already, so this spends none. Who only closed an idle connection, or answered otherwise than
    /// was wished, is asked again if there is no other.
    fn without_backend(&mut self, none: NoBackend) -> Action {
        if let Some(member) = self.again.take() {
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
