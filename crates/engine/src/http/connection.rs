//! A client's connection: one task, small while it waits, a session beside it while requests run.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use fairlead_wire::Version;
use fairlead_wire::http1::Request;

use super::answer::Persistence;
use super::linger;
use crate::clock::{self, Deadline, Phase};
use crate::filter::forwarding::AddressText;
use crate::io::{Fault, Peer, Stream};
use crate::listener::ConnectionGuard;
use crate::published::ListenerCell;
use crate::worker::Worker;

/// What lives as long as the connection. Boxed, because it moves between the task and its session.
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Rc<ListenerCell>,
    pub(crate) stream: Stream,
    pub(crate) deadline: Rc<Deadline>,
    /// The address; a Unix socket's peer has none.
    pub(crate) address: Option<IpAddr>,
    pub(crate) address_text: Option<AddressText>,
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
pub(crate) fn serve(
    worker: Rc<Worker>,
    listener: Rc<ListenerCell>,
    stream: Stream,
    peer: Peer,
    guard: ConnectionGuard,
) {
    let deadline = Rc::new(worker.wheel.deadline());
    guard.watch(&deadline);
    let address = match peer {
        Peer::Ip(address) => Some(address.ip().to_canonical()),
        Peer::Unix => None,
    };
    let client = Box::new(Client {
        worker: Rc::clone(&worker),
        listener,
        stream,
        deadline,
        address,
        address_text: address.map(AddressText::new),
        fresh: true,
        empty_lines: 0,
        guard,
    });
    // Dropping the handle detaches the task: it ends with its connection, or with the worker.
    drop(tokio::task::spawn_local(contain(worker, client)));
}

/// Runs a connection; its panic is counted, and ends it and nothing else.
async fn contain(worker: Rc<Worker>, client: Box<Client>) {
    let mut task = pin!(run(client));
    let ended = poll_fn(|cx| {
        // Nothing of the task is looked at again after a panic; what it shared with others (cells of the worker) is
        // never left half-changed across a call that could panic.
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await;
    if let Err(panic) = ended {
        worker.panicked(&*panic);
    }
}

async fn run(mut client: Box<Client>) {
    loop {
        if client.wait().await.is_err() {
            return;
        }
        let worker = Rc::clone(&client.worker);
        let mut session = worker.sessions.start(&worker.buffers, client);
        let (back, next) = poll_fn(|cx| session.poll(cx)).await;
        worker.sessions.give_back(session);
        client = back;
        client.guard.uses(None);
        match next {
            Next::Idle => {}
            Next::Close => return,
            // Boxed: every waiting connection would have to be large enough for it.
            Next::Linger => return Box::pin(linger::drain(&client)).await,
            Next::Cut => return client.stream.reset_on_close(),
        }
    }
}

impl Client {
    /// What becomes of the connection after the answer to `request`, if its messages are delimited so that it is
    /// `reusable`.
    pub(crate) fn persistence(&self, request: &Request, version: Version, reusable: bool) -> Persistence {
        if !reusable || !request.persistent || self.listener.closing() {
            Persistence::Close
        } else if version == Version::Http10 {
            Persistence::KeepTold
        } else {
            Persistence::Keep
        }
    }

    /// Waits for the first byte of a request, without a buffer. A failure is a connection that closes without a word:
    /// nothing was asked.
    async fn wait(&self) -> Result<(), Fault> {
        let timeouts = self.listener.current().plan.timeouts;
        // The first request is due when the connection is there; later ones when the client feels like it.
        let (phase, limit) =
            if self.fresh { (Phase::Header, timeouts.header) } else { (Phase::Idle, timeouts.idle) };
        self.deadline.set(phase, clock::now() + limit);
        let readable = self.stream.readable(&self.deadline).await;
        self.deadline.clear(Phase::Idle);
        readable
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{Client, contain};

    fn size_of_future<F>(_: impl FnOnce(Box<Client>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_waiting_connection_is_small() {
        let task = size_of_future(|client| contain(Rc::clone(&client.worker), client));
        // The budget of an idle connection is 1 KiB with its socket's registration (about 400 B) and `Client`.
        assert!(task < 256, "the task of a connection takes {task} B");
        assert!(task + size_of::<Client>() < 512, "a client takes {} B", size_of::<Client>());
    }
}
