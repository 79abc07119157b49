//! One direction of a tunnel: copied while little moves at a time, spliced while much does.

use std::io::ErrorKind;
use std::task::{Context, Poll, ready};

use super::Terms;
use crate::buffer::Buffer;
use crate::clock::Deadline;
use crate::io::{Fault, Leave, Sink, Source, Stream};
use crate::proxy::pump::{PumpError, Side};
use crate::proxy::splice::{self, Pipes, Splice};

/// Receives in one poll of a direction, after which others get their turn.
const ROUNDS: u32 = 16;

/// A spliced direction that moves less than this at a time is copied again: a message is cheaper so.
const TRICKLE: u64 = 64 * 1024;

pub(super) struct Direction {
    /// Sent before what is in the source's buffer.
    first: Buffer,
    moved: u64,
    spliced: u64,
    /// Received since the source was last found empty.
    burst: u64,
    /// Received before, as far back as it came in bursts of a [`TRICKLE`] and more.
    flow: u64,
    way: Way,
    /// What was received last is all there will be.
    is_last: bool,
    state: State,
}

/// How bytes go.
enum Way {
    Copy,
    /// Copied so far; the next that come are spliced.
    Flood,
    Splice(Splice),
    /// The kernel can't splice between these two.
    CopyOnly,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source ended; what it sent may still be on its way.
    Ended,
    /// The end was passed on.
    Shut,
}

impl Direction {
    /// `clear`: bytes go on as they come.
    pub(super) fn new(first: Buffer, clear: bool) -> Self {
        let way = if clear { Way::Copy } else { Way::CopyOnly };
        Self { first, moved: 0, spliced: 0, burst: 0, flow: 0, way, is_last: false, state: State::Open }
    }

    /// Bytes handed to the sink.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// How many of them the kernel moved.
    pub(super) fn spliced(&self) -> u64 {
        self.spliced
    }

    /// Whether the source may still send.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Ready when the source ended and the sink was told.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        input: &mut Buffer,
        to: &Stream,
        terms: &Terms<'_>,
    ) -> Poll<Result<(), PumpError>> {
        for _ in 0..ROUNDS {
            let flushed = ready!(self.poll_flush(cx, input, to, terms.deadline));
            flushed.map_err(|fault| PumpError { side: Side::To, fault })?;
            match self.state {
                State::Open => {
                    let received = ready!(self.poll_receive(cx, from, input, terms))
                        .map_err(|fault| PumpError { side: Side::From, fault })?;
                    if received == 0 {
                        self.state = State::Ended;
                    }
                }
                State::Ended => {
                    // A sink that is gone says so when it is next read.
                    let finished = ready!(to.poll_finish(cx, terms.deadline));
                    if let Err(fault @ Fault::TimedOut(_)) = finished {
                        return Poll::Ready(Err(PumpError { side: Side::To, fault }));
                    }
                    self.state = State::Shut;
                    self.way = Way::CopyOnly;
                }
                State::Shut => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends everything received.
    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        to: &Stream,
        deadline: &Deadline,
    ) -> Poll<Result<(), Fault>> {
        let leave = if self.is_last { Leave::WithTheEnd } else { Leave::Now };
        while self.first.len() + input.len() > 0 {
            let parts = [self.first.filled(), input.filled(), &[]];
            let sent = ready!(to.poll_write(cx, deadline, parts, leave))?;
            let first = sent.min(self.first.len());
            self.first.consume(first);
            input.consume(sent - first);
            self.moved += sent as u64;
        }
        self.first.release();
        if let Way::Splice(splice) = &mut self.way {
            while splice.held() > 0 {
                let sent = ready!(splice.poll_out(cx, deadline, to))? as u64;
                self.moved += sent;
                self.spliced += sent;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Receives more; everything received before was sent.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        input: &mut Buffer,
        terms: &Terms<'_>,
    ) -> Poll<Result<usize, Fault>> {
        // Before a pipe or a buffer is taken: a direction that waits has neither.
        let received = if from.poll_readable(cx, terms.deadline).is_ready() {
            self.receive_some(cx, from, input, terms)
        } else {
            Poll::Pending
        };
        if let Poll::Ready(Ok(count)) = received {
            self.burst += count as u64;
        } else {
            input.release();
            self.rest();
        }
        received
    }

    fn receive_some(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        input: &mut Buffer,
        terms: &Terms<'_>,
    ) -> Poll<Result<usize, Fault>> {
        if matches!(self.way, Way::Flood)
            || (matches!(self.way, Way::Copy) && self.flow + self.burst >= splice::WORTHWHILE)
        {
            input.release();
            self.way = Pipes::take(terms.pipes).map_or(Way::Copy, Way::Splice);
        }
        if let Way::Splice(splice) = &mut self.way {
            match ready!(splice.poll_in(cx, terms.deadline, from, u64::MAX)) {
                Err(Fault::Other(ErrorKind::InvalidInput)) => self.way = Way::CopyOnly,
                received => return Poll::Ready(received),
            }
        }
        // Memory is still held only if the last receive was cut short by its end: then there is more.
        if input.capacity() > 0 {
            input.need_large();
        } else {
            input.need_small();
        }
        let (is_ending, room) = (from.is_clear() && from.is_ending(), input.room());
        let received = ready!(from.poll_read(cx, terms.deadline, input))?;
        // The end comes with the next receive, at once, and leaves with this in one packet. Only that one says for sure:
        // what is urgent (RFC 9293 3.8.5) cuts a receive short, too.
        self.is_last = is_ending && received < room;
        Poll::Ready(Ok(received))
    }

    /// The source has nothing more for now: what the next bytes come into is chosen anew.
    fn rest(&mut self) {
        // Polled again for the other direction's sake, while nothing came, it knows nothing new.
        let flows = self.burst == 0 || self.burst >= TRICKLE;
        if matches!(self.way, Way::Splice(_) | Way::Flood) {
            // Given back, so that as many directions may flow as there are pipes, and any number may wait.
            self.way = if flows { Way::Flood } else { Way::Copy };
        }
        self.flow = if flows { self.flow.saturating_add(self.burst) } else { 0 };
        self.burst = 0;
    }
}
