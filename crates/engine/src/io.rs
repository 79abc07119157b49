//! Byte streams as the rest of the engine sees them: non-blocking, by shared reference, with their deadline.
//!
//! Every read and write takes the connection's [`Deadline`] and fails with [`Fault::TimedOut`] once a limit passed. That
//! a receive which came back short has emptied the socket is remembered, so that no further call is made to learn it.

mod ends;
#[cfg(test)]
pub(crate) mod tests;

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use fairlead_wire::Refusal;
use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use crate::buffer::Buffer;
use crate::clock::{Deadline, Phase};
use crate::tls::{Facts, TlsStream};
use crate::unix;

pub(crate) use ends::{Sink, Source};

/// A connected stream socket, or TLS over one.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

/// Who is at the other end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Ip(SocketAddr),
    Unix,
}

/// When what was sent leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    Now,
    /// Its last segment waits for the end of the stream and carries it, one packet instead of two. Only for who ends the
    /// stream in the same turn: else the system keeps it back for a fifth of a second.
    WithTheEnd,
}

/// Why bytes stopped moving. Which side it was is the caller's knowledge; of a limit, the phase says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The peer closed in an orderly way where more was due.
    Closed,
    /// The peer reset, or doesn't take what is sent.
    Reset,
    /// A limit passed.
    TimedOut(Phase),
    /// The peer broke the protocol.
    Malformed(Refusal),
    /// A body is longer than is allowed here.
    TooLarge,
    /// What the system said else.
    Other(ErrorKind),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The last three are what TCP itself gave up on, by its keep-alive or its retransmissions.
            // And TLS that ends without saying so is cut off.
            ErrorKind::ConnectionReset
            | ErrorKind::UnexpectedEof
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable => Self::Reset,
            ErrorKind::NotConnected => Self::Closed,
            other => Self::Other(other),
        }
    }
}

