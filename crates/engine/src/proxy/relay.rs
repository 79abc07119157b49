//! The answer on its way to the client, while the rest of the request may still be on its way to the backend.

use std::future::poll_fn;
use std::task::Poll;

use fairlead_balance::health::Report;
use fairlead_wire::Version;
use fairlead_wire::http1::{Body, Framing, Response, encode};

use super::breaking;
use super::exchange::{Ended, Exchange, Gone, Order, Trial};
use super::pump::{Ends, Job, Limit, Pump, PumpError, Side};
use crate::buffer::Buffer;
use crate::clock::{self, Phase};
use crate::filter::{date, hop_by_hop, via};
use crate::http::answer::Persistence;
use crate::http::connection::{Client, Next};
use crate::http::downstream::Downstream;
use crate::http::failure::Failure;
use crate::io::{Fault, Sink, Stream};
use crate::telemetry::Blame;
use crate::upstream::Connection;

impl Exchange {
    /// Gives the answer whose head is in `self.answer` to the client. Fails only while nothing of it was sent.
    pub(super) async fn relay(
        &mut self,
        order: &Order<'_>,
        mut trial: Trial,
        response: Response,
        gone: Gone<'_>,
    ) -> Result<Ended, Failure> {
        trial.sending.answer_begins(order);
        let framing = self.framing(response.body);
        // What of a body is still missing can't be told from a next request any more once the answer is over.
        let reusable = trial.sending.is_read() && framing != Framing::Close;
        let persistence = order.client.persistence(&order.request, self.request.version(), reusable);
        let head = self.compose(order, framing, persistence)?;
        let mut pump = Pump::new(&job(order, response.body, framing, persistence), head);
        let relayed = self.move_bodies(order, &mut trial, &mut pump, gone).await;
        self.count(&trial, &pump, response.len);
        judge(order, &trial, &pump, relayed.err());
        match relayed {
            Ok(()) => {
                order.client.downstream.finish(pump.trailers());
                Ok(Ended::Answered(self.conclude(order, trial, response, persistence)))
            }
            Err(failure) if pump.sent() == 0 && !order.client.has_answer() && !failure.is_silent() => {
                Err(failure)
            }
            Err(failure) => {
                pump.lift_limits(&order.client.deadline);
                self.account.cut(failure);
                // Without its last chunk a chunked body is seen to be incomplete (RFC 9112 8); all others would seem whole
                // to some client, unless the connection breaks.
                let next = if framing == Framing::Chunked { Next::Close } else { Next::Cut };
                Ok(Ended::Answered(next))
            }
        }
    }

    /// How the client gets a body that the backend frames like this.
    fn framing(&self, body: Body) -> Framing {
        match (body, self.request.version()) {
            (Body::None, _) => Framing::AsIs,
            (Body::Length(length), _) => Framing::Length(length),
            (Body::Chunked | Body::Close, Version::Http11) => Framing::Chunked,
            // RFC 9112 6.1: HTTP/1.0 has no chunks. HTTP/2 needs none: a stream says how it ended.
            (Body::Chunked | Body::Close, Version::Http10 | Version::Http2) => Framing::Close,
        }
    }

    /// The head as the client gets it: to be sent with the first bytes of the body, or, by HTTP/2, sent already.
    fn compose(
        &mut self,
        order: &Order<'_>,
        framing: Framing,
        persistence: Persistence,
    ) -> Result<Buffer, Failure> {
        let Self { answer, scratch, from_client, .. } = self;
        // RFC 9110 15.5.22: this one says to which protocol the client has to switch.
        let required = answer.status() == 426 && hop_by_hop::may_upgrade(answer);
        hop_by_hop::remove(answer, required, scratch);
        date::ensure(answer, &order.client.worker.sessions.date, clock::recently());
        if let Some(pseudonym) = &order.listener.plan.http.via {
            via::append(answer, pseudonym, scratch);
        }
        let mut out = from_client.sibling();
        if let Downstream::Http2(call) = &order.client.downstream {
            call.begin(answer, framing, scratch).map_err(|_| Failure::CLIENT_GONE)?;
            return Ok(out);
        }
        if let Some(option) = persistence.option() {
            answer.append(b"Connection", option);
        }
        encode::response(answer, framing, out.tail());
        Ok(out)
    }

