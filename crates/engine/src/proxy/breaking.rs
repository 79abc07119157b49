//! What a request's outcome means for its backend's circuit breaker.

use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fairlead_balance::{BackendLive, Breaking, Phase};
use fairlead_plan::Pool;
use tokio::time::sleep;

use super::exchange::Order;
use super::slot::Slot;
use crate::clock;
use crate::telemetry::What;
use crate::worker::Worker;

/// A reload may let a breaker be open for a shorter time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Whether the breaker of the backend of `slot` lets this request in. One that is half-open lets in one at a time.
pub(super) fn admits(order: &Order<'_>, slot: &Slot) -> bool {
    lets_in(&order.route.pool.plan, slot)
}

/// [`admits`], of what isn't a request.
pub(crate) fn lets_in(pool: &Pool, slot: &Slot) -> bool {
    if pool.breaker.is_none() {
        return true;
    }
    let pass = slot.backend().live.admit(clock::recently());
    slot.pass.set(pass);
    pass.is_some()
}

/// What became of a try.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    /// A good answer.
    Answered,
    /// The head of one, which may yet [break off](broke_off).
    Begun,
    /// An answer of 500 and above, or none.
    Failed,
}

/// The try of `slot` has become this.
pub(super) fn report(order: &Order<'_>, slot: &Slot, became: Became) {
    say(became, slot, &order.route.pool.plan, &order.client.worker);
}

/// The answer of `slot`, which was good so far, has broken off.
pub(super) fn broke_off(order: &Order<'_>, slot: &Slot) {
    let pool = &order.route.pool.plan;
    let Some(policy) = pool.breaker else { return };
    let Some(pass) = slot.pass.take() else { return };
    let breaking = slot.backend().live.broke_off(pass, &policy, clock::now());
    tell(breaking, slot, pool, &order.client.worker);
}

/// [`report`], of what isn't a request.
pub(crate) fn say(became: Became, slot: &Slot, pool: &Pool, worker: &Rc<Worker>) {
    let Some(policy) = pool.breaker else { return };
    let Some(pass) = slot.pass.get() else { return };
    // A trial ends here, since others wait for it.
    if became != Became::Begun || pass.is_trial() {
        slot.pass.set(None);
    }
    let breaking = slot.backend().live.outcome(became == Became::Failed, pass, &policy, clock::now());
    tell(breaking, slot, pool, worker);
}

fn tell(breaking: Breaking, slot: &Slot, pool: &Pool, worker: &Rc<Worker>) {
    let live = &slot.backend().live;
    let said = || (pool.name.to_string(), slot.backend().id.to_string());
    let events = &worker.shared.events;
    match breaking {
        Breaking::Stays => {}
        Breaking::Closed => {
            let (pool, backend) = said();
            events.push(What::BreakerClosed { pool, backend });
        }
        Breaking::Opened(phase) => {
            let tended = tend(Rc::clone(worker), Arc::clone(&pool.name), Arc::downgrade(live), phase);
            tokio::task::spawn_local(tended);
            let (pool, backend) = said();
            events.push(What::BreakerOpened { pool, backend });
        }
    }
}

/// Looks after a breaker that has opened until it closes or opens again, by the policy that its pool has meanwhile. Whoever
/// has left isn't held.
async fn tend(worker: Rc<Worker>, pool: Arc<str>, live: Weak<BackendLive>, phase: Phase) {
    while let Some(live) = live.upgrade() {
        let Some(policy) = worker.breaker(&pool) else {
            live.drop_breaker();
            return;
        };
        let Some(wait) = live.tend(phase, policy.open, clock::now()) else { return };
        drop(live);
        sleep(wait.min(LOOK_AGAIN)).await;
    }
}
