//! What a request's outcome means for its backend's circuit breaker.

use std::sync::Arc;

use fairlead_balance::Breaking;
use fairlead_plan::Pool;

use super::exchange::Order;
use super::slot::Slot;
use crate::clock;
use crate::telemetry::What;
use crate::worker::Worker;

/// Whether the breaker of the backend of `slot` lets this request in. One that is half-open lets in one at a time.
pub(super) fn admits(order: &Order<'_>, slot: &Slot) -> bool {
    lets_in(&order.route.pool.plan, slot)
}

/// [`admits`], of what isn't a request.
pub(crate) fn lets_in(pool: &Pool, slot: &Slot) -> bool {
    if pool.breaker.is_none() {
        return true;
    }
    let pass = slot.backend().live.admit();
    slot.pass.set(pass);
    pass.is_some()
}

/// The try of `slot` was answered, or `failed`: an answer of 500 and above, or none.
pub(super) fn report(order: &Order<'_>, slot: &Slot, failed: bool) {
    say(failed, slot, &order.route.pool.plan, &order.client.worker);
}

/// [`report`], of what isn't a request.
pub(crate) fn say(failed: bool, slot: &Slot, pool: &Pool, worker: &Worker) {
    let Some(policy) = pool.breaker else { return };
    let Some(pass) = slot.pass.take() else { return };
    let live = &slot.backend().live;
    let (pool, backend) = (&pool.name, &slot.backend().id);
    let events = &worker.shared.events;
    match live.outcome(failed, pass, &policy, clock::now()) {
        Breaking::Stays => {}
        Breaking::Closed => {
            events.push(What::BreakerClosed { pool: pool.to_string(), backend: backend.to_string() });
        }
        Breaking::Opened(phase) => {
            events.push(What::BreakerOpened { pool: pool.to_string(), backend: backend.to_string() });
            // Whoever has left meanwhile isn't held.
            let live = Arc::downgrade(live);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(policy.open).await;
                if let Some(live) = live.upgrade() {
                    live.half_open(phase);
                }
            });
        }
    }
}
