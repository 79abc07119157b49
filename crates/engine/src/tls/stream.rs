//! TLS over a socket, read and written as the socket itself is.
//!
//! A connection on which nothing moves holds no buffer: records come into a pooled one and are opened where they are; what
//! is written is sealed in the worker's own room and sent from there, and only what the socket doesn't take is kept.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use fairlead_wire::client_hello::{self, ServerName};
use rustls::client::UnbufferedClientConnection;
use rustls::{Error, InvalidMessage};

use super::facts::Facts;
use super::session::{BATCH, SEALED, Session, Side, Step};
use super::trouble::Trouble;
use crate::buffer::{Buffer, Buffers};
use crate::io::{Leave, Stream};

/// A handshake doesn't need more: rustls takes messages up to 64 KiB.
const MOST_RECEIVED: usize = 80 * 1024;

/// TLS over a socket.
pub(crate) struct TlsStream {
    socket: Stream,
    facts: Facts,
    state: RefCell<State>,
    /// What was said must not look complete.
    cut: Cell<bool>,
}

/// What moves.
pub(super) struct State {
    session: Session,
    /// Received and not opened.
    received: Buffer,
    /// Opened before somebody had room for it.
    plain: Buffer,
    /// Sealed and not sent.
    unsent: Buffer,
    /// The last receive filled its buffer.
    floods: bool,
    /// The peer closed its sending side, if it said so before or not.
    closed: bool,
    /// We said that nothing more comes.
    finished: bool,
    /// What the system said when the socket broke: it says so once.
    broken: Option<ErrorKind>,
}

/// The client's first message, which is read before anything is made of it.
#[derive(Default)]
pub(super) struct Greeting {
    is_over: bool,
    /// The name that it asks for.
    pub(super) name: Option<ServerName>,
}

impl Greeting {
    /// Of a server, of whom it is read by nobody else.
    fn none() -> Self {
        Self { is_over: true, name: None }
    }

    fn hear(&mut self, received: &[u8]) -> io::Result<()> {
        match client_hello::read(received, &mut Vec::new()) {
            Ok(client_hello::Read::More) => return Ok(()),
            Ok(client_hello::Read::Hello(hello)) => self.name = hello.server_name,
            Ok(client_hello::Read::NotTls) => {
                let error = InvalidMessage::InvalidContentType;
                return Err(io::Error::new(ErrorKind::InvalidData, Error::InvalidMessage(error)));
            }
            // rustls finds that too, and knows how to say it.
            Err(_) => {}
        }
        self.is_over = true;
        Ok(())
    }
}

/// Makes the handshake of a connection to a backend.
pub(crate) async fn connect(
    socket: Stream,
    connection: UnbufferedClientConnection,
    buffers: &Rc<Buffers>,
) -> Result<TlsStream, Trouble> {
    let mut state = State::new(Session::new(Side::Client(connection)), buffers);
    let mut greeting = Greeting::none();
    match poll_fn(|cx| state.poll_handshake(&socket, cx, &mut greeting)).await {
        Ok(()) => Ok(TlsStream::new(socket, state, None)),
        Err(error) => Err(Trouble::of_io(&error)),
    }
}

/// Where a worker gathers and seals what it sends next.
struct Bench {
    gathered: Vec<u8>,
    sealed: Vec<u8>,
}

thread_local! {
    static BENCH: RefCell<Bench> = const { RefCell::new(Bench { gathered: Vec::new(), sealed: Vec::new() }) };
}

impl TlsStream {
    /// Of a connection whose handshake is over.
    pub(super) fn new(socket: Stream, state: State, server_name: Option<ServerName>) -> Self {
        let facts = Facts::of(state.session.state(), server_name);
        Self { socket, facts, state: RefCell::new(state), cut: Cell::new(false) }
    }

    /// What records go through.
    pub(crate) fn socket(&self) -> &Stream {
        &self.socket
    }

