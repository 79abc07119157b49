//! One direction of a message, from a socket to a socket, as a state machine that is polled.
//!
//! Bytes that were received already come first, then the stream. A body is taken out of its framing and put into the
//! other side's. A receive happens only when everything received before was sent: so the slower side sets the pace, and
//! memory is bounded by one buffer. What follows the body's end stays in the source's buffer.

mod pace;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use fairlead_wire::Head;
use fairlead_wire::http1::encode::{chunk_size, last_chunk};
use fairlead_wire::http1::{Body, Decoder, Framing, Limits, Step};

use crate::buffer::{Buffer, SMALL};
use crate::clock::Deadline;
use crate::io::{Fault, Leave, Sink, Source, Stream};
use crate::proxy::replay::Replay;
use crate::proxy::splice::{self, Pipes, Splice};

use pace::Pace;
pub(crate) use pace::{Limit, SLOW};

/// Framing of a chunk around its data: 16 digits and two line ends.
const CHUNK_FRAMING: usize = 20;

/// Receives in one poll, after which the other connections of the worker get their turn: 1 MiB.
const ROUNDS: u32 = 16;

/// What is to be relayed, and within which limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// How the source frames the body.
    pub body: Body,
    /// How it is framed for the sink; what the head already says.
    pub framing: Framing,
    /// For trailers of the source.
    pub trailers: Limits,
    /// A longer body is refused ([`Fault::TooLarge`]).
    pub max_body: Option<u64>,
    /// While the source is waited for; never under backpressure of the sink.
    pub read: Option<Limit>,
    /// While the sink has to take bytes.
    pub write: Option<Limit>,
    /// The sink's stream ends with this message, in the same turn in which its last byte is sent.
    pub ends_stream: bool,
}

/// Where a fault was met. Of a passed limit this says who noticed it; its phase says whose it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    From,
    To,
}

/// Why a body wasn't relayed to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PumpError {
    pub side: Side,
    pub fault: Fault,
}

impl PumpError {
    /// The same fault, seen from the other direction.
    pub(crate) fn mirrored(self) -> Self {
        let side = match self.side {
            Side::From => Side::To,
            Side::To => Side::From,
        };
        Self { side, ..self }
    }
}

/// A message on its way. Sends in this order: `out`, the first `piece` bytes of the source's buffer, `tail`.
pub(crate) struct Pump {
    decoder: Decoder,
    framing: Framing,
    /// The head, then framing and pieces of data that are cheaper to copy than to send apart.
    out: Buffer,
    piece: usize,
    tail: &'static [u8],
    /// Bytes in the source's buffer that end with `piece` but aren't data.
    after_piece: usize,
    /// A step that was decoded ahead of its turn.
    ahead: Option<Step>,
    /// The source's body is over.
    decoded: bool,
    /// The sink's framing is closed.
    framed: bool,
    /// Trailers that came beside the source's bytes.
    apart: Option<Box<Head>>,
    /// Keeps what is used up of the source, for as long as it has room.
    replay: Option<Box<Replay>>,
    splice: Splicing,
    ends_stream: bool,
    max_body: u64,
    payload: u64,
    sent: u64,
    reading: Pace,
    writing: Pace,
}

/// What a pump works between; one connection's parts, lent for a poll.
pub(crate) struct Ends<'a, F, T> {
    pub from: &'a F,
    /// What was received of `from` and not used yet.
    pub input: &'a mut Buffer,
    pub to: &'a T,
    pub deadline: &'a Deadline,
    pub pipes: &'a Rc<Pipes>,
}

impl<F: Source, T: Sink> Ends<'_, F, T> {
    /// Both, if they are sockets: then the kernel can move bytes between them.
    fn sockets(&self) -> Option<(&Stream, &Stream)> {
        self.from.clear_socket().zip(self.to.clear_socket())
    }
}

