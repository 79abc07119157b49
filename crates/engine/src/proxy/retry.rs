//! A further try: what [`Attempts`] says to do is done here.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use fairlead_balance::{Action, Attempts, Means, Outcome, Random};
use fairlead_wire::http1::{Body, Response};

use super::breaking;
use super::exchange::{Exchange, Gone, Order, Trial, Trouble};
use super::slot::Slot;
use crate::clock::{self, Phase};
use crate::http::failure::Failure;

/// The tries of the request in `head`, its first one counted where tries are budgeted.
pub(super) fn attempts<'a>(order: &Order<'a>, method: &[u8]) -> Attempts<'a> {
    let retry = &order.route.plan.retry;
    if retry.policy.budget.is_some() {
        order.route.pool.plan.live.retries().request(clock::now());
    }
    Attempts::new(&retry.policy, retry.repeats(method))
}

/// What is to be done after `outcome`.
fn decide(order: &Order<'_>, attempts: &mut Attempts<'_>, outcome: Outcome) -> Action {
    let means = Means {
        budget: order.route.pool.plan.live.retries(),
        now: clock::now(),
        random: order.client.worker.rng.borrow_mut().next_u64(),
        queues: order.route.pool.plan.queue.is_some(),
    };
    attempts.next(outcome, &means)
}

/// Limits the try that begins, where a single try is limited.
pub(super) fn begin_try(order: &Order<'_>) {
    if let Some(limit) = order.route.plan.retry.per_try {
        order.client.deadline.set(Phase::Try, clock::now() + limit);
    }
}

/// The try has an answer, or has failed.
fn end_try(order: &Order<'_>) {
    if order.route.plan.retry.per_try.is_some() {
        order.client.deadline.clear(Phase::Try);
    }
}

impl Exchange {
    /// Makes ready for a further try after `trouble`, or says how the request ends. Returns its place, if that was found.
    pub(super) async fn try_again(
        &mut self,
        order: &Order<'_>,
        attempts: &mut Attempts<'_>,
        trouble: Trouble,
        gone: Gone<'_>,
    ) -> Result<Option<Slot>, Failure> {
        end_try(order);
        let replay = self.replay.take();
        let (action, found) = match trouble {
            Trouble::Final(failure) => return Err(failure),
            Trouble::Try(outcome) => (decide(order, attempts, outcome), None),
            Trouble::Answered(slot) => (Action::Send, Some(slot)),
        };
        match action {
            Action::Send => {}
            Action::Queue => self.queues = true,
            Action::Wait(time) => wait(order, time, gone).await?,
            Action::Answer(failure) => return Err(self.account.explained(failure)),
            // Said only of tries that go on, and of answers that have begun or are here; those don't come to this.
            Action::Cut | Action::Pass | Action::Hedge | Action::Keep => {
                return Err(Failure::ANSWER_INCOMPLETE);
            }
        }
        if let Some(replay) = replay {
            replay.restore(&mut self.from_client);
        }
        Ok(found)
    }

    /// What is to be done if the answer in `self.answer` is to be tried again; nothing if it is the client's.
    pub(super) fn repeats(
        &self,
        order: &Order<'_>,
        attempts: &mut Attempts<'_>,
        trial: &Trial,
    ) -> Option<Action> {
        end_try(order);
        let status = self.answer.status();
        // Asked here already: nearly every answer is passed on, and costs no clock and no random number.
        if trial.interim || !order.route.plan.retry.policy.repeats_after(status) {
            return None;
        }
        let request_replayable = trial.sending.is_replayable(order.request.body);
        let outcome = Outcome::Answered { member: trial.slot.index(), status, request_replayable };
        let action = decide(order, attempts, outcome);
        (action != Action::Pass).then_some(action)
    }

    /// Where the request goes on after an answer that is to be tried again. Until that is known the answer is kept: with
    /// nobody left it is the client's.
    pub(super) async fn next_place(
        &mut self,
        order: &Order<'_>,
        attempts: &mut Attempts<'_>,
        trial: &mut Trial,
        action: Action,
        gone: Gone<'_>,
    ) -> Result<NextPlace, Failure> {
        self.give_up(order, trial);
        if let Action::Wait(time) = action {
            wait(order, time, gone).await?;
        }
        let place = match self.elsewhere(order, attempts) {
            Ok(slot) => NextPlace::Other(slot),
            Err(Trouble::Try(outcome)) => match decide(order, attempts, outcome) {
                Action::Send if trial.slot.is_open() && breaking::admits(order, &trial.slot) => {
                    NextPlace::Same
                }
                // In a queue it would hold the place of this answer, which others may wait for.
                _ => NextPlace::None,
            },
            Err(_) => NextPlace::None,
        };
        if matches!(place, NextPlace::None) {
            self.replay = None;
        }
        Ok(place)
    }

    /// The try is over, and another may follow: nothing is left of its limits, and what it used of the body is kept.
    pub(super) fn give_up(&mut self, order: &Order<'_>, trial: &mut Trial) {
        self.account.request_bytes = trial.sending.payload();
        self.replay = trial.sending.stop(order);
    }
}

/// Where a request goes on after an answer.
pub(super) enum NextPlace {
    /// Somewhere else.
    Other(Slot),
    /// To the backend that gave the answer, since there is no other.
    Same,
    /// Nowhere.
    None,
}

/// An answer that nobody gets. Its connection is kept if all of it is here, as it is of most short ones. Gives back its
/// place.
pub(super) fn discard(order: &Order<'_>, trial: Trial, response: &Response) -> Slot {
    let Trial { mut connection, slot, sending, .. } = trial;
    let here = connection.input.len();
    let length = match response.body {
        Body::None => 0,
        Body::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
        Body::Chunked | Body::Close => usize::MAX,
    };
    let counters = slot.counters();
    counters.bytes_out.add(sending.sent());
    counters.bytes_in.add((response.len + here.min(length)) as u64);
    if response.persistent && sending.is_complete() && length <= here {
        connection.input.consume(length);
        let options = &order.route.pool.plan.idle;
        order.client.worker.upstreams.give_back(slot.backend(), connection, options);
    }
    slot
}

/// Lets `time` pass, unless the client goes away or a limit of its request passes meanwhile.
async fn wait(order: &Order<'_>, time: Duration, mut gone: Gone<'_>) -> Result<(), Failure> {
    let mut sleep = pin!(tokio::time::sleep(time));
    poll_fn(|cx| {
        if sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        order.poll_interrupted(cx, &mut gone).map(Err)
    })
    .await
}
