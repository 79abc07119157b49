//! Waiting until a backend has room: the doer of [`Queue`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use fairlead_balance::{Attempts, NoBackend, Outcome, Queue, Ticket};
use tokio::time::{interval, sleep};

use super::connect::pick;
use super::exchange::{Gone, Order, Trouble};
use super::slot::Slot;
use crate::http::failure::Failure;

/// Room also comes without a slot that is freed: by a reload, a backend that recovers, a limit that rises.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A place in the queue, left however the wait ends.
struct Place<'a> {
    queue: &'a Queue,
    ticket: Ticket,
    served: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.leave(self.ticket, self.served);
    }
}

/// A slot as soon as there is one, within the bounds of the pool's queue. A client that goes away leaves it.
pub(super) async fn wait_for_slot(
    order: &Order<'_>,
    attempts: &Attempts<'_>,
    key: Option<u64>,
    mut gone: Gone<'_>,
) -> Result<Slot, Trouble> {
    let pool = &order.route.pool.plan;
    let Some(options) = pool.queue else { return pick(order, attempts, key) };
    let queue = pool.live.queue();
    let Some(ticket) = queue.enter(options.size, order.client.worker.index) else {
        return Err(Failure::QUEUE_FULL.into());
    };
    let mut place = Place { queue, ticket, served: false };
    let mut over = pin!(sleep(options.timeout));
    let mut look = interval(LOOK_AGAIN);
    let found = poll_fn(|cx| {
        queue.park(ticket, cx.waker());
        match pick(order, attempts, key) {
            Err(Trouble::Try(Outcome::NoneAvailable(NoBackend::AllFull))) => {}
            found => return Poll::Ready(found),
        }
        if over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(Failure::QUEUE_TIMEOUT.into()));
        }
        while look.poll_tick(cx).is_ready() {}
        order.poll_interrupted(cx, &mut gone).map(|failure| Err(failure.into()))
    })
    .await;
    place.served = found.is_ok();
    found
}