/// Whether the kernel moves the bytes.
enum Splicing {
    /// Not so far.
    No,
    Yes(Splice),
    /// It was tried, or can't be.
    Never,
}

impl Pump {
    /// A message whose encoded head stands in `head`; head and first bytes of the body leave in one send.
    pub(crate) fn new(job: &Job, head: Buffer) -> Self {
        let chunked = job.framing == Framing::Chunked;
        Self {
            decoder: Decoder::new(job.body, job.trailers),
            framing: job.framing,
            out: head,
            piece: 0,
            tail: &[],
            after_piece: 0,
            ahead: None,
            decoded: matches!(job.body, Body::None | Body::Length(0)),
            framed: !chunked,
            apart: None,
            replay: None,
            splice: if chunked { Splicing::Never } else { Splicing::No },
            ends_stream: job.ends_stream,
            max_body: job.max_body.unwrap_or(u64::MAX),
            payload: 0,
            sent: 0,
            reading: Pace::new(job.read),
            writing: Pace::new(job.write),
        }
    }

    /// Keeps what it uses up of the source, so that it can be sent once more.
    pub(crate) fn keeping(mut self, replay: Option<Box<Replay>>) -> Self {
        self.replay = replay;
        self
    }

    /// Whether all that was used up of the source is kept.
    pub(crate) fn keeps(&self) -> bool {
        self.replay.is_some()
    }

    /// What was used up of the source, and is kept no longer.
    pub(crate) fn kept(&mut self) -> Option<Box<Replay>> {
        self.replay.take()
    }

