//! Waiting until a backend has room: the doer of [`Queue`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use fairlead_balance::{Attempts, Leaving, NoBackend, Outcome, Queue, Ticket};
use fairlead_wire::Head;
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
    leaving: Leaving,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.leave(self.ticket, self.leaving);
    }
}

/// A slot as soon as there is one, within the bounds of the pool's queue. A client that goes away leaves it.
pub(super) async fn wait_for_slot(
    order: &Order<'_>,
    attempts: &Attempts<'_>,
    key: Option<u64>,
    head: &Head,
    mut gone: Gone<'_>,
) -> Result<Slot, Trouble> {
    let pool = &order.route.pool.plan;
    let Some(options) = &pool.queue else { return pick(order, attempts, key) };
    let queue = pool.live.queue();
    let priority = options.priority.as_deref().map_or(0, |field| priority(head, field));
    let Some(ticket) = queue.enter(options.size, order.client.worker.index, priority) else {
        return Err(Failure::QUEUE_FULL.into());
    };
    let mut place = Place { queue, ticket, leaving: Leaving::GivenUp };
    let mut over = pin!(sleep(options.timeout));
    let mut look = interval(LOOK_AGAIN);
    let found = poll_fn(|cx| {
        if queue.park(ticket, cx.waker()) {
            match pick(order, attempts, key) {
                Err(Trouble::Try(Outcome::NoneAvailable(NoBackend::AllFull))) => {}
                found => return Poll::Ready(found),
            }
        }
        if over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(Failure::QUEUE_TIMEOUT.into()));
        }
        while look.poll_tick(cx).is_ready() {}
        order.poll_interrupted(cx, &mut gone).map(|failure| Err(failure.into()))
    })
    .await;
    place.leaving = match &found {
        Ok(_) => Leaving::Served,
        Err(Trouble::Final(Failure::QUEUE_TIMEOUT)) => Leaving::TimedOut,
        Err(_) => Leaving::GivenUp,
    };
    found
}

/// What a request says of itself: a whole number up to 255, the higher the sooner. Whatever else stands there is none.
fn priority(head: &Head, field: &[u8]) -> u8 {
    let said = head.named(field).and_then(|value| std::str::from_utf8(value.trim_ascii()).ok());
    said.and_then(|text| text.parse().ok()).unwrap_or(0)
}
