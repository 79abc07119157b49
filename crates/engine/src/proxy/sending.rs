//! The request on its way to the backend: its head, and its body behind it while the answer is already waited for.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use fairlead_wire::Head;
use fairlead_wire::http1::{Body, Framing, encode};

use super::exchange::Order;
use super::pump::{Ends, Job, Limit, Pump, PumpError, SLOW, Side};
use super::replay::Replay;
use crate::buffer::Buffer;
use crate::clock::{self, Phase};
use crate::http::connection::Client;
use crate::http::downstream::Downstream;
use crate::http::failure::Failure;
use crate::io::{Fault, Source, Stream};

/// A request that is being sent.
pub(super) struct Sending {
    pump: Pump,
    state: State,
    /// A body that waits until the backend has said 100 (RFC 9110 10.1.1), or the client is tired of waiting.
    held_back: Option<Job>,
    /// When the backend had all of it.
    sent_at: Option<Instant>,
    /// Since when the body is held back.
    held_at: Option<Instant>,
    /// Where a single try is limited: how much was sent when its time began anew, `None` while it stands still.
    timed: Option<u64>,
    /// The answer has begun: nobody is in a hurry any more.
    answering: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Moving,
    /// The head was sent and the body is held back.
    Waiting,
    /// All of it is with the backend.
    Sent,
    /// The backend takes no more of it. It may have answered nevertheless.
    Stopped,
}

impl Sending {
    /// The request with this head; its body begins with what is in `received`.
    pub(super) fn new(order: &Order<'_>, head: &Head, received: &Buffer) -> Self {
        let job = job(order);
        let mut out = received.sibling();
        encode::request(head, job.framing, out.tail());
        let replay = replay(order, head, received);
        if order.request.expect_continue && received.is_empty() {
            let head_only = Job { body: Body::None, framing: Framing::AsIs, ..job };
            return Self::with(Pump::new(&head_only, out).keeping(replay), Some(job));
        }
        Self::with(Pump::new(&job, out).keeping(replay), None)
    }

    /// A second time, beside a try that goes on: the limits are that one's. Only for requests without a body.
    pub(super) fn beside(order: &Order<'_>, head: &Head, received: &Buffer) -> Self {
        let job = Job { read: None, write: None, ..job(order) };
        let mut out = received.sibling();
        encode::request(head, job.framing, out.tail());
        Self { answering: true, ..Self::with(Pump::new(&job, out), None) }
    }

    fn with(pump: Pump, held_back: Option<Job>) -> Self {
        Self {
            pump,
            state: State::Moving,
            held_back,
            sent_at: None,
            held_at: None,
            timed: Some(0),
            answering: false,
        }
    }

