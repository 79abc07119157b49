//! Waiting until a backend, or a certain one, has room: the doer of [`Queue`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use fairlead_balance::{Attempts, Leaving, NoBackend, Outcome, Queue, Ticket};
use fairlead_plan::QueueOptions;
use fairlead_wire::Head;
use tokio::time::{interval, sleep};

use super::connect::{Choice, pick};
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
    choice: Choice,
    head: &Head,
    gone: Gone<'_>,
) -> Result<Slot, Trouble> {
    let look = || match pick(order, attempts, choice) {
        Err(Trouble::Try(Outcome::NoneAvailable(NoBackend::AllFull))) => None,
        found => Some(found),
    };
    let found = wait(order, order.route.pool.plan.live.queue(), head, gone, look).await?;
    found.ok_or_else(|| Failure::QUEUE_TIMEOUT.into())
}

/// What `look` finds, asked whenever there may be room: in this line, which is as long as the pool's queue may be, and for
/// as long. `None`: that time is over.
pub(super) async fn wait<T>(
    order: &Order<'_>,
    line: &Queue,
    head: &Head,
    mut gone: Gone<'_>,
    mut look: impl FnMut() -> Option<Result<T, Trouble>>,
) -> Result<Option<T>, Trouble> {
    let Some(options) = &order.route.pool.plan.queue else { return look().transpose() };
    let priority = options.priority.as_deref().map_or(0, |field| priority(head, field));
    let look = |may_pick: bool, cx: &mut Context<'_>| {
        if may_pick && let Some(found) = look() {
            return Poll::Ready(found);
        }
        order.poll_interrupted(cx, &mut gone).map(|failure| Err(failure.into()))
    };
    in_line(line, options, (order.client.worker.index, priority), look).await
}

/// As many wait as may.
pub(crate) struct QueueFull;

impl From<QueueFull> for Trouble {
    fn from(_: QueueFull) -> Self {
        Failure::QUEUE_FULL.into()
    }
}

/// What `look` finds in a line, on a worker and with a priority; it is told whether its turn has come to pick, and may
/// give up. `None`: the time is over.
pub(crate) async fn in_line<T, E: From<QueueFull>>(
    line: &Queue,
    options: &QueueOptions,
    (worker, priority): (usize, u8),
    mut look: impl FnMut(bool, &mut Context<'_>) -> Poll<Result<T, E>>,
) -> Result<Option<T>, E> {
    let Some(ticket) = line.enter(options.size, worker, priority) else { return Err(QueueFull.into()) };
    let mut place = Place { queue: line, ticket, leaving: Leaving::GivenUp };
    let mut over = pin!(sleep(options.timeout));
    let mut again = interval(LOOK_AGAIN);
    let found = poll_fn(|cx| {
        let turn = line.park(ticket, cx.waker());
        if let Poll::Ready(found) = look(turn, cx) {
            return Poll::Ready(found.map(Some));
        }
        if over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(None));
        }
        while again.poll_tick(cx).is_ready() {}
        Poll::Pending
    })
    .await;
    place.leaving = match &found {
        Ok(Some(_)) => Leaving::Served,
        Ok(None) => Leaving::TimedOut,
        Err(_) => Leaving::GivenUp,
    };
    found
}

/// What a request says of itself: a whole number up to 255, the higher the sooner. Whatever else stands there is none.
fn priority(head: &Head, field: &[u8]) -> u8 {
    let said = head.named(field).and_then(|value| std::str::from_utf8(value.trim_ascii()).ok());
    said.and_then(|text| text.parse().ok()).unwrap_or(0)
}
