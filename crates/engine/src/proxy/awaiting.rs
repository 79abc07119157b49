//! Waiting for the head of the answer, while the request is still on its way and the client may go away.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use fairlead_balance::Outcome;
use fairlead_balance::health::Report;
use fairlead_wire::http1::{Framing, Response, encode, parse};
use fairlead_wire::{Head, Version};

use super::breaking::{self, Became};
use super::exchange::{Exchange, Gone, Order, Trial, Trouble};
use crate::buffer::Buffer;
use crate::clock::{self, Phase};
use crate::filter::{hop_by_hop, via};
use crate::http::downstream::Downstream;
use crate::http::failure::Failure;
use crate::io::{Fault, Source};
use crate::upstream::Connection;

impl Exchange {
    /// The head of the final answer, or of the one that switches protocols, in `self.answer`. Interim answers are passed
    /// on as they come.
    pub(super) async fn await_answer(
        &mut self,
        order: &Order<'_>,
        trial: &mut Trial,
        mut gone: Gone<'_>,
    ) -> Result<Response, Trouble> {
        loop {
            let awaited = self.await_head(order, trial, gone.as_mut()).await;
            if let Some(response) = self.take_head(order, trial, awaited).await? {
                return Ok(response);
            }
        }
    }

    /// What came: the head of the final answer, or an interim one that is passed on; then there is more to wait for.
    pub(super) async fn take_head(
        &mut self,
        order: &Order<'_>,
        trial: &mut Trial,
        awaited: Result<Response, Obstacle>,
    ) -> Result<Option<Response>, Trouble> {
        let response = match awaited {
            Ok(response) => response,
            Err(obstacle) => return Err(self.without_answer(obstacle, order, trial)),
        };
        trial.connection.input.consume(response.len);
        let status = self.answer.status();
        if status >= 200 || response.upgrade {
            self.answered(order, trial, &response);
            return Ok(Some(response));
        }
        trial.interim = true;
        if status == 100 {
            trial.sending.go_on(order, &self.from_client);
        }
        self.pass_on_interim(order).await?;
        Ok(None)
    }

    /// The head of a final answer is here: everybody who wants to know is told. Of a good one that isn't whole yet it is said
    /// later how it ended; but it counts now, since that may be in days.
    fn answered(&mut self, order: &Order<'_>, trial: &mut Trial, response: &Response) {
        let now = clock::now();
        let status = self.answer.status();
        self.account.answered(status, now);
        trial.slot.counters().codes.count(status);
        let said = said(&self.answer);
        trial.unsettled = said == Report::Answered && !response.upgrade && !trial.has_whole(response.body);
        let (said_now, became) = match (trial.unsettled, status) {
            (true, _) => (Report::Begun, Became::Begun),
            (_, 500..) => (said, Became::Failed),
            _ => (said, Became::Answered),
        };
        if trial.unsettled || response.upgrade {
            trial.slot.goes_on();
        }
        trial.slot.report(order, said_now);
        breaking::report(order, &trial.slot, became);
        // 503 is said of the backend's load; 429, of what one client asks for.
        if status == 503 {
            trial.slot.adapt(None, now);
        }
        if let Some(sent) = trial.sending.sent_at() {
            let took = now.saturating_duration_since(sent);
            trial.slot.took(took, now);
            // An error may be quick because nothing was done.
            if said == Report::Answered {
                trial.slot.adapt(Some(took), now);
            }
            if trial.hedgeable {
                order.route.pool.plan.live.hedging().observe(took);
            }
        }
    }

    /// The next head that the backend sends.
    pub(super) async fn await_head(
        &mut self,
        order: &Order<'_>,
        trial: &mut Trial,
        mut gone: Gone<'_>,
    ) -> Result<Response, Obstacle> {
        let Self { request, answer, from_client, .. } = self;
        poll_fn(|cx| {
            let (sent, head) = poll_try(cx, order, trial, from_client, request.method(), answer);
            if head.is_ready() {
                return head;
            }
            if order.watches_client(sent) && gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Obstacle::Request(Failure::CLIENT_GONE)));
            }
            Poll::Pending
        })
        .await
    }

    /// Gives an interim answer to the client (RFC 9110 15.2). An HTTP/1.0 client doesn't know them.
    async fn pass_on_interim(&mut self, order: &Order<'_>) -> Result<(), Failure> {
        let Order { client, listener, .. } = order;
        if self.request.version() == Version::Http10 {
            return Ok(());
        }
        hop_by_hop::remove(&mut self.answer, false, &mut self.scratch);
        if let Some(pseudonym) = &listener.plan.http.via {
            via::append(&mut self.answer, pseudonym, &mut self.scratch);
        }
        let socket = match &client.downstream {
            Downstream::Http1(socket) => socket,
            Downstream::Http2(call) => {
                return call.send_interim(&self.answer).map_err(|_| Failure::CLIENT_GONE);
            }
        };
        let mut out = self.from_client.sibling();
        encode::response(&self.answer, Framing::AsIs, out.tail());
        client.deadline.set(Phase::Write, clock::now() + listener.plan.timeouts.write);
        let written = socket.write_all(&client.deadline, out.filled()).await;
        client.deadline.clear(Phase::Write);
        written.map_err(|fault| match fault {
            Fault::TimedOut(phase) => Failure::timed_out(phase),
            _ => Failure::CLIENT_GONE,
        })
    }

    /// What it means for the request that no head came.
    fn without_answer(&mut self, obstacle: Obstacle, order: &Order<'_>, trial: &mut Trial) -> Trouble {
        self.account.request_bytes = trial.sending.payload();
        blame(obstacle, order, trial);
        let begun = trial.has_begun();
        let member = trial.slot.index();
        let reused = trial.connection.is_reused();
        let request_replayable = trial.sending.is_replayable(order.request.body);
        let outcome = match obstacle {
            Obstacle::Request(Failure::TRY_TIMEOUT) if !begun => {
                Outcome::TryTimedOut { member, request_replayable }
            }
            Obstacle::Request(failure) | Obstacle::Answer(failure) => return failure.into(),
            Obstacle::Broken if begun => return Failure::ANSWER_INCOMPLETE.into(),
            Obstacle::Broken => Outcome::Reset { member, reused, answer_begun: false, request_replayable },
        };
        self.give_up(order, trial);
        Trouble::Try(outcome)
    }
}

