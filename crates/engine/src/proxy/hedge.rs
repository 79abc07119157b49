//! A second try beside one that takes long: the first head of an answer counts, and the other try ends. That it ended so
//! is no failure of its backend.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use fairlead_balance::{Action, Attempts};
use fairlead_wire::Head;
use fairlead_wire::http1::{Body, Response};
use tokio::time::sleep;

use super::account::Account;
use super::awaiting::{Obstacle, blame, poll_try};
use super::connect::{Choice, make, pick};
use super::exchange::{Exchange, Gone, Order, Trial, Trouble};
use super::sending::Sending;
use super::slot::Slot;
use crate::buffer::Buffer;
use crate::clock;
use crate::upstream::Connection;

/// After what time the request of `trial` is sent to another backend besides, if it may be and that is known.
pub(super) fn delay(
    order: &Order<'_>,
    head: &Head,
    attempts: &Attempts<'_>,
    trial: &mut Trial,
) -> Option<Duration> {
    let policy = order.route.plan.hedge.as_ref()?;
    let asks_only = matches!(head.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE");
    let is_whole = order.request.body == Body::None && !order.request.expect_continue;
    // What a breaker waits for is an answer of this very backend.
    let on_trial = trial.slot.is_on_trial();
    // Only one backend knows a client that belongs there.
    let belongs = order.route.pool.plan.affinity.is_some();
    if !asks_only || !is_whole || order.upgrade || on_trial || belongs {
        return None;
    }
    let hedging = order.route.pool.plan.live.hedging();
    let now = clock::now();
    if attempts.tried().is_empty() {
        hedging.request(now);
    }
    trial.hedgeable = true;
    hedging.delay(policy, now)
}

/// A place for a second try beside the one at `member`, if there may be one.
fn second_place(
    order: &Order<'_>,
    attempts: &mut Attempts<'_>,
    member: usize,
    choice: Choice,
) -> Option<Slot> {
    let policy = order.route.plan.hedge.as_ref()?;
    let live = &order.route.pool.plan.live;
    // What room there is belongs to those that have no try at all.
    if live.queue().waiting() > 0 {
        return None;
    }
    if attempts.slow(member, policy, live.hedging(), clock::now()) != Action::Hedge {
        return None;
    }
    let slot = pick(order, attempts, choice).ok()?;
    attempts.beside(slot.index());
    live.hedging().sent();
    Some(slot)
}

impl Exchange {
    /// [`await_answer`](Self::await_answer) with a second try after a while. `trial` is the one that counts.
    pub(super) async fn await_hedged(
        &mut self,
        order: &Order<'_>,
        attempts: &mut Attempts<'_>,
        trial: &mut Trial,
        after: Duration,
        mut gone: Gone<'_>,
    ) -> Result<Response, Trouble> {
        let in_time = self.await_head_within(order, trial, after, gone.as_mut()).await;
        let awaited = match in_time {
            Some(awaited) => awaited,
            None => match second_place(order, attempts, trial.slot.index(), self.choice(order)) {
                // Few requests come to this: the others don't carry its state.
                Some(slot) => Box::pin(self.race(order, trial, slot, gone.as_mut())).await,
                None => self.await_head(order, trial, gone.as_mut()).await,
            },
        };
        match self.take_head(order, trial, awaited).await? {
            Some(response) => Ok(response),
            None => self.await_answer(order, trial, gone).await,
        }
    }

    /// What comes before the time is over.
    async fn await_head_within(
        &mut self,
        order: &Order<'_>,
        trial: &mut Trial,
        time: Duration,
        gone: Gone<'_>,
    ) -> Option<Result<Response, Obstacle>> {
        let mut head = pin!(self.await_head(order, trial, gone));
        let mut over = pin!(sleep(time));
        poll_fn(|cx| {
            if let Poll::Ready(awaited) = head.as_mut().poll(cx) {
                return Poll::Ready(Some(awaited));
            }
            over.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Waits for the first head of `trial` and of a second try in `slot`. Afterwards `trial` is the one whose it is; if both
    /// fail it is the first, and what became of it.
    async fn race(
        &mut self,
        order: &Order<'_>,
        trial: &mut Trial,
        slot: Slot,
        mut gone: Gone<'_>,
    ) -> Result<Response, Obstacle> {
        let Self { request, answer, from_client, account, .. } = self;
        let mut failed = None;
        let mut alone = false;
        let won = {
            let mut second = pin!(second_try(order, request, from_client.sibling(), slot, account));
            poll_fn(|cx| {
                if failed.is_none() {
                    let first = poll_try(cx, order, trial, from_client, request.method(), answer);
                    match first.1 {
                        Poll::Ready(Err(obstacle)) if !alone && !obstacle.is_the_requests() => {
                            failed = Some(obstacle);
                        }
                        Poll::Ready(awaited) => return Poll::Ready(awaited.map(Won::First)),
                        Poll::Pending => {}
                    }
                }
                if !alone && let Poll::Ready(ended) = second.as_mut().poll(cx) {
                    match (ended, failed) {
                        (Some(second), _) => return Poll::Ready(Ok(Won::Second(second))),
                        (None, Some(obstacle)) => return Poll::Ready(Err(obstacle)),
                        (None, None) => alone = true,
                    }
                }
                order.poll_interrupted(cx, &mut gone).map(|failure| Err(Obstacle::Request(failure)))
            })
            .await
        };
        if let Some(obstacle) = failed
            && won.as_ref().is_err_and(|why| why.is_the_requests())
        {
            blame(obstacle, order, trial);
        }
        let response = match won? {
            Won::First(response) => response,
            Won::Second(second) => {
                let Second { trial: second, answer: head, response } = *second;
                order.route.pool.plan.live.hedging().won();
                lose(order, trial, failed);
                *trial = second;
                *answer = head;
                response
            }
        };
        account.served_by(&trial.slot);
        order.client.guard.uses(Some(&trial.slot.backend().live));
        Ok(response)
    }
}

/// The first try of two ends: it has failed, or it was slower.
fn lose(order: &Order<'_>, trial: &Trial, failed: Option<Obstacle>) {
    if let Some(obstacle) = failed {
        blame(obstacle, order, trial);
        return;
    }
    trial.slot.counters().bytes_out.add(trial.sending.sent());
    // It would have taken longer. Without it, only quick answers would be known, and ever more would seem slow.
    if let Some(sent) = trial.sending.sent_at() {
        let now = clock::now();
        let waited = now.saturating_duration_since(sent);
        trial.slot.waited(waited, now);
        order.route.pool.plan.live.hedging().observe(waited);
    }
}

/// Whose head was first.
enum Won {
    First(Response),
    Second(Box<Second>),
}

/// A second try that has a head.
struct Second {
    trial: Trial,
    answer: Head,
    response: Response,
}

/// The request once more, in `slot`; `None` if there is no head to come.
async fn second_try(
    order: &Order<'_>,
    request: &Head,
    mut unused: Buffer,
    slot: Slot,
    account: &mut Account,
) -> Option<Box<Second>> {
    let connection = connect(order, &slot).await?;
    account.sent_to(&slot);
    let sending = Sending::beside(order, request, &unused);
    let mut trial = Trial { hedgeable: true, ..Trial::new(connection, slot, sending) };
    let mut answer = Head::new();
    let awaited =
        poll_fn(|cx| poll_try(cx, order, &mut trial, &mut unused, request.method(), &mut answer).1).await;
    match awaited {
        Ok(response) => Some(Box::new(Second { trial, answer, response })),
        Err(obstacle) => {
            blame(obstacle, order, &trial);
            None
        }
    }
}

/// A connection for a second try. Its limit is its own: that it passes must not end the first.
async fn connect(order: &Order<'_>, slot: &Slot) -> Option<Connection> {
    let worker = &order.client.worker;
    if let Some(idle) = worker.upstreams.take_idle(slot.backend()) {
        return Some(idle);
    }
    make(order, slot, &worker.wheel.deadline()).await.ok()
}