    /// Ready when the answer's last byte was handed to the client's socket.
    async fn move_bodies(
        &mut self,
        order: &Order<'_>,
        trial: &mut Trial,
        pump: &mut Pump,
        mut gone: Gone<'_>,
    ) -> Result<(), Failure> {
        let client = order.client;
        poll_fn(|cx| {
            let moved = match &client.downstream {
                Downstream::Http1(to) => pump.poll(cx, &mut ends(client, &mut trial.connection, to)),
                Downstream::Http2(to) => pump.poll(cx, &mut ends(client, &mut trial.connection, &**to)),
            };
            if let Poll::Ready(moved) = moved {
                return Poll::Ready(moved.map_err(answer_fault));
            }
            if trial.sending.is_moving() {
                let sent = trial.sending.poll(cx, order, &mut self.from_client, &trial.connection.stream);
                if let Poll::Ready(Err(failure)) = sent {
                    return Poll::Ready(Err(failure));
                }
            }
            if order.watches_client(!trial.sending.is_moving()) && gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Failure::CLIENT_GONE));
            }
            Poll::Pending
        })
        .await
    }

    fn count(&mut self, trial: &Trial, pump: &Pump, head: usize) {
        self.account.request_bytes = trial.sending.payload();
        self.account.response_bytes = pump.payload();
        let counters = trial.slot.counters();
        counters.bytes_out.add(trial.sending.sent());
        counters.bytes_in.add(head as u64 + pump.payload());
    }

    /// Both connections after a whole answer.
    fn conclude(
        &mut self,
        order: &Order<'_>,
        trial: Trial,
        response: Response,
        persistence: Persistence,
    ) -> Next {
        let Trial { connection, slot, sending, .. } = trial;
        let complete = sending.is_complete();
        // Bytes behind the answer were asked for by nobody: `give_back` keeps no connection that has some.
        if response.persistent && complete {
            let options = &order.route.pool.plan.idle;
            order.client.worker.upstreams.give_back(slot.backend(), connection, options);
        }
        order.next(persistence, complete && self.from_client.is_empty())
    }
}

impl Order<'_> {
    /// What becomes of the client's connection after a whole answer.
    fn next(&self, persistence: Persistence, all_read: bool) -> Next {
        if persistence.keeps() {
            return Next::Idle;
        }
        // A client that said it would close has nothing more to send; any other may have, unread.
        if self.request.persistent || !all_read { Next::Linger } else { Next::Close }
    }
}

/// What the end of an answer says of its backend. A client that leaves says nothing of it, and one that broke off is the
/// client's doing if he didn't let the backend go on; of one that paused too long nobody knows whether it wasn't meant to, as streams of events are.
fn judge(order: &Order<'_>, trial: &Trial, pump: &Pump, failure: Option<Failure>) {
    let broke = failure == Some(Failure::ANSWER_INCOMPLETE);
    if broke {
        trial.slot.counters().resets.add(1);
    }
    if !trial.unsettled {
        return;
    }
    match failure {
        None => trial.slot.report(order, Report::Whole),
        Some(failure) if failure.blame == Blame::Client => {}
        Some(_) if pump.has_slow_sink() || !trial.sending.is_complete() => {}
        Some(failure) if broke || failure.error == Failure::MALFORMED.error => {
            if broke {
                trial.slot.failed();
            }
            trial.slot.report(order, Report::BrokenOff);
            breaking::broke_off(order, &trial.slot);
        }
        Some(_) => {}
    }
}

fn ends<'a, T: Sink>(client: &'a Client, from: &'a mut Connection, to: &'a T) -> Ends<'a, Stream, T> {
    let Connection { stream, input, .. } = from;
    Ends { from: stream, input, to, deadline: &client.deadline, pipes: &client.worker.pipes }
}

fn job(order: &Order<'_>, body: Body, framing: Framing, persistence: Persistence) -> Job {
    Job {
        body,
        framing,
        trailers: order.listener.plan.http.limits,
        max_body: None,
        read: Some(Limit {
            phase: Phase::StreamIdle,
            gap: order.route.plan.timeouts.stream_idle,
            lowest_rate: false,
        }),
        write: Some(Limit {
            phase: Phase::Write,
            gap: order.listener.plan.timeouts.write,
            lowest_rate: true,
        }),
        // Whatever is next of a connection that isn't kept begins with closing it, at least for sending.
        ends_stream: !persistence.keeps(),
    }
}

/// What a fault on the answer's way means for the request.
fn answer_fault(error: PumpError) -> Failure {
    match (error.side, error.fault) {
        (_, Fault::TimedOut(phase)) => Failure::timed_out(phase),
        (Side::From, Fault::Malformed(refusal)) => Failure::malformed(refusal),
        (Side::From, _) => Failure::ANSWER_INCOMPLETE,
        (Side::To, _) => Failure::CLIENT_GONE,
    }
}
