//! An upgraded or a TCP session: bytes both ways, without meaning to us, until both sides ended or one broke.

#[cfg(test)]
mod tests;

mod direction;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::buffer::Buffer;
use crate::clock::{self, Deadline, Phase};
use crate::io::{Fault, Stream};
use crate::proxy::pump::{PumpError, Side};
use crate::proxy::splice::Pipes;
use direction::Direction;

/// One end of a tunnel.
pub(crate) struct End<'a> {
    pub stream: &'a Stream,
    /// What was received of it already.
    pub input: &'a mut Buffer,
    /// What goes to the other end ahead of that, as if it had been received: the head of an answer that switches
    /// protocols, or who the client is.
    pub first: Buffer,
}

/// What both directions have in common.
pub(crate) struct Terms<'a> {
    pub deadline: &'a Deadline,
    /// The longest time in which nothing moves.
    pub idle: Duration,
    pub pipes: &'a Rc<Pipes>,
}

/// Bytes that moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// From the client to the backend.
    pub up: u64,
    /// From the backend to the client.
    pub down: u64,
    /// How many of both never came into our memory.
    pub spliced: u64,
}

/// What a tunnel moved, and how it ended.
#[derive(Debug)]
pub(crate) struct Summary {
    pub moved: Moved,
    /// Who closed first; of the sides `From` is the client and `To` the backend.
    pub closed: Option<Side>,
    /// `Ok`: both sides ended in an orderly way. Of a fault the side is meant as above.
    pub result: Result<(), PumpError>,
}

/// Relays until both ends closed their sending side, one failed, or nothing moved for too long. `moving` is told what
/// moved since it was told last.
///
/// The end of one direction is passed on and the other goes on (half-close). While nothing moves no buffer and no pipe is
/// held.
pub(crate) async fn run(
    client: End<'_>,
    backend: End<'_>,
    terms: &Terms<'_>,
    mut moving: impl FnMut(Moved),
) -> Summary {
    let clear = client.stream.is_clear() && backend.stream.is_clear();
    let mut up = Direction::new(client.first, clear);
    let mut down = Direction::new(backend.first, clear);
    let mut told = Moved::default();
    let mut closed = None;
    let (mut client_watch, mut backend_watch) = (Watch::new(client.stream), Watch::new(backend.stream));
    let _limit = terms.deadline.during(Phase::Tunnel, clock::now() + terms.idle);
    let result = poll_fn(|cx| {
        let up_done = up.poll(cx, client.stream, client.input, backend.stream, terms);
        let down_done = down.poll(cx, backend.stream, backend.input, client.stream, terms);
        let moved = sum(&up, &down);
        if moved != told {
            terms.deadline.set(Phase::Tunnel, clock::recently() + terms.idle);
            moving(moved.since(told));
            told = moved;
        }
        if closed.is_none() {
            closed = if up.is_open() { (!down.is_open()).then_some(Side::To) } else { Some(Side::From) };
        }
        match (up_done, down_done) {
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error)),
            (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error.mirrored())),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            (Poll::Ready(Ok(())), Poll::Pending) => client_watch.poll(cx, Side::From),
            (Poll::Pending, Poll::Ready(Ok(()))) => backend_watch.poll(cx, Side::To),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
        }
    })
    .await;
    Summary { moved: told, closed, result }
}

/// Looks out for the reset of an end that is no longer read, since it said that it was done. Few sessions come to this, so
/// it takes its memory when they do.
struct Watch<'a> {
    stream: &'a Stream,
    broken: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
}

impl<'a> Watch<'a> {
    fn new(stream: &'a Stream) -> Self {
        Self { stream, broken: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>, side: Side) -> Poll<Result<(), PumpError>> {
        let stream = self.stream;
        let broken = self.broken.get_or_insert_with(|| Box::pin(stream.broken()));
        broken.as_mut().poll(cx).map(|()| Err(PumpError { side, fault: Fault::Reset }))
    }
}

fn sum(up: &Direction, down: &Direction) -> Moved {
    Moved { up: up.moved(), down: down.moved(), spliced: up.spliced() + down.spliced() }
}

impl Moved {
    fn since(self, before: Self) -> Self {
        Self {
            up: self.up - before.up,
            down: self.down - before.down,
            spliced: self.spliced - before.spliced,
        }
    }
}