/// What it says of its backend that a try got no head: nothing, if that isn't its own doing.
pub(super) fn blame(obstacle: Obstacle, order: &Order<'_>, trial: &Trial) {
    let Trial { slot, sending, .. } = trial;
    let counters = slot.counters();
    counters.bytes_out.add(sending.sent());
    if matches!(obstacle, Obstacle::Broken) {
        counters.resets.add(1);
    }
    if !obstacle.is_the_backends(trial) {
        return;
    }
    breaking::report(order, slot, Became::Failed);
    match obstacle {
        Obstacle::Request(Failure::TRY_TIMEOUT) if !trial.has_begun() => {
            counters.timeouts.add(1);
            slot.failed();
            slot.adapt(None, clock::now());
            slot.report(order, Report::TimedOut);
        }
        Obstacle::Request(_) => {
            counters.timeouts.add(1);
            slot.report(order, Report::TimedOut);
            let now = clock::now();
            slot.adapt(None, now);
            // It would have taken longer; that it took so long is known.
            if let Some(sent) = sending.sent_at() {
                slot.waited(now.saturating_duration_since(sent), now);
            }
        }
        Obstacle::Answer(_) => slot.report(order, Report::Errored),
        Obstacle::Broken => {
            slot.failed();
            slot.report(order, Report::Reset);
        }
    }
}

/// What the head of an answer says of its backend.
fn said(answer: &Head) -> Report {
    match answer.status() {
        429 => Report::Overloaded,
        503 if answer.named(b"Retry-After").is_some() => Report::Overloaded,
        503 => Report::Unavailable,
        500..=599 => Report::Errored,
        _ => Report::Answered,
    }
}

/// Why no head came.
#[derive(Clone, Copy)]
pub(super) enum Obstacle {
    /// The client's fault, or a limit.
    Request(Failure),
    /// The backend sent what is no head.
    Answer(Failure),
    /// The backend closed or reset the connection.
    Broken,
}

impl Obstacle {
    /// Whether another try under way changes nothing about it.
    pub(super) fn is_the_requests(self) -> bool {
        matches!(self, Self::Request(_))
    }

    /// Whether it speaks against the backend. While a client keeps its request's body back, whoever loses patience meanwhile
    /// is not to blame: else anybody could have backends taken for sick.
    fn is_the_backends(self, trial: &Trial) -> bool {
        let Trial { connection, sending, .. } = trial;
        match self {
            Self::Request(Failure::ANSWER_TIMEOUT | Failure::TRY_TIMEOUT) => sending.is_the_backends_turn(),
            Self::Request(_) => false,
            Self::Answer(_) => true,
            // One that was closed while it lay idle says nothing about the backend.
            Self::Broken => (trial.has_begun() || !connection.is_reused()) && !sending.is_slow(),
        }
    }
}

/// Sends what can be sent and reads what is here. Says besides whether there is nothing left to send.
pub(super) fn poll_try(
    cx: &mut Context<'_>,
    order: &Order<'_>,
    trial: &mut Trial,
    received: &mut Buffer,
    method: &[u8],
    answer: &mut Head,
) -> (bool, Poll<Result<Response, Obstacle>>) {
    let sent = trial.sending.poll(cx, order, received, &trial.connection.stream);
    if let Poll::Ready(Err(failure)) = sent {
        return (true, Poll::Ready(Err(Obstacle::Request(failure))));
    }
    (sent.is_ready(), poll_head(cx, order, trial, method, answer))
}

/// Receives and reads until the head is whole. Nothing is held while the backend is silent.
fn poll_head(
    cx: &mut Context<'_>,
    order: &Order<'_>,
    trial: &mut Trial,
    method: &[u8],
    answer: &mut Head,
) -> Poll<Result<Response, Obstacle>> {
    let deadline = &order.client.deadline;
    let limits = &order.listener.plan.http.limits;
    let Trial { connection: Connection { stream, input, .. }, scan, .. } = trial;
    loop {
        if !input.is_empty() {
            match parse::response(input.filled(), scan, limits, method, answer) {
                Ok(Some(response)) => return Poll::Ready(Ok(response)),
                Ok(None) => {}
                Err(refusal) => return Poll::Ready(Err(Obstacle::Answer(Failure::malformed(refusal)))),
            }
        }
        let received = match ready!(stream.poll_readable(cx, deadline)) {
            Ok(()) if input.make_room(limits.max_bytes) => ready!(stream.poll_read(cx, deadline, input)),
            Ok(()) => return Poll::Ready(Err(Obstacle::Answer(Failure::ANSWER_HEAD_TOO_LARGE))),
            Err(fault) => Err(fault),
        };
        match received {
            Ok(0) => return Poll::Ready(Err(Obstacle::Broken)),
            Ok(_) => {}
            Err(Fault::TimedOut(phase)) => {
                return Poll::Ready(Err(Obstacle::Request(Failure::timed_out(phase))));
            }
            Err(_) => return Poll::Ready(Err(Obstacle::Broken)),
        }
    }
}