    /// What the handshake came to.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Ready when there is plaintext, or the end.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.borrow_mut().poll_plaintext(&self.socket, cx)
    }

    /// Receives plaintext into what room `buffer` has; 0 is the end.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        ready!(state.poll_plaintext(&self.socket, cx))?;
        let given = state.give(buffer);
        if given == 0 && state.is_cut_off() {
            return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(given))
    }

    /// Sends what it can of `parts`: what it says was taken leaves before anything else does.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        parts: [&[u8]; 3],
        leave: Leave,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        ready!(state.poll_flush(&self.socket, cx))?;
        BENCH.with_borrow_mut(|bench| {
            let bytes = gather(parts, &mut bench.gathered);
            // The first time only: it keeps its size.
            bench.sealed.resize(SEALED, 0);
            let sealed = state.seal(bytes, &mut bench.sealed)?;
            state.send(&self.socket, cx, &bench.sealed[..sealed], leave)?;
            Poll::Ready(Ok(bytes.len()))
        })
    }

    /// Says that nothing more comes (RFC 8446 6.1), after all that was written.
    pub(crate) fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        let said = state.say_goodbye();
        ready!(state.poll_flush(&self.socket, cx))?;
        Poll::Ready(said)
    }

    /// Sends what the socket didn't take.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.borrow_mut().poll_flush(&self.socket, cx)
    }

    /// Bytes that wait for the socket to take them.
    pub(crate) fn held(&self) -> usize {
        self.state.borrow().unsent.len()
    }

    /// From now on nothing is said that could make it look complete.
    pub(crate) fn cut(&self) {
        self.cut.set(true);
    }

    /// What waits to be read, as `recv` with `MSG_PEEK` and room for a byte says it.
    pub(crate) fn peek(&self) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        if state.has_plaintext()? {
            Ok(1)
        } else if state.closed {
            Ok(0)
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }
}

impl Drop for TlsStream {
    /// Whoever closes says so, as far as it can be said at once.
    fn drop(&mut self) {
        if !self.cut.get() {
            let _ = self.poll_finish(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("socket", &self.socket)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn new(session: Session, buffers: &Rc<Buffers>) -> Self {
        Self {
            session,
            received: buffers.buffer(),
            plain: buffers.buffer(),
            unsent: buffers.buffer(),
            floods: false,
            closed: false,
            finished: false,
            broken: None,
        }
    }

    /// Ready when the handshake is over.
    pub(super) fn poll_handshake(
        &mut self,
        socket: &Stream,
        cx: &mut Context<'_>,
        greeting: &mut Greeting,
    ) -> Poll<io::Result<()>> {
        while !greeting.is_over {
            greeting.hear(self.received.filled())?;
            if !greeting.is_over {
                ready!(self.poll_fill_more(socket, cx))?;
            }
        }
        loop {
            let step = self.session.look(&mut self.received, &mut self.unsent);
            if step.is_err() {
                // What is wrong is said as far as it can be said at once.
                let _ = self.poll_flush(socket, cx);
            }
            if step? == Step::Again {
                continue;
            }
            ready!(self.poll_flush(socket, cx))?;
            if !self.session.state().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill_more(socket, cx))?;
        }
    }

    /// [`State::poll_fill`] where an end is too early.
    fn poll_fill_more(&mut self, socket: &Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_fill(socket, cx))?;
        Poll::Ready(if self.closed { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) })
    }

