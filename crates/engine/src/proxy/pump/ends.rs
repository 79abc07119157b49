//! What a pump works between: sockets, or a side that has no socket of its own, such as a stream of HTTP/2.

use std::rc::Rc;
use std::task::{Context, Poll};

use fairlead_wire::Head;

use crate::buffer::Buffer;
use crate::clock::Deadline;
use crate::io::{Fault, Leave, Stream};
use crate::proxy::splice::Pipes;

/// Where a message comes from.
pub(crate) trait Source {
    /// Ready when a receive would say something. Takes no buffer.
    fn poll_readable(&self, cx: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), Fault>>;

    /// Receives into what room `buffer` has; 0 is the end. The caller has made room.
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        buffer: &mut Buffer,
    ) -> Poll<Result<usize, Fault>>;

    /// After the end: the trailers, of a source that has them apart from its bytes.
    fn trailers(&self) -> Option<Box<Head>> {
        None
    }

    /// The socket, if there is nothing else between the bytes and it.
    fn socket(&self) -> Option<&Stream>;
}

/// Where a message goes.
pub(crate) trait Sink {
    /// Sends what it can of `parts`, in this order; never 0 unless all are empty.
    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        parts: [&[u8]; 3],
        leave: Leave,
    ) -> Poll<Result<usize, Fault>>;

    /// Bytes that were sent and that the peer hasn't taken, as far as is known.
    fn queued(&self) -> usize;

    /// The socket, if there is nothing else between the bytes and it.
    fn socket(&self) -> Option<&Stream>;
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
    pub(super) fn sockets(&self) -> Option<(&Stream, &Stream)> {
        self.from.socket().zip(self.to.socket())
    }
}

impl Source for Stream {
    #[inline]
    fn poll_readable(&self, cx: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), Fault>> {
        Self::poll_readable(self, cx, deadline)
    }

    #[inline]
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        buffer: &mut Buffer,
    ) -> Poll<Result<usize, Fault>> {
        Self::poll_read(self, cx, deadline, buffer)
    }

    #[inline]
    fn socket(&self) -> Option<&Stream> {
        self.is_clear().then_some(self)
    }
}

impl Sink for Stream {
    #[inline]
    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        parts: [&[u8]; 3],
        leave: Leave,
    ) -> Poll<Result<usize, Fault>> {
        Self::poll_write(self, cx, deadline, parts, leave)
    }

    fn queued(&self) -> usize {
        Self::queued(self)
    }

    #[inline]
    fn socket(&self) -> Option<&Stream> {
        self.is_clear().then_some(self)
    }
}
