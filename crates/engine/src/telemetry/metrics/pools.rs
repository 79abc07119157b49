//! What stands for a pool as a whole, and what bounds its backends.

use std::fmt::Display;

use super::{Kind, Page, sorted};
use crate::engine::{Shared, State};
use crate::telemetry::stats;

pub(super) fn render(shared: &Shared, page: &mut Page) {
    let state = shared.state();
    queues(&state, page);
    hedges(&state, page);
    limits(&state, page);
}

fn queues(state: &State, page: &mut Page) {
    let pools = state.plan.iter().flat_map(|plan| &plan.pools);
    let mut queues: Vec<_> = pools.filter_map(|pool| Some((&*pool.name, stats::queue(pool)?))).collect();
    queues.sort_by_key(|(pool, _)| *pool);
    page.family("fairlead_queue_waiting", Kind::Gauge, "Requests that wait for room now.");
    for (pool, queue) in &queues {
        page.sample("fairlead_queue_waiting", &[("pool", pool)], queue.waiting);
    }
    let help = "Requests that came while every backend was full, and wait no longer.";
    page.family("fairlead_queue_requests_total", Kind::Counter, help);
    for (pool, queue) in &queues {
        let outcomes = [("served", queue.served), ("timed_out", queue.timed_out), ("refused", queue.refused)];
        for (outcome, count) in outcomes {
            let labels: [(&str, &dyn Display); 2] = [("pool", pool), ("outcome", &outcome)];
            page.sample("fairlead_queue_requests_total", &labels, count);
        }
    }
}

fn hedges(state: &State, page: &mut Page) {
    let pools = state.plan.iter().flat_map(|plan| &plan.pools);
    let hedged = pools.filter_map(|pool| Some((&*pool.name, pool.live.hedges()?))).collect();
    let help = "Second tries beside a first one; won: those whose answer was the first.";
    page.family("fairlead_hedges_total", Kind::Counter, help);
    for (pool, counts) in sorted(hedged) {
        for (outcome, count) in [("sent", counts.sent), ("won", counts.won)] {
            let labels: [(&str, &dyn Display); 2] = [("pool", &pool), ("outcome", &outcome)];
            page.sample("fairlead_hedges_total", &labels, count);
        }
    }
}

fn limits(state: &State, page: &mut Page) {
    let name = "fairlead_backend_max_in_flight";
    page.family(name, Kind::Gauge, "The most requests that a backend has at a time now.");
    for (pool, members) in sorted(state.members.iter().collect()) {
        for (place, backend) in members.shared.backends.iter().enumerate() {
            if let Some(limit) = members.shared.picker.limit(place) {
                page.sample(name, &[("pool", pool), ("backend", &backend.id)], limit);
            }
        }
    }
}
