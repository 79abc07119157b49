//! One connection: a task that drives the protocol, and a task for each of its streams.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, Handshake, SendResponse};
use h2::{Reason, RecvStream};

use super::call::Call;
use super::link::Link;
use super::transport::Transport;
use crate::clock::{self, Phase};
use crate::filter::forwarding::AddressText;
use crate::http::connection::{Client, Next};
use crate::http::downstream::Downstream;
use crate::http::{Session, linger};
use crate::io::Peer;
use crate::listener::{Arrival, ConnectionGuard, Told};
use crate::published::LocalListener;
use crate::turn;
use crate::worker::Worker;

/// Streams of one connection at a time. Browsers open some tens; what is above 100 only waits for the same backends.
const MAX_STREAMS: u32 = 128;

/// What a client may send of one body, or of all of a connection, before some of it was taken on.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Of one answer, what waits for the socket's turn.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that a client reset before they were looked at, or that broke a rule: above this the connection ends with
/// `ENHANCE_YOUR_CALM`.
const MAX_EARLY_RESETS: usize = 64;

/// For so long a connection that is told to go may still ask for what it had sent before it knew.
const LEAVE: Duration = Duration::from_secs(5);

/// Serves a connection until it ends, in a task of its own.
pub(crate) fn serve(worker: Rc<Worker>, arrival: Arrival) {
    let Arrival { stream, peer, told, guard } = arrival;
    let deadline = Rc::new(worker.wheel.deadline());
    guard.watch(&deadline, peer, worker.shared.began);
    let listener = guard.listener().current();
    listener.counters.http2_connections.add(1);
    deadline.set(Phase::Header, clock::now() + listener.plan.timeouts.header);
    let address = match peer {
        Peer::Ip(address) => Some(address.ip().to_canonical()),
        Peer::Unix => None,
    };
    let link = Link::new(stream, deadline, worker.buffers.buffer(), &worker.outbox);
    let transport = Transport::new(&link, worker.buffers.buffer());
    let handshake = options(&listener).handshake(transport);
    let connection = Connection {
        worker,
        link,
        peer,
        address,
        told: told.map(Rc::from),
        guard,
        open: Rc::new(Cell::new(0)),
        state: State::Greeting(Box::new(handshake)),
        waits: Waits::First,
        leaving: false,
        cut_off: false,
    };
    drop(tokio::task::spawn_local(connection));
}

fn options(listener: &LocalListener) -> server::Builder {
    let limits = &listener.plan.http.limits;
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(limits.max_bytes).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_EARLY_RESETS)
        .max_local_error_reset_streams(Some(MAX_EARLY_RESETS));
    builder
}

struct Connection {
    worker: Rc<Worker>,
    link: Rc<Link>,
    peer: Peer,
    address: Option<IpAddr>,
    told: Option<Rc<Told>>,
    guard: ConnectionGuard,
    /// Its streams that are open.
    open: Rc<Cell<usize>>,
    state: State,
    waits: Waits,
    /// The client was told to ask for nothing more.
    leaving: bool,
    /// The client asked for more than it may, and was told so.
    cut_off: bool,
}

enum State {
    /// Preface and settings.
    Greeting(Box<Handshake<Transport, Bytes>>),
    Open(Box<server::Connection<Transport, Bytes>>),
    /// The client is given the time to read why it ends.
    Lingering(Pin<Box<dyn Future<Output = ()>>>),
    Over,
}

/// What is due of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// Its first request.
    First,
    /// Nothing: it has streams.
    Busy,
    /// The next request, when it likes.
    Idle,
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let poll = |connection: &mut Self| connection.poll_on(cx);
        turn::take(self.get_mut(), poll, |connection, panic| {
            connection.worker.panicked(panic);
            connection.state = State::Over;
        })
    }
}

