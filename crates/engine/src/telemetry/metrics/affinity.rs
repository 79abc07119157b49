//! What pools remember of their clients.

use super::{Kind, Page};
use crate::engine::Shared;
use crate::telemetry::stats::{self, AffinityStats};

/// Nothing where no pool does.
pub(super) fn render(shared: &Shared, page: &mut Page) {
    let plan = shared.state().plan.clone();
    let pools = plan.iter().flat_map(|plan| &plan.pools);
    let all: Vec<_> = pools.filter_map(|pool| Some((&pool.name, stats::affinity(shared, pool)?))).collect();
    if all.is_empty() {
        return;
    }
    let mut family = |name, kind, help, value: &dyn Fn(&AffinityStats) -> Option<u64>| {
        page.family(name, kind, help);
        for (pool, stats) in &all {
            if let Some(value) = value(stats) {
                page.sample(name, &[("pool", pool)], value);
            }
        }
    };
    let help = "Clients that a pool remembers.";
    family("fairlead_affinity_entries", Kind::Gauge, help, &|stats| Some(stats.entries.into()));
    let help = "The most clients that a pool remembers.";
    family("fairlead_affinity_capacity", Kind::Gauge, help, &|stats| Some(stats.capacity));
    let help = "Clients that were forgotten before their time for want of room.";
    family("fairlead_affinity_evicted_total", Kind::Counter, help, &|stats| Some(stats.evicted));
    let help = "Changes that other nodes were not told of, because there were too many.";
    family("fairlead_affinity_untold_total", Kind::Counter, help, &|stats| Some(stats.untold));
    let help = "Whether the store is there in which nodes share what a pool remembers.";
    family("fairlead_affinity_store_up", Kind::Gauge, help, &|stats| stats.store_connected.map(u64::from));
}
