//! UDP listeners: datagrams of a client that come soon enough after each other are a session, which has one backend and a
//! socket of its own towards it.
//!
//! In the order of a datagram: [`receiver`] takes it from the socket that it came to, [`path`] says which session it is of,
//! [`upstream`] picks a backend for a new one and notes when one has to be left, [`session`] sends it there and takes what
//! comes back, [`replies`] gathers that of all sessions and sends it to the clients, [`end`] says why a session is over.
//!
//! Nothing waits here: what a socket has no room for is dropped and counted, as any router on the way would.

mod end;
mod path;
mod receiver;
mod replies;
mod session;
mod upstream;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::unix::datagrams::Batch;

pub(crate) use receiver::Receiver;

use replies::Replies;

/// What all datagrams of a worker pass through: 4 MiB of room, of which only what was once filled is memory.
#[derive(Default)]
pub(crate) struct Datagrams {
    /// What came from clients and is handed on before anything else is done.
    inbox: RefCell<Option<Batch>>,
    replies: RefCell<Replies>,
    sender: Cell<Option<Waker>>,
}

impl Datagrams {
    /// Sends what sessions have gathered, for the worker's life: whoever is ready in this turn comes first.
    pub(crate) async fn run(self: Rc<Self>) {
        poll_fn(|cx| {
            self.sender.set(Some(cx.waker().clone()));
            self.replies.borrow_mut().send();
            Poll::<()>::Pending
        })
        .await;
    }

    /// There is something to send in this turn.
    fn will_send(&self) {
        if let Some(sender) = self.sender.take() {
            sender.wake();
        }
    }
}