impl Connection {
    fn poll_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.attend(cx);
        loop {
            self.obey_limits();
            match &mut self.state {
                State::Greeting(handshake) => match ready!(Pin::new(handshake).poll(cx)) {
                    Ok(protocol) => self.state = State::Open(Box::new(protocol)),
                    Err(_) => self.linger(),
                },
                State::Open(protocol) => {
                    if self.guard.listener().closing() && !self.leaving {
                        self.leaving = true;
                        protocol.graceful_shutdown();
                        self.link.deadline.bring_forward(Phase::Idle, clock::now() + LEAVE);
                    }
                    match protocol.poll_accept(cx) {
                        Poll::Ready(Some(Ok((request, answer)))) => self.start(request, answer),
                        Poll::Ready(Some(Err(_)) | None) => self.linger(),
                        Poll::Pending if self.link.is_overdrawn() && !self.cut_off => {
                            self.cut_off = true;
                            self.guard.listener().current().counters.http2_floods.add(1);
                            protocol.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                        }
                        Poll::Pending => {
                            self.wait();
                            return Poll::Pending;
                        }
                    }
                }
                State::Lingering(drain) => {
                    ready!(drain.as_mut().poll(cx));
                    self.state = State::Over;
                }
                State::Over => return Poll::Ready(()),
            }
        }
    }

    /// Does what a limit that has passed demands.
    fn obey_limits(&mut self) {
        let deadline = &self.link.deadline;
        let Some(phase) = deadline.expired() else { return };
        match (&mut self.state, phase) {
            // A client that is idle for too long is told to go, and what it asks meanwhile is answered.
            (State::Open(protocol), Phase::Idle | Phase::Header) if !self.leaving => {
                self.leaving = true;
                deadline.clear(phase);
                deadline.set(Phase::Idle, clock::now() + LEAVE);
                protocol.graceful_shutdown();
            }
            // Streams have limits of their own.
            (State::Open(_), Phase::Idle | Phase::Header) if self.open.get() > 0 => deadline.clear(phase),
            (State::Lingering(_), _) => {}
            _ => self.state = State::Over,
        }
    }

    /// Nothing is to be done for now.
    fn wait(&mut self) {
        let busy = self.open.get() > 0;
        match (self.waits, busy) {
            (Waits::First | Waits::Idle, true) => {
                self.waits = Waits::Busy;
                self.link.deadline.clear(Phase::Header);
                self.link.deadline.clear(Phase::Idle);
            }
            (Waits::Busy, false) => {
                self.waits = Waits::Idle;
                let idle =
                    if self.leaving { LEAVE } else { self.guard.listener().current().plan.timeouts.idle };
                self.link.deadline.set(Phase::Idle, clock::recently() + idle);
            }
            _ => {}
        }
    }

    /// Serves a request.
    fn start(&mut self, request: http::Request<RecvStream>, answer: SendResponse<Bytes>) {
        self.guard.listener().current().counters.http2_requests.add(1);
        let deadline = Rc::new(self.worker.wheel.deadline());
        let guard = self.guard.beside();
        guard.watch(&deadline, self.peer, self.worker.shared.began);
        let client = Box::new(Client {
            worker: Rc::clone(&self.worker),
            downstream: Downstream::Http2(Box::new(Call::new(&self.link, &self.open, request, answer))),
            deadline,
            address: self.address,
            address_text: self.address.map(AddressText::new),
            told: self.told.clone(),
            fresh: false,
            empty_lines: 0,
            guard,
        });
        let session = self.worker.sessions.start(&self.worker.buffers, client);
        drop(tokio::task::spawn_local(Serving { session: Some(session), worker: Rc::clone(&self.worker) }));
    }

    /// Closes it so that the client can read what was said last.
    fn linger(&mut self) {
        let (link, worker) = (Rc::clone(&self.link), Rc::clone(&self.worker));
        self.link.deadline.clear_all();
        self.state = State::Lingering(Box::pin(async move {
            link.deadline.set(Phase::Write, clock::now() + LEAVE);
            if poll_fn(|cx| link.poll_send(cx)).await.is_err() {
                return;
            }
            link.deadline.clear(Phase::Write);
            linger::drain(&link.stream, &link.deadline, &worker.buffers).await;
        }));
    }
}

/// One stream while its request runs.
struct Serving {
    session: Option<Session>,
    worker: Rc<Worker>,
}

impl Future for Serving {
    type Output = ();

    /// Without its session, what it had of the stream is gone, which resets it.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let poll = |serving: &mut Self| serving.poll_on(cx);
        turn::take(self.get_mut(), poll, |serving, panic| {
            serving.worker.panicked(panic);
            serving.session = None;
        })
    }
}

impl Serving {
    fn poll_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(session) = &mut self.session else { return Poll::Ready(()) };
        let (client, next) = ready!(session.poll(cx));
        if let Some(session) = self.session.take() {
            self.worker.sessions.give_back(session);
        }
        if let (Downstream::Http2(call), Next::Cut) = (&client.downstream, next) {
            call.cut();
        }
        Poll::Ready(())
    }
}
