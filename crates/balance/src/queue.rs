//! Requests that wait until a backend of their pool has room.
//!
//! A queue is bounded for the whole process. Its waiters stand by worker: a slot that is freed serves its own worker
//! first, whose caches are warm, and only else one that waits elsewhere. Whoever is woken picks like anybody else, so a
//! request that comes at that very moment may be faster; then the woken one goes back to its old place. Where requests
//! have priorities, the higher come first, wherever they wait.

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
    /// Of those that wait, how many have a priority.
    ranked: Count,
    served: AtomicU64,
    timed_out: AtomicU64,
    refused: AtomicU64,
    lines: [CachePadded<Line>; LINES],
}

/// Who waits on a worker, by rank. Its lock is held for a few moves of memory, and by nobody while nobody waits.
#[derive(Debug, Default)]
struct Line(Mutex<VecDeque<(u64, Waker)>>);

/// A place in a queue. It has to be [left](Queue::leave).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The lowest is next: the priority from the top down in the upper 8 bits, then the order of arrival.
    rank: u64,
    line: usize,
}

const PRIORITY_AT: u32 = 56;

/// The class of those without a priority.
const UNRANKED: u64 = u8::MAX as u64;

/// How a request leaves its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It has a slot.
    Served,
    /// It has waited for as long as it may.
    TimedOut,
    /// Its client has gone away, or there is nothing to wait for any more.
    GivenUp,
}

/// What became of requests that came to a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// They waited and got a slot.
    pub served: u64,
    /// They waited for as long as they might.
    pub timed_out: u64,
    /// They found it full.
    pub refused: u64,
}

impl Queue {
    /// A place for a request of `worker`, unless `size` wait already. Those of a higher priority come before it.
    #[must_use]
    pub fn enter(&self, size: u32, worker: usize, priority: u8) -> Option<Ticket> {
        if !self.waiting.try_add(size) {
            self.refused.fetch_add(1, Relaxed);
            return None;
        }
        if priority > 0 {
            self.ranked.add();
        }
        let class = u64::from(u8::MAX - priority) << PRIORITY_AT;
        Some(Ticket { rank: class | self.arrivals.fetch_add(1, Relaxed), line: worker % LINES })
    }

    /// `waker` is woken once when the turn of `ticket` comes. To be called before looking for room, lest what is freed
    /// in between be missed. Whether it may look: one that comes back of its own accord, and not because it was woken,
    /// leaves what room there is to those of a higher priority.
    pub fn park(&self, ticket: Ticket, waker: &Waker) -> bool {
        let stood = self.lines[ticket.line].with(|line| {
            let place = line.binary_search_by_key(&ticket.rank, |&(at, _)| at);
            match place {
                Ok(place) => line[place].1.clone_from(waker),
                Err(place) => line.insert(place, (ticket.rank, waker.clone())),
            }
            place.is_ok()
        });
        !stood || self.highest(0).is_none_or(|class| class >= ticket.rank >> PRIORITY_AT)
    }

    /// The place is given up. Who was woken and isn't served has somebody else woken.
    pub fn leave(&self, ticket: Ticket, leaving: Leaving) {
        let stood = self.lines[ticket.line].with(|line| {
            let place = line.binary_search_by_key(&ticket.rank, |&(at, _)| at);
            place.map(|place| line.remove(place)).is_ok()
        });
        if ticket.rank >> PRIORITY_AT < UNRANKED {
            self.ranked.remove();
        }
        self.waiting.remove();
        match leaving {
            Leaving::Served => self.served.fetch_add(1, Relaxed),
            Leaving::TimedOut => self.timed_out.fetch_add(1, Relaxed),
            Leaving::GivenUp => 0,
        };
        if !stood && leaving != Leaving::Served {
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
        let highest = self.highest(worker);
        let next = |line: &mut VecDeque<(u64, Waker)>| {
            let is_next =
                |&(rank, _): &(u64, Waker)| highest.is_none_or(|class| rank >> PRIORITY_AT <= class);
            if line.front().is_some_and(is_next) { line.pop_front() } else { None }
        };
        // Who was the highest may have left since: then it is whoever is next.
        let first = self
            .lines_from(worker)
            .find_map(|line| line.with(next))
            .or_else(|| self.lines_from(worker).find_map(|line| line.with(VecDeque::pop_front)));
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    /// The class of the highest priority that waits; `None` while nobody has one, which costs no look at other lines.
    fn highest(&self, worker: usize) -> Option<u64> {
        let front = |line: &Line| line.with(|line| line.front().map(|&(rank, _)| rank >> PRIORITY_AT));
        if self.ranked.get() > 0 { self.lines_from(worker).filter_map(front).min() } else { None }
    }

    fn lines_from(&self, worker: usize) -> impl Iterator<Item = &Line> {
        (0..LINES).map(move |step| &*self.lines[(worker + step) % LINES])
    }

    /// How many wait, over all workers.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.get()
    }

    /// What became of those that don't wait any more.
    #[must_use]
    pub fn counts(&self) -> QueueCounts {
        QueueCounts {
            served: self.served.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

impl Line {
    /// Nothing in here can panic half-way.
    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<(u64, Waker)>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lines_are_looked_at_only_while_somebody_with_a_priority_waits() {
        let queue = Queue::default();
        let plain = queue.enter(10, 0, 0).expect("there is room");
        assert!(queue.park(plain, Waker::noop()));
        assert_eq!(queue.highest(0), None);
        for leaving in [Leaving::Served, Leaving::TimedOut, Leaving::GivenUp] {
            let urgent = queue.enter(10, 1, 9).expect("there is room");
            assert!(queue.park(urgent, Waker::noop()));
            assert_eq!(queue.highest(0), Some(UNRANKED - 9));
            queue.leave(urgent, leaving);
            assert_eq!(queue.highest(0), None, "those that are left have none");
        }
    }
}
