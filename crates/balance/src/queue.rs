//! Requests that wait until a backend of their pool has room.
//!
//! A queue is bounded for the whole process. Its waiters stand by worker: a slot that is freed serves its own worker
//! first, whose caches are warm, and only else one that waits elsewhere. Whoever is woken picks like anybody else, so a
//! request that comes at that very moment may be faster; then the woken one goes back to its old place.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use crossbeam_utils::CachePadded;

use crate::count::Count;

/// Lines that workers stand in; a machine with more shares them.
const LINES: usize = 32;

/// A pool's waiting requests.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Count,
    arrivals: AtomicU64,
    lines: [CachePadded<Line>; LINES],
}

/// Who waits on a worker, first come first. Its lock is held for a few moves of memory, and by nobody while nobody waits.
#[derive(Debug, Default)]
struct Line(Mutex<VecDeque<(u64, Waker)>>);

/// A place in a queue. It has to be [left](Queue::leave).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    arrival: u64,
    line: usize,
}

impl Queue {
    /// A place for a request of `worker`, unless `size` wait already.
    #[must_use]
    pub fn enter(&self, size: u32, worker: usize) -> Option<Ticket> {
        let entered = self.waiting.try_add(size);
        entered.then(|| Ticket { arrival: self.arrivals.fetch_add(1, Relaxed), line: worker % LINES })
    }

    /// `waker` is woken once when the turn of `ticket` comes. To be called before looking for room, lest what is freed
    /// in between be missed.
    pub fn park(&self, ticket: Ticket, waker: &Waker) {
        self.lines[ticket.line].with(|line| {
            match line.binary_search_by_key(&ticket.arrival, |&(at, _)| at) {
                Ok(place) => line[place].1.clone_from(waker),
                Err(place) => line.insert(place, (ticket.arrival, waker.clone())),
            }
        });
    }

    /// The place is given up, because the request was `served` or won't be. Who was woken and isn't served has somebody
    /// else woken.
    pub fn leave(&self, ticket: Ticket, served: bool) {
        let stood = self.lines[ticket.line].with(|line| {
            let place = line.binary_search_by_key(&ticket.arrival, |&(at, _)| at);
            place.map(|place| line.remove(place)).is_ok()
        });
        self.waiting.remove();
        if !stood && !served {
            self.freed(ticket.line);
        }
    }

    /// A slot was freed by `worker`: wakes one that waits there, else elsewhere. Costs a load while nobody waits.
    #[inline]
    pub fn freed(&self, worker: usize) {
        if self.waiting.get() > 0 {
            self.wake(worker);
        }
    }

    #[cold]
    fn wake(&self, worker: usize) {
        let first = (0..LINES)
            .map(|step| &self.lines[(worker + step) % LINES])
            .find_map(|line| line.with(VecDeque::pop_front));
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    /// How many wait, over all workers.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.get()
    }
}

impl Line {
    /// Nothing in here can panic half-way.
    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<(u64, Waker)>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