impl Stream {
    /// Ready when a receive would say something. Takes no buffer and makes no call, but for TLS: there something has to
    /// be received to know whether it says anything.
    #[inline]
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Tls(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Ready when a send would take something, as far as is known without a call.
    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
            Self::Tls(stream) => stream.socket().poll_write_ready(cx),
        }
    }

    /// Waits until a receive would say something, or a limit passes.
    pub(crate) async fn readable(&self, deadline: &Deadline) -> Result<(), Fault> {
        poll_fn(|cx| self.poll_readable(cx, deadline)).await
    }

    /// Receives from the socket itself, as [`Source::poll_read`] does from what is in it.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        let room = buffer.room();
        loop {
            ready!(self.poll_read_ready(cx))?;
            let received = self.transfer(Interest::READABLE, room, || {
                let space = spare_capacity(buffer.tail());
                Ok(rustix::net::recv(self, space, RecvFlags::empty())?.1)
            });
            match received {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Sends by the socket itself, as [`Sink::poll_write`] does by what is in it.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        parts: [&[u8]; 3],
        leave: Leave,
    ) -> Poll<io::Result<usize>> {
        let wanted = parts.iter().map(|part| part.len()).sum();
        let flags = match leave {
            Leave::Now => SendFlags::NOSIGNAL,
            Leave::WithTheEnd => SendFlags::NOSIGNAL.union(SendFlags::MORE),
        };
        loop {
            ready!(self.poll_write_ready(cx))?;
            let sent = self.transfer(Interest::WRITABLE, wanted, || {
                // One part needs no message header.
                Ok(match parts {
                    [only, [], []] | [[], only, []] => rustix::net::send(self, only, flags)?,
                    _ => rustix::net::sendmsg(
                        self,
                        &parts.map(IoSlice::new),
                        &mut SendAncillaryBuffer::default(),
                        flags,
                    )?,
                })
            });
            match sent {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Receives once; 0 is the end.
    pub(crate) async fn read(&self, deadline: &Deadline, buffer: &mut Buffer) -> Result<usize, Fault> {
        poll_fn(|cx| self.poll_read(cx, deadline, buffer)).await
    }

    /// Sends everything.
    pub(crate) async fn write_all(&self, deadline: &Deadline, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let sent = poll_fn(|cx| self.poll_write(cx, deadline, [bytes, &[], &[]], Leave::Now)).await?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Waits until the peer is gone: it reset, or, with `end_counts`, closed its sending side (RFC 9112 9.6 lets a
    /// client half-close and still wait for its answer).
    ///
    /// Costs no call while the peer is silent. Bytes that wait here, of a body or of a next request, are left alone; once
    /// there are some, only a reset is noticed.
    pub(crate) async fn gone(&self, end_counts: bool) {
        loop {
            let heard = poll_fn(|cx| self.poll_read_ready(cx)).await.and_then(|()| self.peek());
            match heard {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
                Ok(0) if end_counts || self.is_hung_up().await => return,
                Ok(_) => break,
            }
        }
        self.broken().await;
    }

    /// Waits until the peer has reset the connection, or it broke otherwise.
    pub(crate) async fn broken(&self) {
        // An error of the wait itself is a runtime that ends; the connection ends with it.
        let _ = self.ready(Interest::ERROR).await;
    }

    /// Whether an idle peer closed, reset or spoke out of turn, as far as the last turn of the loop saw: no call.
    pub(crate) fn is_stale(&self) -> bool {
        self.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Whether the peer ended its sending side in an orderly way, as far as the last turn of the loop saw, so that nothing
    /// comes after what waits here: no call. To be asked while there is something to receive.
    pub(crate) fn is_ending(&self) -> bool {
        let interest = Interest::READABLE.add(Interest::ERROR);
        let known = pin!(self.ready(interest)).poll(&mut Context::from_waker(Waker::noop()));
        // A reset closes it, too, and is an error beside.
        matches!(known, Poll::Ready(Ok(ready)) if ready.is_read_closed() && !ready.is_error())
    }

    /// Whether nothing waits here and the peer is still there. A receive that filled its buffer and a splice don't show
    /// that the socket is empty: then this makes a call to learn it.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.is_stale() || self.peek().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// What bytes go through: itself, or what TLS is spoken over.
    fn socket(&self) -> &Self {
        if let Self::Tls(stream) = self { stream.socket() } else { self }
    }

    /// What TLS came to, where it is spoken.
    pub(crate) fn tls(&self) -> Option<&Facts> {
        if let Self::Tls(stream) = self { Some(stream.facts()) } else { None }
    }

    /// Whether what is sent leaves as it is, so that the system can move it by itself.
    pub(crate) fn is_clear(&self) -> bool {
        !matches!(self, Self::Tls(_))
    }

    /// Says that nothing more will be sent. Of TLS, as far as it can be said at once: see [`Stream::poll_finish`].
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            let _ = stream.poll_finish(&mut Context::from_waker(Waker::noop()))?;
        }
        SockRef::from(self).shutdown(std::net::Shutdown::Write)
    }

    /// Says that nothing more will be sent, when what was sent has left: TLS may hold some of it.
    pub(crate) fn poll_finish(&self, cx: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), Fault>> {
        if let Self::Tls(stream) = self {
            ready!(within(deadline, cx, |cx| stream.poll_finish(cx)))?;
        }
        Poll::Ready(SockRef::from(self).shutdown(std::net::Shutdown::Write).map_err(Fault::from))
    }

    /// Whether [`Stream::shutdown_write`] would leave something behind.
    pub(crate) fn holds(&self) -> bool {
        if let Self::Tls(stream) = self { stream.held() > 0 } else { false }
    }

    /// Lets closing be a reset: what was sent so far must not look complete.
    pub(crate) fn reset_on_close(&self) {
        if let Self::Tls(stream) = self {
            stream.cut();
        }
        // A socket that refuses this is already closed.
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }

    /// Performs `call` where `interest` is known to be ready, and remembers if it exhausted the socket.
    ///
    /// `wanted` is what a call that didn't exhaust it would have moved: on an edge-triggered queue a shorter one has
    /// (tokio's `poll_read` rule, which its `try_read` doesn't apply).
    fn transfer(
        &self,
        interest: Interest,
        wanted: usize,
        call: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut moved = None;
        let attempt = || match call()? {
            short if 0 < short && short < wanted => {
                moved = Some(short);
                Err(ErrorKind::WouldBlock.into())
            }
            all => Ok(all),
        };
        let result = self.attempt(interest, attempt);
        moved.map_or(result, Ok)
    }

    /// Performs `call` where `interest` is known to be ready; one that would block forgets that it is.
    pub(crate) fn attempt<T>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, call),
            Self::Unix(stream) => stream.try_io(interest, call),
            Self::Tls(stream) => stream.socket().attempt(interest, call),
        }
    }

    /// Whether a Unix peer that ended closed its socket altogether: what a reset is for TCP.
    async fn is_hung_up(&self) -> bool {
        let unix = matches!(self.socket(), Self::Unix(_));
        unix && self.ready(Interest::WRITABLE).await.is_ok_and(tokio::io::Ready::is_write_closed)
    }

    /// From where to where the connection leads, seen from its peer; a Unix socket's leads nowhere others could name.
    pub(crate) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok().zip(stream.local_addr().ok()),
            Self::Unix(_) => None,
            Self::Tls(stream) => stream.socket().addresses(),
        }
    }

    /// What is ready of `interest`, when something is.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self.socket() {
            Self::Tcp(stream) => stream.ready(interest).await,
            Self::Unix(stream) => stream.ready(interest).await,
            Self::Tls(_) => unreachable!("invariant: a socket is no TLS"),
        }
    }

    /// What waits here, at the most a byte is told of.
    fn peek(&self) -> io::Result<usize> {
        if let Self::Tls(stream) = self {
            return stream.peek();
        }
        self.attempt(Interest::READABLE, || {
            let mut byte = [0_u8; 1];
            Ok(rustix::net::recv(self, &mut byte, RecvFlags::PEEK)?.1)
        })
    }
}

