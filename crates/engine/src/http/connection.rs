//! A client's connection: one task, small while it waits, a session beside it while requests run.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use fairlead_wire::Version;
use fairlead_wire::http1::Request;

use super::answer::Persistence;
use super::downstream::Downstream;
use super::linger;
use super::session::Session;
use crate::clock::{self, Deadline, Phase};
use crate::filter::forwarding::AddressText;
use crate::io::Peer;
use crate::listener::{Arrival, ConnectionGuard, Told};
use crate::turn;
use crate::worker::Worker;

/// What lives as long as the connection. Boxed, because it moves between the task and its session.
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) downstream: Downstream,
    pub(crate) deadline: Rc<Deadline>,
    /// The address; a Unix socket's peer has none.
    pub(crate) address: Option<IpAddr>,
    pub(crate) address_text: Option<AddressText>,
    /// What a proxy said of it before its first request.
    pub(crate) told: Option<Rc<Told>>,
    /// Nothing was asked yet.
    pub(crate) fresh: bool,
    /// Empty lines since the last request that were let go, so that the connection could wait without a buffer.
    pub(crate) empty_lines: u8,
    pub(crate) guard: ConnectionGuard,
}

/// What becomes of the connection when its session has nothing more to do.
pub(crate) enum Next {
    /// It waits for another request.
    Idle,
    /// It is closed: everything was said and read.
    Close,
    /// It is closed for sending, and what the client still sends is thrown away for a while: closing at once would
    /// reset the connection and take the answer from it (RFC 9112 9.6).
    Linger,
    /// It is reset, so that a cut answer isn't taken for a whole one.
    Cut,
}

/// Serves a connection until it ends, in a task of its own.
pub(crate) fn serve(worker: Rc<Worker>, arrival: Arrival) {
    let Arrival { stream, peer, told, guard } = arrival;
    let deadline = Rc::new(worker.wheel.deadline());
    guard.watch(&deadline, peer, worker.shared.began);
    let address = match peer {
        Peer::Ip(address) => Some(address.ip().to_canonical()),
        Peer::Unix => None,
    };
    let client = Box::new(Client {
        worker,
        downstream: Downstream::Http1(stream),
        deadline,
        address,
        address_text: address.map(AddressText::new),
        told: told.map(Rc::from),
        fresh: true,
        empty_lines: 0,
        guard,
    });
    // Dropping the handle detaches the task: it ends with its connection, or with the worker.
    drop(tokio::task::spawn_local(Connection::waiting(client)));
}

/// A connection as its task sees it. Written by hand, and everything but the state's few words elsewhere: with the loop's
/// own part the task takes 128 B, the state machine that the compiler made of the same lines 384 B.
enum Connection {
    /// For the first byte of a request.
    Waiting(Box<Client>),
    /// A session has the client.
    Busy(Session, Rc<Worker>),
    /// The client is given the time to read the last answer.
    Lingering(Box<Lingering>),
    Over,
}

struct Lingering {
    worker: Rc<Worker>,
    drain: Pin<Box<dyn Future<Output = ()>>>,
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let poll = |connection: &mut Self| connection.poll_on(cx);
        turn::take(self.get_mut(), poll, |connection, panic| {
            if let Some(worker) = connection.worker() {
                worker.panicked(panic);
            }
            *connection = Self::Over;
        })
    }
}

impl Connection {
    fn poll_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self {
                Self::Waiting(client) => {
                    let readable = ready!(client.downstream.poll_readable(cx, &client.deadline));
                    client.deadline.clear(Phase::Idle);
                    if readable.is_err() {
                        // A connection that closes without a word: nothing was asked.
                        *self = Self::Over;
                    } else {
                        self.start();
                    }
                }
                Self::Busy(session, _) => {
                    let (client, next) = ready!(session.poll(cx));
                    self.rest(client, &next);
                }
                Self::Lingering(lingering) => {
                    ready!(lingering.drain.as_mut().poll(cx));
                    *self = Self::Over;
                }
                Self::Over => return Poll::Ready(()),
            }
        }
    }

    /// Hands the client to a session, since a request is there.
    fn start(&mut self) {
        if let Self::Waiting(client) = std::mem::replace(self, Self::Over) {
            let worker = Rc::clone(&client.worker);
            *self = Self::Busy(worker.sessions.start(&worker.buffers, client), worker);
        }
    }

    /// Takes the client back from its session.
    fn rest(&mut self, client: Box<Client>, next: &Next) {
        if let Self::Busy(session, worker) = std::mem::replace(self, Self::Over) {
            worker.sessions.give_back(session);
            client.guard.uses(None);
            match next {
                Next::Idle => *self = Self::waiting(client),
                // What was kept back to leave with the end must leave before closing finds something unread, and resets.
                Next::Close if !client.downstream.socket().holds() => {
                    _ = client.downstream.socket().shutdown_write();
                }
                Next::Close | Next::Linger => {
                    let drain = Box::pin(async move {
                        let Client { downstream, deadline, worker, .. } = &*client;
                        linger::drain(downstream.socket(), deadline, &worker.buffers).await;
                    });
                    *self = Self::Lingering(Box::new(Lingering { worker, drain }));
                }
                Next::Cut => client.downstream.socket().reset_on_close(),
            }
        }
    }

    /// A connection that waits for the first byte of a request, without a buffer.
    fn waiting(client: Box<Client>) -> Self {
        let timeouts = client.guard.listener().current().plan.timeouts;
        // The first request is due when the connection is there; later ones when the client feels like it.
        let (phase, limit) =
            if client.fresh { (Phase::Header, timeouts.header) } else { (Phase::Idle, timeouts.idle) };
        client.deadline.set(phase, clock::recently() + limit);
        Self::Waiting(client)
    }

    fn worker(&self) -> Option<Rc<Worker>> {
        match self {
            Self::Waiting(client) => Some(Rc::clone(&client.worker)),
            Self::Busy(_, worker) => Some(Rc::clone(worker)),
            Self::Lingering(lingering) => Some(Rc::clone(&lingering.worker)),
            Self::Over => None,
        }
    }
}

impl Client {
    /// Something of a final answer was sent, apart from what a pump counts: no other can take its place.
    pub(crate) fn has_answer(&self) -> bool {
        match &self.downstream {
            Downstream::Http1(_) => false,
            Downstream::Http2(call) => call.has_answer(),
        }
    }

    /// What becomes of the connection after the answer to `request`, if its messages are delimited so that it is
    /// `reusable`.
    pub(crate) fn persistence(&self, request: &Request, version: Version, reusable: bool) -> Persistence {
        // A stream of HTTP/2 has one request. What becomes of its connection is decided there.
        let one_only = matches!(self.downstream, Downstream::Http2(_));
        if !reusable || one_only || !request.persistent || self.guard.listener().closing() {
            Persistence::Close
        } else if version == Version::Http10 {
            Persistence::KeepTold
        } else {
            Persistence::Keep
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Connection};

    #[test]
    fn a_waiting_connection_is_small() {
        // The budget of an idle connection is 1 KiB with its socket's registration (about 400 B). The loop adds 104 B to
        // a task and rounds it up to 128.
        assert!(size_of::<Connection>() <= 24, "a connection takes {} B", size_of::<Connection>());
        assert!(size_of::<Client>() <= 160, "a client takes {} B", size_of::<Client>());
    }
}
