//! Requests that wait for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Wake, Waker};

use fairlead_balance::{Queue, Ticket};

#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn waiter(queue: &Queue, worker: usize) -> (Ticket, Arc<Bell>) {
    let bell = Arc::new(Bell::default());
    let ticket = queue.enter(10, worker).expect("room for ten");
    queue.park(ticket, &Waker::from(Arc::clone(&bell)));
    (ticket, bell)
}

fn rings(waiters: &[(Ticket, Arc<Bell>)]) -> Vec<u32> {
    waiters.iter().map(|(_, bell)| bell.0.load(Ordering::Relaxed)).collect()
}

#[test]
fn no_more_than_its_size_wait() {
    let queue = Queue::default();
    let tickets: Vec<_> = (0..3).filter_map(|worker| queue.enter(2, worker)).collect();
    assert_eq!((tickets.len(), queue.waiting()), (2, 2));
    queue.leave(tickets[0], false);
    assert!(queue.enter(2, 0).is_some());
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
    queue.park(waiters[0].0, &Waker::from(Arc::clone(&waiters[0].1)));
    queue.freed(0);
    assert_eq!(rings(&waiters), [2, 0]);
}

#[test]
fn who_leaves_after_it_was_woken_has_the_next_woken() {
    let queue = Queue::default();
    let waiters = [waiter(&queue, 0), waiter(&queue, 5), waiter(&queue, 5)];
    queue.freed(0);
    queue.leave(waiters[0].0, false);
    assert_eq!(rings(&waiters), [1, 1, 0]);
    queue.leave(waiters[1].0, true);
    assert_eq!(rings(&waiters), [1, 1, 0], "who is served takes the slot");
    queue.leave(waiters[2].0, false);
    assert_eq!(queue.waiting(), 0);
}
