//! A connection's bytes as the h2 crate wants to read and write them.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::link::Link;
use crate::buffer::Buffer;
use crate::io::{Fault, Source};

/// One connection's ends. Reading holds no memory while nothing comes.
pub(super) struct Transport {
    link: Rc<Link>,
    /// Received and not handed on yet.
    input: Buffer,
}

impl Transport {
    pub(super) fn new(link: &Rc<Link>, input: Buffer) -> Self {
        Self { link: Rc::clone(link), input }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { link, input } = self.get_mut();
        if link.is_overdrawn() {
            // Nothing more is read of it. Its task looks for this when it is polled.
            return Poll::Pending;
        }
        if input.is_empty() {
            ready!(link.stream.poll_readable(cx, &link.deadline)).map_err(error)?;
            input.need_small();
            let received = ready!(link.stream.poll_read(cx, &link.deadline, input)).map_err(error)?;
            link.received(&input.filled()[input.len() - received..]);
        }
        let taken = input.len().min(into.remaining());
        into.put_slice(&input.filled()[..taken]);
        input.consume(taken);
        input.release();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.link.poll_append(cx, bytes).map_err(error)
    }

    /// What was written leaves when the turn of the loop is over.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.link.fault().map_or(Ok(()), |fault| Err(error(fault))))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.link.poll_send(cx)).map_err(error)?;
        self.link.stream.poll_finish(cx, &self.link.deadline).map_err(error)
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::TimedOut(_) => ErrorKind::TimedOut,
        Fault::Other(kind) => kind,
        Fault::Closed | Fault::Reset | Fault::Malformed(_) | Fault::TooLarge => ErrorKind::ConnectionReset,
    }
    .into()
}
