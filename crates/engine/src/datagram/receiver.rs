//! One worker receiving from one bind: datagrams of all its clients, each of which goes to its session.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use fairlead_plan::spec::{Protocol, UdpOptions};
use foldhash::quality::RandomState;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

use super::end;
use super::path::{Path, count};
use super::session::Session;
use crate::clock;
use crate::listener::Bound;
use crate::published::{ListenerCell, LocalListener, LocalMembers, LocalRoute};
use crate::telemetry::{Dropped, ListenerCounters};
use crate::unix::datagrams::{Batch, MESSAGES};
use crate::unix::{self, SharedSocket};
use crate::worker::Worker;

/// Calls in one turn, before others have theirs.
const CALLS: usize = 4;
/// What may have come before the socket is closed is looked at so many times: the kernel's buffer holds no more.
const LAST_CALLS: usize = 1024;

/// A worker's end of a socket that datagrams come to.
pub(crate) struct Receiver {
    socket: AsyncFd<SharedSocket>,
    cell: RefCell<Rc<ListenerCell>>,
    sessions: RefCell<HashMap<Path, Rc<Session>, RandomState>>,
    /// What the socket had lost when it was last said.
    lost: Cell<u32>,
    task: RefCell<Option<JoinHandle<()>>>,
}

/// By what the datagrams of one turn are served.
pub(super) struct Terms {
    pub(super) cell: Rc<ListenerCell>,
    pub(super) listener: Rc<LocalListener>,
    pub(super) members: Rc<LocalMembers>,
    pub(super) udp: UdpOptions,
    pub(super) now: Instant,
}

impl Terms {
    /// Those of now; `None` for a listener that isn't one of datagrams.
    pub(super) fn of(cell: &Rc<ListenerCell>, now: Instant) -> Option<Self> {
        let listener = cell.current();
        let Protocol::Udp(udp) = listener.plan.protocol else { return None };
        let members = listener.routes.first()?.pool.members();
        Some(Self { cell: Rc::clone(cell), listener, members, udp, now })
    }

    pub(super) fn route(&self) -> &LocalRoute {
        &self.listener.routes[0]
    }

    pub(super) fn counters(&self) -> &ListenerCounters {
        &self.listener.counters
    }
}

/// A message: a datagram, or a train of them.
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) segment: Option<u16>,
    pub(super) datagrams: u64,
}

impl Receiver {
    /// Starts to receive for `cell`.
    pub(crate) fn start(worker: &Rc<Worker>, bound: &Bound, cell: &Rc<ListenerCell>) -> io::Result<Rc<Self>> {
        let receiver = Rc::new(Self {
            socket: unix::watch(bound.socket(worker.index))?,
            cell: RefCell::new(Rc::clone(cell)),
            sessions: RefCell::default(),
            lost: Cell::new(0),
            task: RefCell::new(None),
        });
        let task = tokio::task::spawn_local(Rc::clone(&receiver).run(Rc::clone(worker)));
        receiver.task.replace(Some(task));
        Ok(receiver)
    }

    /// The bind is another listener's from now on.
    pub(crate) fn retarget(&self, cell: &Rc<ListenerCell>) {
        self.cell.replace(Rc::clone(cell));
    }

    /// Hands on what has come, and then ends all sessions: whoever has the address next has their clients' next datagrams.
    /// Returns what is over when this worker has let go of the socket.
    pub(crate) fn finish(self: Rc<Self>, worker: &Rc<Worker>) -> Option<JoinHandle<()>> {
        for _ in 0..LAST_CALLS {
            if !self.turn(worker) {
                break;
            }
        }
        let sessions: Vec<_> = self.sessions.borrow().values().cloned().collect();
        for session in sessions {
            session.end(end::CLOSED);
        }
        worker.datagrams.replies.borrow_mut().let_go(&self);
        let task = self.task.take();
        task.inspect(JoinHandle::abort)
    }

    async fn run(self: Rc<Self>, worker: Rc<Worker>) {
        loop {
            let Ok(mut ready) = self.socket.readable().await else { return };
            let mut more = true;
            for _ in 0..CALLS {
                // What a datagram does to its session must not end the receiving of all others.
                more = catch_unwind(AssertUnwindSafe(|| self.turn(&worker))).unwrap_or_else(|panic| {
                    worker.panicked(&*panic);
                    true
                });
                if !more {
                    break;
                }
            }
            if more {
                tokio::task::yield_now().await;
            } else {
                ready.clear_ready();
            }
        }
    }

    /// Receives once; whether there may be more. Whatever comes after a call that found less than it had room for makes
    /// the socket ready again.
    fn turn(self: &Rc<Self>, worker: &Rc<Worker>) -> bool {
        let _turn = clock::begin_turn();
        let mut inbox = worker.datagrams.inbox.borrow_mut();
        let batch = inbox.get_or_insert_with(Batch::new);
        let Ok(messages) = batch.receive(self.socket(), 0..MESSAGES) else { return false };
        let cell = Rc::clone(&self.cell.borrow());
        let Some(terms) = Terms::of(&cell, clock::now()) else { return false };
        for place in 0..messages {
            let told = batch.told(place);
            if let Some(lost) = told.lost {
                let before = self.lost.replace(lost);
                terms.counters().datagrams().drop(Dropped::ReceiveBuffer, lost.wrapping_sub(before).into());
            }
            let Some(client) = batch.source(place) else { continue };
            let (bytes, segment) = (batch.bytes(place), told.segment);
            let datagrams = count(bytes.len(), segment);
            let path = Path { client, local: told.local };
            self.take(worker, &terms, path, &Message { bytes, segment, datagrams });
        }
        messages == MESSAGES
    }

    fn take(self: &Rc<Self>, worker: &Rc<Worker>, terms: &Terms, path: Path, message: &Message<'_>) {
        let counters = terms.counters();
        counters.datagrams().received.add(message.datagrams);
        counters.bytes_in.add(message.bytes.len() as u64);
        let known = self.sessions.borrow().get(&path).cloned();
        let known = known.filter(|session| {
            let stays = session.is_of(&terms.cell);
            if !stays {
                session.end(end::CLOSED);
            }
            stays
        });
        let session = match known {
            Some(session) => session,
            None => match Session::begin(worker, self, terms, path) {
                Ok(session) => {
                    self.sessions.borrow_mut().insert(path, Rc::clone(&session));
                    session
                }
                Err(why) => return counters.datagrams().drop(why, message.datagrams),
            },
        };
        session.forward(terms, message);
    }

    /// The session of `path` is over.
    pub(super) fn forget(&self, path: &Path) {
        let mut sessions = self.sessions.borrow_mut();
        sessions.remove(path);
        // A burst's memory is not kept for ever.
        if sessions.is_empty() && sessions.capacity() > MESSAGES {
            sessions.shrink_to(MESSAGES);
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }

    /// Of the listener that has the bind now.
    pub(super) fn counters(&self) -> Arc<ListenerCounters> {
        Arc::clone(&self.cell.borrow().current().counters)
    }
}
