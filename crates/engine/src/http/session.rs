//! What a connection needs while a request runs: one boxed future that never ends, with the heads and buffers of an
//! exchange inside it. A connection takes one at the first byte of a request and gives it back when it is idle
//! again, so an idle connection is small and a busy one allocates nothing.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::connection::{Client, Next};
use super::requests;
use crate::buffer::Buffers;
use crate::filter::date::DateCache;
use crate::proxy::exchange::Exchange;

/// Sessions kept for the next burst; what comes back above this is freed. A session takes 4 KiB, and its heads what the
/// largest request they held took, usually 2 KiB: 1.5 MiB a worker.
const KEPT: usize = 256;

/// The free sessions of one worker.
pub(crate) struct SessionPool {
    free: RefCell<Vec<Session>>,
    /// What sessions put into `Date`.
    pub(crate) date: DateCache,
}

impl Default for SessionPool {
    fn default() -> Self {
        Self {
            // With all the room it will ever use: giving back must not allocate.
            free: RefCell::new(Vec::with_capacity(KEPT)),
            date: DateCache::default(),
        }
    }
}

impl SessionPool {
    /// A session for one busy spell of `client`.
    pub(crate) fn start(&self, buffers: &Rc<Buffers>, client: Box<Client>) -> Session {
        let session = self.free.borrow_mut().pop().unwrap_or_else(|| Session::new(buffers));
        session.0.desk.work.set(Some(client));
        session
    }

    /// Takes back a session whose spell is over.
    pub(crate) fn give_back(&self, session: Session) {
        let mut free = self.free.borrow_mut();
        if free.len() < KEPT {
            free.push(session);
        }
    }
}

/// Where a session and the connection's task hand the client over.
struct Desk {
    work: Cell<Option<Box<Client>>>,
    done: Cell<Option<(Box<Client>, Next)>>,
}

/// One session, a single word for who holds it. Dropped in the middle of a spell it drops the client, the exchange and all
/// they hold.
pub(crate) struct Session(Box<Parts>);

struct Parts {
    desk: Rc<Desk>,
    life: Pin<Box<dyn Future<Output = Infallible>>>,
}

impl Session {
    fn new(buffers: &Rc<Buffers>) -> Self {
        let desk = Rc::new(Desk { work: Cell::new(None), done: Cell::new(None) });
        let life = Box::pin(live(Rc::clone(&desk), Exchange::new(buffers)));
        Self(Box::new(Parts { desk, life }))
    }

    /// Runs requests until the client has no more of them, and hands it back.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Box<Client>, Next)> {
        match self.0.life.as_mut().poll(cx) {
            Poll::Pending => self.0.desk.done.take().map_or(Poll::Pending, Poll::Ready),
            Poll::Ready(never) => match never {},
        }
    }
}

async fn live(desk: Rc<Desk>, mut exchange: Exchange) -> Infallible {
    loop {
        let mut client = poll_fn(|_| desk.work.take().map_or(Poll::Pending, Poll::Ready)).await;
        let next = requests::serve(&mut client, &mut exchange).await;
        desk.done.set(Some((client, next)));
    }
}
