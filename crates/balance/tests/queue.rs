//! Requests that wait for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Wake, Waker};

use fairlead_balance::{Leaving, Queue, QueueCounts, Ticket};

#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn ranked(queue: &Queue, worker: usize, priority: u8) -> (Ticket, Arc<Bell>) {
    let bell = Arc::new(Bell::default());
    let ticket = queue.enter(10, worker, priority).expect("room for ten");
    let _ = queue.park(ticket, &Waker::from(Arc::clone(&bell)));
    (ticket, bell)
}

fn waiter(queue: &Queue, worker: usize) -> (Ticket, Arc<Bell>) {
    ranked(queue, worker, 0)
}

fn rings(waiters: &[(Ticket, Arc<Bell>)]) -> Vec<u32> {
    waiters.iter().map(|(_, bell)| bell.0.load(Ordering::Relaxed)).collect()
}

#[test]
fn no_more_than_its_size_wait() {
    let queue = Queue::default();
    let tickets: Vec<_> = (0..3).filter_map(|worker| queue.enter(2, worker, 0)).collect();
    assert_eq!((tickets.len(), queue.waiting()), (2, 2));
    queue.leave(tickets[0], Leaving::GivenUp);
    assert!(queue.enter(2, 0, 0).is_some());
}

#[test]
fn a_freed_slot_wakes_the_first_of_its_worker_then_one_elsewhere() {
    let queue = Queue::default();
    let waiters = [waiter(&queue, 0), waiter(&queue, 1), waiter(&queue, 1)];
    queue.freed(1);
    assert_eq!(rings(&waiters), [0, 1, 0]);
    queue.freed(1);
    queue.freed(1);
    assert_eq!(rings(&waiters), [1, 1, 1]);
    queue.freed(1);
    assert_eq!(rings(&waiters), [1, 1, 1], "each is woken once for each time it parks");
}

#[test]
fn who_finds_no_room_goes_back_to_its_place() {
    let queue = Queue::default();
    let waiters = [waiter(&queue, 0), waiter(&queue, 0)];
    queue.freed(0);
    let _ = queue.park(waiters[0].0, &Waker::from(Arc::clone(&waiters[0].1)));
    queue.freed(0);
    assert_eq!(rings(&waiters), [2, 0]);
}

#[test]
fn who_leaves_after_it_was_woken_has_the_next_woken() {
    let queue = Queue::default();
    let waiters = [waiter(&queue, 0), waiter(&queue, 5), waiter(&queue, 5)];
    queue.freed(0);
    queue.leave(waiters[0].0, Leaving::GivenUp);
    assert_eq!(rings(&waiters), [1, 1, 0]);
    queue.leave(waiters[1].0, Leaving::Served);
    assert_eq!(rings(&waiters), [1, 1, 0], "who is served takes the slot");
    queue.leave(waiters[2].0, Leaving::GivenUp);
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn what_became_of_each_is_counted() {
    let queue = Queue::default();
    let tickets: Vec<_> = (0..5).filter_map(|worker| queue.enter(4, worker, 0)).collect();
    let leaving = [Leaving::Served, Leaving::TimedOut, Leaving::GivenUp, Leaving::Served];
    tickets.into_iter().zip(leaving).for_each(|(ticket, leaving)| queue.leave(ticket, leaving));
    assert_eq!(queue.counts(), QueueCounts { served: 2, timed_out: 1, refused: 1 });
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn the_highest_priority_is_woken_first_wherever_it_waits() {
    let queue = Queue::default();
    let waiters = [ranked(&queue, 0, 0), ranked(&queue, 0, 7), ranked(&queue, 3, 9), ranked(&queue, 5, 7)];
    let order = [[0, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 1], [1, 1, 1, 1]];
    for expected in order {
        queue.freed(0);
        assert_eq!(rings(&waiters), expected);
    }
}

#[test]
fn who_looks_again_unasked_leaves_room_to_a_higher_priority() {
    let queue = Queue::default();
    let (low, high) = (ranked(&queue, 0, 1), ranked(&queue, 1, 2));
    let park = |(ticket, bell): &(Ticket, Arc<Bell>)| queue.park(*ticket, &Waker::from(Arc::clone(bell)));
    assert!(!park(&low) && park(&high));
    queue.leave(high.0, Leaving::Served);
    assert!(park(&low));
    queue.freed(0);
    ranked(&queue, 1, 2);
    assert!(park(&low), "it was woken");
}