    fn poll_plaintext(&mut self, socket: &Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.has_plaintext()? || self.closed {
                return Poll::Ready(Ok(()));
            }
            if !self.unsent.is_empty() {
                // Nobody waits for it to leave but the peer.
                let _ = self.poll_flush(socket, cx)?;
            }
            ready!(self.poll_fill(socket, cx))?;
        }
    }

    /// A backend's end that it didn't say (RFC 8446 6.1) may be anybody's: what ends so is not whole. A client's counts: it
    /// says by HTTP itself whether what it sent is.
    fn is_cut_off(&self) -> bool {
        self.session.is_client() && self.closed && !self.session.has_ended()
    }

    /// Looks through what was received.
    fn has_plaintext(&mut self) -> io::Result<bool> {
        if !self.plain.is_empty() {
            return Ok(true);
        }
        loop {
            match self.session.look(&mut self.received, &mut self.unsent)? {
                Step::Plaintext => return Ok(true),
                Step::Again => {}
                Step::Ended | Step::Blocked | Step::Sealed(_) => break,
            }
        }
        self.closed |= self.session.has_ended();
        Ok(false)
    }

    /// Moves what plaintext there is into what room there is.
    fn give(&mut self, buffer: &mut Buffer) -> usize {
        let mut given = pour(&mut self.plain, buffer);
        while buffer.room() > 0 && self.has_plaintext().unwrap_or(false) {
            let Self { session, received, unsent, plain, .. } = self;
            let taken = session.take(received, unsent, |bytes| {
                let now = bytes.len().min(buffer.room());
                buffer.tail().extend_from_slice(&bytes[..now]);
                if now < bytes.len() {
                    plain.tail().extend_from_slice(&bytes[now..]);
                }
                given += now;
            });
            // Whatever is wrong is wrong once more at the next look.
            if taken.is_err() {
                break;
            }
        }
        self.plain.release();
        self.received.release();
        given
    }

    /// Receives records.
    fn poll_fill(&mut self, socket: &Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(broken) = self.broken {
            return Poll::Ready(Err(broken.into()));
        }
        if self.received.is_empty() {
            // A connection that waits holds no buffer.
            self.received.release();
            ready!(socket.poll_read_ready(cx))?;
        }
        if self.floods {
            self.received.need_large();
        }
        if !self.received.make_room(MOST_RECEIVED) {
            return Poll::Ready(Err(ErrorKind::InvalidData.into()));
        }
        let room = self.received.room();
        let Poll::Ready(count) = socket.poll_receive(cx, &mut self.received) else {
            self.received.release();
            return Poll::Pending;
        };
        let count = count.inspect_err(|error| self.broken = Some(error.kind()))?;
        self.floods = count == room;
        self.closed = count == 0;
        Poll::Ready(Ok(()))
    }

    fn seal(&mut self, bytes: &[u8], room: &mut [u8]) -> io::Result<usize> {
        if self.finished {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let Self { session, received, unsent, plain, .. } = self;
        session.seal(bytes, room, (received, unsent), |bytes| plain.tail().extend_from_slice(bytes))
    }

    fn say_goodbye(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let mut alert = [0; 256];
        let Self { session, received, unsent, plain, .. } = self;
        let take = |bytes: &[u8]| plain.tail().extend_from_slice(bytes);
        let sealed = session.goodbye(&mut alert, (received, unsent), take)?;
        self.unsent.tail().extend_from_slice(&alert[..sealed]);
        Ok(())
    }

    /// Sends records, or keeps what of them the socket doesn't take.
    fn send(&mut self, socket: &Stream, cx: &mut Context<'_>, sealed: &[u8], leave: Leave) -> io::Result<()> {
        let before = self.unsent.len();
        let sent = match socket.poll_send(cx, [self.unsent.filled(), sealed, &[]], leave) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => 0,
        };
        self.unsent.consume(sent.min(before));
        let left = &sealed[sent.saturating_sub(before)..];
        if !left.is_empty() {
            self.unsent.tail().extend_from_slice(left);
        }
        self.unsent.release();
        Ok(())
    }

    fn poll_flush(&mut self, socket: &Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(socket.poll_send(cx, [self.unsent.filled(), &[], &[]], Leave::Now))?;
            self.unsent.consume(sent);
        }
        self.unsent.release();
        Poll::Ready(Ok(()))
    }
}

/// The next bytes to be sealed together: so that a head and the beginning of its body are one record, they are brought
/// together; a single part is taken from where it is.
fn gather<'a>(parts: [&'a [u8]; 3], room: &'a mut Vec<u8>) -> &'a [u8] {
    let mut filled = parts.iter().filter(|part| !part.is_empty());
    let (first, second) = (filled.next(), filled.next());
    if second.is_none() {
        let only = first.copied().unwrap_or_default();
        return &only[..only.len().min(BATCH)];
    }
    room.clear();
    for part in parts {
        let left = BATCH - room.len();
        room.extend_from_slice(&part[..part.len().min(left)]);
    }
    room
}

/// Moves bytes from one buffer to another, as many as have room.
fn pour(from: &mut Buffer, to: &mut Buffer) -> usize {
    let count = from.len().min(to.room());
    to.tail().extend_from_slice(&from.filled()[..count]);
    from.consume(count);
    count
}
