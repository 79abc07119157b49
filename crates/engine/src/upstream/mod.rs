//! Connections to backends: made, kept while idle, taken again. A part for each worker, so nothing here is shared but
//! the counts that hang on a backend.

mod connection;
mod dial;
mod idle;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fairlead_plan::{Backend, IdleOptions};

use crate::buffer::Buffers;
use crate::clock::{self, Deadline, Phase, Wheel};

pub(crate) use connection::Connection;
pub(crate) use dial::{DialError, DialFailure, Way, classify, open};

use idle::Idle;

/// The longest time that a connection which its backend closed stays open here.
const SWEEP: Duration = Duration::from_secs(1);

/// A worker's connections to backends.
pub(crate) struct Upstreams {
    idle: RefCell<Idle>,
    buffers: Rc<Buffers>,
    sweep: Deadline,
}

impl Upstreams {
    /// No connection yet. [`Upstreams::run`] has to be driven beside it.
    pub(crate) fn new(wheel: &Rc<Wheel>, buffers: &Rc<Buffers>) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::new(Idle::default()),
            buffers: Rc::clone(buffers),
            sweep: wheel.deadline(),
        })
    }

    /// The connection to `backend` that became idle last and is still good, as far as is known without a call.
    pub(crate) fn take_idle(&self, backend: &Backend) -> Option<Connection> {
        self.idle.borrow_mut().take(backend, clock::recently())
    }

    /// A new connection, within `connect` and whatever else limits the request.
    #[cfg(test)]
    pub(crate) async fn dial(
        &self,
        backend: &Backend,
        connect: Duration,
        deadline: &Deadline,
    ) -> Result<Connection, DialError> {
        self.dial_by(Way::default(), backend, connect, deadline).await
    }

    /// The same, with what comes before. An address of somebody else has to be of the family of the backend's.
    pub(crate) async fn dial_by(
        &self,
        way: Way<'_>,
        backend: &Backend,
        connect: Duration,
        deadline: &Deadline,
    ) -> Result<Connection, DialError> {
        let stream = dial::dial(backend, way, connect, deadline, &self.buffers).await?;
        Ok(Connection::new(stream, self.buffers.buffer()))
    }

    /// Keeps a connection whose answer is complete for another request, if `options` and its own state let it.
    pub(crate) fn give_back(&self, backend: &Backend, connection: Connection, options: &IdleOptions) {
        let now = clock::recently();
        if self.idle.borrow_mut().keep(backend, connection, options, now) {
            self.sweep_by(now + options.timeout.min(SWEEP));
        }
    }

    /// Closes the idle connections of every key that isn't `valid` any more.
    pub(crate) fn retain(&self, valid: impl Fn(u64) -> bool) {
        self.idle.borrow_mut().retain(valid);
    }

    /// Closes the idle connections beyond `most`, oldest first for each backend.
    pub(crate) fn keep_newest(&self, most: usize) {
        self.idle.borrow_mut().keep_newest(most);
    }

    /// Idle connections of this worker.
    pub(crate) fn idle_connections(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Closes idle connections whose time has passed or that their backend closed, for the worker's life.
    pub(crate) async fn run(self: Rc<Self>) {
        loop {
            poll_fn(|cx| self.sweep.poll_expired(cx)).await;
            self.sweep.rearm();
            self.sweep_now(clock::now());
        }
    }

    fn sweep_now(&self, now: Instant) {
        let next = self.idle.borrow_mut().sweep(now);
        if let Some(next) = next {
            self.sweep.set(Phase::Idle, next.min(now + SWEEP));
        }
    }

    /// Lets the next sweep be at `at`, or sooner if one was due sooner.
    fn sweep_by(&self, at: Instant) {
        self.sweep.set_sooner(Phase::Idle, at);
    }
}
