//! An upgraded session: bytes both ways, without meaning to us, until both sides ended or one broke.

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::buffer::Buffer;
use crate::clock::{self, Deadline, Phase};
use crate::io::{Fault, Leave, Stream};
use crate::proxy::pump::{PumpError, Side};

/// Receives in one poll of a direction, after which others get their turn.
const ROUNDS: u32 = 16;

/// One end of a tunnel: its socket, and what was received of it already.
pub(crate) struct End<'a> {
    pub stream: &'a Stream,
    pub input: &'a mut Buffer,
}

/// What a tunnel moved, and how it ended.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Bytes from the client to the backend.
    pub up: u64,
    /// Bytes from the backend to the client.
    pub down: u64,
    /// `Ok`: both sides ended in an orderly way. Of a fault, `From` is the client and `To` the backend.
    pub result: Result<(), PumpError>,
}

/// Relays until both ends closed their sending side, one failed, or nothing moved for `idle`.
///
/// The end of one direction is passed on and the other goes on (half-close). While nothing moves no buffer is held.
/// `first` are bytes for the client that go ahead of all others: the head of the answer that switched protocols.
pub(crate) async fn run(
    client: End<'_>,
    backend: End<'_>,
    first: Buffer,
    deadline: &Deadline,
    idle: Duration,
) -> Summary {
    let mut up = Direction::new(client.input.sibling());
    let mut down = Direction::new(first);
    let _limit = deadline.during(Phase::Tunnel, clock::now() + idle);
    let result = poll_fn(|cx| {
        let before = up.moved + down.moved;
        let up_done = up.poll(cx, client.stream, client.input, backend.stream, deadline);
        let down_done = down.poll(cx, backend.stream, backend.input, client.stream, deadline);
        if up.moved + down.moved > before {
            deadline.set(Phase::Tunnel, clock::now() + idle);
        }
        match (up_done, down_done) {
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error)),
            (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error.mirrored())),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    })
    .await;
    Summary { up: up.moved, down: down.moved, result }
}

/// One direction of a tunnel.
struct Direction {
    /// Sent before what is in the source's buffer.
    first: Buffer,
    moved: u64,
    state: State,
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
    fn new(first: Buffer) -> Self {
        Self { first, moved: 0, state: State::Open }
    }

    /// Ready when the source ended and the sink was told.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        input: &mut Buffer,
        to: &Stream,
        deadline: &Deadline,
    ) -> Poll<Result<(), PumpError>> {
        for _ in 0..ROUNDS {
            let flushed = ready!(self.poll_flush(cx, input, to, deadline));
            flushed.map_err(|fault| PumpError { side: Side::To, fault })?;
            match self.state {
                State::Open => {
                    let received = ready!(poll_fill(cx, from, input, deadline))
                        .map_err(|fault| PumpError { side: Side::From, fault })?;
                    if received == 0 {
                        self.state = State::Ended;
                    }
                }
                State::Ended => {
                    self.state = State::Shut;
                    // A sink that is gone says so when it is next read.
                    let _ = to.shutdown_write();
                }
                State::Shut => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        to: &Stream,
        deadline: &Deadline,
    ) -> Poll<Result<(), Fault>> {
        while self.first.len() + input.len() > 0 {
            let sent =
                ready!(to.poll_write(cx, deadline, [self.first.filled(), input.filled(), &[]], Leave::Now))?;
            let first = sent.min(self.first.len());
            self.first.consume(first);
            input.consume(sent - first);
            self.moved += sent as u64;
        }
        self.first.release();
        Poll::Ready(Ok(()))
    }
}

/// Receives more, in a small buffer until one was filled.
fn poll_fill(
    cx: &mut Context<'_>,
    from: &Stream,
    input: &mut Buffer,
    deadline: &Deadline,
) -> Poll<Result<usize, Fault>> {
    // Memory is still held only if the last receive was cut short by its end: then there is more.
    if from.poll_readable(cx, deadline).is_ready() {
        if input.capacity() > 0 {
            input.need_large();
        } else {
            input.need_small();
        }
        let received = from.poll_read(cx, deadline, input);
        if received.is_ready() {
            return received;
        }
    }
    input.release();
    Poll::Pending
}