impl Source for Stream {
    #[inline]
    fn poll_readable(&self, cx: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), Fault>> {
        within(deadline, cx, |cx| self.poll_read_ready(cx))
    }

    #[inline]
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        buffer: &mut Buffer,
    ) -> Poll<Result<usize, Fault>> {
        debug_assert!(buffer.room() > 0, "a receive without room looks like the end");
        within(deadline, cx, |cx| match self {
            Self::Tls(stream) => stream.poll_receive(cx, buffer),
            _ => self.poll_receive(cx, buffer),
        })
    }

    #[inline]
    fn clear_socket(&self) -> Option<&Stream> {
        self.is_clear().then_some(self)
    }
}

impl Sink for Stream {
    /// In one call.
    #[inline]
    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        parts: [&[u8]; 3],
        leave: Leave,
    ) -> Poll<Result<usize, Fault>> {
        within(deadline, cx, |cx| match self {
            Self::Tls(stream) => stream.poll_send(cx, parts, leave),
            _ => self.poll_send(cx, parts, leave),
        })
    }

    /// As far as the system knows.
    fn queued(&self) -> usize {
        let held = if let Self::Tls(stream) = self { stream.held() } else { 0 };
        unix::output_queue(self) + held
    }

    #[inline]
    fn clear_socket(&self) -> Option<&Stream> {
        self.is_clear().then_some(self)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.socket().as_fd(),
        }
    }
}

/// Polls unless a limit has passed; while it is pending, the limit wakes the task too.
pub(crate) fn within<T>(
    deadline: &Deadline,
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> Poll<Result<T, Fault>> {
    if let Some(phase) = deadline.expired() {
        return Poll::Ready(Err(Fault::TimedOut(phase)));
    }
    match poll(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(Fault::from)),
        Poll::Pending => deadline.poll_expired(cx).map(|phase| Err(Fault::TimedOut(phase))),
    }
}

/// Awaits `future` unless a limit passes first.
pub(crate) async fn limited<F: Future>(deadline: &Deadline, future: F) -> Result<F::Output, Phase> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        if let Some(phase) = deadline.expired() {
            return Poll::Ready(Err(phase));
        }
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => deadline.poll_expired(cx).map(Err),
        }
    })
    .await
}