    /// Moves what can be moved. Ready when the last byte was handed to the sink's socket.
    pub(crate) fn poll<F: Source, T: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, F, T>,
    ) -> Poll<Result<(), PumpError>> {
        for _ in 0..ROUNDS {
            if matches!(self.splice, Splicing::Yes(_)) {
                ready!(self.poll_splice(cx, ends))?;
                continue;
            }
            self.gather(ends.input).map_err(|fault| PumpError { side: Side::From, fault })?;
            if self.unsent() > 0 {
                ready!(self.poll_flush(cx, ends)).map_err(|fault| PumpError { side: Side::To, fault })?;
                continue;
            }
            if self.decoded {
                return Poll::Ready(Ok(()));
            }
            if self.may_splice(ends) {
                ends.input.release();
                self.splice = Pipes::take(ends.pipes).map_or(Splicing::Never, Splicing::Yes);
                continue;
            }
            ready!(self.poll_fill(cx, ends)).map_err(|fault| PumpError { side: Side::From, fault })?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Bytes of the body taken from the source, framing not counted.
    pub(crate) fn payload(&self) -> u64 {
        self.payload
    }

    /// Bytes handed to the sink, head and framing included.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the whole body was taken from the source: what is in its buffer now belongs to what follows.
    pub(crate) fn is_decoded(&self) -> bool {
        self.decoded && self.piece == 0
    }

    /// Whether it is the source that has to go on.
    pub(crate) fn awaits_source(&self) -> bool {
        self.reading.is_awaited()
    }

    /// Whether the sink may have given up because of the source, which let it wait.
    pub(crate) fn has_slow_source(&self) -> bool {
        self.reading.is_slow()
    }

    /// Whether the source may have given up because of the sink, which let it wait.
    pub(crate) fn has_slow_sink(&self) -> bool {
        self.writing.is_slow()
    }

    /// The trailers of the whole body, which a framing without room for them left out.
    pub(crate) fn trailers(&self) -> Option<&Head> {
        self.decoder.trailers().or(self.apart.as_deref())
    }

    /// Takes its limits off `deadline`: both sides may take their time from now on.
    pub(crate) fn lift_limits(&mut self, deadline: &Deadline) {
        self.reading.lift(deadline);
        self.writing.lift(deadline);
    }

    fn unsent(&self) -> usize {
        self.out.len() + self.piece + self.tail.len()
    }

    /// Decodes what was received, as far as it can be put on its way.
    fn gather(&mut self, input: &mut Buffer) -> Result<(), Fault> {
        while !self.decoded && self.piece == 0 && (self.out.is_empty() || self.out.room() > 2 * CHUNK_FRAMING)
        {
            let Some(step) = self.step(input.filled(), 0)? else { break };
            self.decoded = step.done;
            self.consume(input, step.data.start);
            let after = step.consumed - step.data.end;
            if step.data.is_empty() {
                self.consume(input, after);
            } else {
                self.put(input, step.data.len(), after)?;
            }
        }
        if self.decoded && self.piece == 0 && !self.framed {
            self.framed = true;
            last_chunk(self.decoder.trailers().or(self.apart.as_deref()), self.out.tail());
        }
        Ok(())
    }

    /// The next step at `from` in what was received, or `None` if more has to be received first.
    fn step(&mut self, received: &[u8], from: usize) -> Result<Option<Step>, Fault> {
        if let Some(step) = self.ahead.take() {
            return Ok(Some(step));
        }
        let step = self.decoder.decode(&received[from..]).map_err(Fault::Malformed)?;
        let data = step.data.len() as u64;
        self.payload += data;
        if self.payload > self.max_body {
            return Err(Fault::TooLarge);
        }
        Ok((step.done || step.consumed > 0).then_some(step))
    }

    /// Puts the first `len` bytes of `input` on their way: copied behind the head if they fit, else from where they are.
    fn put(&mut self, input: &mut Buffer, len: usize, after: usize) -> Result<(), Fault> {
        let chunked = self.framing == Framing::Chunked;
        if chunked {
            chunk_size(len, self.out.tail());
        }
        self.out.need_small();
        // A copy of up to 8 KiB costs less than a message header for two parts.
        if len + CHUNK_FRAMING <= self.out.room() {
            self.out.tail().extend_from_slice(&input.filled()[..len]);
            if chunked {
                self.out.tail().extend_from_slice(b"\r\n");
            }
            self.consume(input, len + after);
            return Ok(());
        }
        self.piece = len;
        self.after_piece = after;
        if !chunked {
            return Ok(());
        }
        self.tail = b"\r\n";
        // The end of the body leaves with its last bytes, if it is here.
        if self.decoded {
            return Ok(());
        }
        match self.step(input.filled(), len + after)? {
            Some(end) if end.done && end.data.is_empty() && self.decoder.trailers().is_none() => {
                self.tail = b"\r\n0\r\n\r\n";
                self.after_piece += end.consumed;
                self.decoded = true;
                self.framed = true;
            }
            ahead => self.ahead = ahead,
        }
        Ok(())
    }

    /// Sends everything gathered.
    fn poll_flush<F: Source, T: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, F, T>,
    ) -> Poll<Result<(), Fault>> {
        while self.unsent() > 0 {
            let parts = [self.out.filled(), &ends.input.filled()[..self.piece], self.tail];
            let is_last = self.ends_stream && self.decoded && self.framed && !self.has_more();
            let leave = if is_last { Leave::WithTheEnd } else { Leave::Now };
            let Poll::Ready(sent) = ends.to.poll_write(cx, ends.deadline, parts, leave) else {
                self.writing.wait_for_taking(ends.to, ends.deadline);
                return Poll::Pending;
            };
            let sent = sent?;
            self.writing.moved(sent, ends.deadline);
            self.sent += sent as u64;
            self.take_sent(sent, ends.input);
        }
        self.out.release();
        Poll::Ready(Ok(()))
    }

    /// Trailers follow the last byte, apart from it.
    fn has_more(&self) -> bool {
        self.framing == Framing::Close && self.trailers().is_some()
    }

    fn take_sent(&mut self, sent: usize, input: &mut Buffer) {
        let out = sent.min(self.out.len());
        self.out.consume(out);
        let piece = (sent - out).min(self.piece);
        if piece > 0 {
            self.piece -= piece;
            self.consume(input, piece);
            if self.piece == 0 {
                let after = std::mem::take(&mut self.after_piece);
                self.consume(input, after);
            }
        }
        self.tail = &self.tail[sent - out - piece..];
    }

    fn consume(&mut self, input: &mut Buffer, count: usize) {
        if let Some(replay) = &mut self.replay
            && !replay.keep(&input.filled()[..count])
        {
            self.replay = None;
        }
        input.consume(count);
    }

    /// Receives more. While there is nothing to receive, no memory is held.
    fn poll_fill<F: Source, T: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, F, T>,
    ) -> Poll<Result<(), Fault>> {
        let Poll::Ready(received) = self.poll_receive(cx, ends) else {
            ends.input.release();
            self.reading.wait(ends.deadline);
            return Poll::Pending;
        };
        let received = received?;
        self.reading.moved(received, ends.deadline);
        if received == 0 {
            // RFC 9112 8: a body that was cut short of its length or last chunk is incomplete, never shorter.
            self.decoder.finish().map_err(|_| Fault::Closed)?;
            self.decoded = true;
            self.apart = ends.from.trailers();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive<F: Source, T: Sink>(
        &self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, F, T>,
    ) -> Poll<Result<usize, Fault>> {
        ready!(ends.from.poll_readable(cx, ends.deadline))?;
        match self.decoder.remaining() {
            Some(left) if left <= SMALL as u64 => ends.input.need_small(),
            _ => ends.input.need_large(),
        }
        // What is left of a chunk's framing may stand at the buffer's end.
        ends.input.make_room(usize::MAX);
        ends.from.poll_read(cx, ends.deadline, ends.input)
    }

    /// Whether the kernel can move what comes next: raw bytes, enough of them, nothing of them here already.
    fn may_splice<F: Source, T: Sink>(&self, ends: &Ends<'_, F, T>) -> bool {
        matches!(self.splice, Splicing::No)
            && ends.sockets().is_some()
            && self.replay.is_none()
            && ends.input.is_empty()
            && self.decoder.remaining().is_some_and(|left| left >= splice::WORTHWHILE)
    }

    /// Moves one pipe's fill, in or out.
    fn poll_splice<F: Source, T: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, F, T>,
    ) -> Poll<Result<(), PumpError>> {
        let (Splicing::Yes(splice), Some((from, to))) = (&mut self.splice, ends.sockets()) else {
            return Poll::Ready(Ok(()));
        };
        if splice.held() > 0 {
            let Poll::Ready(sent) = splice.poll_out(cx, ends.deadline, to) else {
                self.writing.wait_for_taking(ends.to, ends.deadline);
                return Poll::Pending;
            };
            let sent = sent.map_err(|fault| PumpError { side: Side::To, fault })?;
            self.writing.moved(sent, ends.deadline);
            self.sent += sent as u64;
        } else {
            let left = self.decoder.remaining().unwrap_or(0);
            let Poll::Ready(received) = splice.poll_in(cx, ends.deadline, from, left) else {
                self.reading.wait(ends.deadline);
                return Poll::Pending;
            };
            match received {
                Ok(0) => return Poll::Ready(Err(PumpError { side: Side::From, fault: Fault::Closed })),
                Ok(received) => {
                    self.reading.moved(received, ends.deadline);
                    self.decoder.skip(received as u64);
                    self.payload += received as u64;
                }
                // Not between these two kinds of descriptors: then by hand.
                Err(Fault::Other(ErrorKind::InvalidInput)) => self.splice = Splicing::Never,
                Err(fault) => return Poll::Ready(Err(PumpError { side: Side::From, fault })),
            }
        }
        if matches!(&self.splice, Splicing::Yes(splice) if splice.held() == 0) && self.decoder.is_done() {
            self.splice = Splicing::Never;
            self.decoded = true;
        }
        Poll::Ready(Ok(()))
    }
}
