//! Where bytes come from and go to: sockets, or a side that has no socket of its own, such as a stream of HTTP/2.

use std::task::{Context, Poll};

use fairlead_wire::Head;

use super::{Fault, Leave, Stream};
use crate::buffer::Buffer;
use crate::clock::Deadline;

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
    fn clear_socket(&self) -> Option<&Stream>;
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
    fn clear_socket(&self) -> Option<&Stream>;
}