    /// Sends what can be sent. Ready when there is nothing left to do: all is sent, or nothing more is taken.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        order: &Order<'_>,
        received: &mut Buffer,
        to: &Stream,
    ) -> Poll<Result<(), Failure>> {
        let client = order.client;
        loop {
            match self.state {
                State::Moving => {}
                State::Waiting => {
                    // A client may send its body unasked (RFC 9110 10.1.1).
                    ready!(client.downstream.poll_readable(cx, &client.deadline)).map_err(client_fault)?;
                    self.go_on(order, received);
                }
                State::Sent | State::Stopped => return Poll::Ready(Ok(())),
            }
            let moved = match &client.downstream {
                Downstream::Http1(from) => self.pump.poll(cx, &mut ends(client, from, received, to)),
                Downstream::Http2(from) => self.pump.poll(cx, &mut ends(client, &**from, received, to)),
            };
            if let Some(limit) = order.route.plan.retry.per_try {
                self.time_try(limit, moved.is_pending(), order);
            }
            match ready!(moved) {
                Ok(()) if self.held_back.is_some() => self.settle(State::Waiting, order),
                Ok(()) => self.settle(State::Sent, order),
                Err(PumpError { side: Side::From, fault }) => return Poll::Ready(Err(client_fault(fault))),
                Err(PumpError { fault: Fault::TimedOut(phase), .. }) => {
                    return Poll::Ready(Err(Failure::timed_out(phase)));
                }
                Err(_) => self.settle(State::Stopped, order),
            }
        }
    }

    /// Time of a try is time that the backend takes. It stands still while the client has to go on with its body, and begins
    /// anew when there is something for the backend to take again.
    fn time_try(&mut self, limit: Duration, goes_on: bool, order: &Order<'_>) {
        // One that was sent whole at once has had its time from the beginning.
        if self.answering || !goes_on && self.timed == Some(0) {
            return;
        }
        let timed = (!goes_on || !self.pump.awaits_source()).then(|| self.pump.sent());
        if timed == self.timed {
            return;
        }
        self.timed = timed;
        match timed {
            Some(_) => order.client.deadline.set(Phase::Try, clock::now() + limit),
            None => order.client.deadline.clear(Phase::Try),
        }
    }

    /// It is the backend's turn: it has all of the request, or doesn't take what is there of it.
    pub(super) fn is_the_backends_turn(&self) -> bool {
        match self.state {
            State::Sent | State::Stopped => true,
            State::Moving => !self.pump.awaits_source(),
            // The backend may say 100, and the client may go on without that.
            State::Waiting => false,
        }
    }

    /// The backend may have given up since it didn't get all of the request: its client is slow.
    pub(super) fn is_slow(&self) -> bool {
        let is_held = self.held_at.is_some_and(|at| clock::now().saturating_duration_since(at) >= SLOW);
        self.state != State::Sent && (is_held || self.pump.has_slow_source())
    }

    /// There is more of it to be sent, and the client or the backend may be waited for.
    pub(super) fn is_moving(&self) -> bool {
        self.state == State::Moving
    }

    /// Lets the body follow that was held back.
    pub(super) fn go_on(&mut self, order: &Order<'_>, received: &Buffer) {
        if let Some(job) = self.held_back.take() {
            order.client.deadline.clear(Phase::Response);
            order.client.deadline.clear(Phase::Try);
            self.timed = None;
            self.held_at = None;
            let replay = self.pump.kept();
            self.pump = Pump::new(&job, received.sibling()).keeping(replay);
            self.state = State::Moving;
        }
    }

    /// The answer begins: both sides may take their time with the rest of the request, as long as the answer moves.
    pub(super) fn answer_begins(&mut self, order: &Order<'_>) {
        self.answering = true;
        order.client.deadline.clear(Phase::Response);
        self.pump.lift_limits(&order.client.deadline);
    }

    /// When the backend had all of the request.
    pub(super) fn sent_at(&self) -> Option<Instant> {
        self.sent_at
    }

    /// All of the request was taken from the client, and given to the backend.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Sent
    }

    /// What follows in the client's buffer is the next request.
    pub(super) fn is_read(&self) -> bool {
        self.held_back.is_none() && self.pump.is_decoded()
    }

    /// It can be sent once more: it has no body, or one of which nothing is used up that isn't kept. (Of chunks even a size
    /// without its data is something.)
    pub(super) fn is_replayable(&self, body: Body) -> bool {
        self.pump.keeps()
            || match body {
                Body::None => true,
                Body::Length(_) | Body::Close => self.pump.payload() == 0,
                Body::Chunked => self.held_back.is_some(),
            }
    }

    /// Nothing more is sent of it. Returns what was used up of its body, if it is kept.
    pub(super) fn stop(&mut self, order: &Order<'_>) -> Option<Box<Replay>> {
        order.client.deadline.clear(Phase::Response);
        self.pump.lift_limits(&order.client.deadline);
        self.pump.kept()
    }

    /// Bytes of its body taken from the client.
    pub(super) fn payload(&self) -> u64 {
        self.pump.payload()
    }

    /// Bytes given to the backend's socket.
    pub(super) fn sent(&self) -> u64 {
        self.pump.sent()
    }

    fn settle(&mut self, state: State, order: &Order<'_>) {
        self.state = state;
        let now = clock::now();
        match state {
            State::Sent => self.sent_at = Some(now),
            State::Waiting => self.held_at = Some(now),
            State::Moving | State::Stopped => {}
        }
        if !self.answering {
            order.client.deadline.set(Phase::Response, now + order.route.plan.timeouts.response);
        }
    }
}

fn ends<'a, F: Source>(
    client: &'a Client,
    from: &'a F,
    input: &'a mut Buffer,
    to: &'a Stream,
) -> Ends<'a, F, Stream> {
    Ends { from, input, to, deadline: &client.deadline, pipes: &client.worker.pipes }
}

fn job(order: &Order<'_>) -> Job {
    let body = order.request.body;
    Job {
        body,
        framing: match body {
            Body::Length(length) => Framing::Length(length),
            // Without a length: in chunks, or up to the end of a stream.
            Body::Chunked | Body::Close => Framing::Chunked,
            Body::None => Framing::AsIs,
        },
        trailers: order.listener.plan.http.limits,
        max_body: order.route.plan.max_body,
        read: Some(Limit { phase: Phase::Body, gap: order.listener.plan.timeouts.body, lowest_rate: true }),
        // A backend that doesn't take its request doesn't answer either.
        write: Some(Limit {
            phase: Phase::Response,
            gap: order.route.plan.timeouts.response,
            lowest_rate: false,
        }),
        ends_stream: false,
    }
}

/// What keeps the body for a further try, if one may follow once the body was read.
fn replay(order: &Order<'_>, head: &Head, received: &Buffer) -> Option<Box<Replay>> {
    let retry = &order.route.plan.retry;
    let fits = match order.request.body {
        Body::None => false,
        Body::Length(length) => length <= retry.replay as u64,
        Body::Chunked | Body::Close => true,
    };
    let keeps = retry.replay > 0 && fits && retry.repeats(head.method());
    keeps.then(|| Box::new(Replay::new(received.sibling(), retry.replay)))
}

/// What a fault of the client's side means for its request.
fn client_fault(fault: Fault) -> Failure {
    match fault {
        Fault::Closed => Failure::BODY_INCOMPLETE,
        Fault::Reset | Fault::Other(_) => Failure::CLIENT_GONE,
        Fault::TimedOut(phase) => Failure::timed_out(phase),
        Fault::Malformed(refusal) => Failure::refused(refusal),
        Fault::TooLarge => Failure::BODY_TOO_LARGE,
    }
}
