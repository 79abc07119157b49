//! The judging of backends by their traffic: every pool once a second, and at once when a worker has seen too many
//! failures in a row. What is judged reaches the workers as standings, which every pick reads.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fairlead_balance::health::{Judged, Policy, Ward};
use fairlead_plan::Membership;

use super::shared::Shared;
use crate::clock;
use crate::telemetry::What;

/// How often all are judged.
const PERIOD: Duration = Duration::from_secs(1);

/// Every pool's backends, as they were judged last.
#[derive(Default)]
pub(crate) struct Wards {
    by_pool: BTreeMap<Arc<str>, Watched>,
}

struct Watched {
    ward: Ward,
    membership: Arc<Membership>,
}

impl Wards {
    /// What a backend was judged last, once it was.
    pub(crate) fn judged(&self, pool: &str, backend: &str) -> Option<Judged> {
        self.by_pool.get(pool)?.ward.judged(backend)
    }

    /// Watches those that are served now, and nobody else.
    fn follow(&mut self, served: Vec<(Arc<str>, Policy, Arc<Membership>)>, now: Instant) {
        let mut before = std::mem::take(&mut self.by_pool);
        for (pool, policy, membership) in served {
            let known = before.remove(&pool);
            let is_same = known.as_ref().is_some_and(|known| Arc::ptr_eq(&known.membership, &membership));
            let mut ward = known.map_or_else(|| Ward::new(policy), |known| known.ward);
            ward.follow(policy);
            if !is_same {
                ward.retain(|id| membership.backends.iter().any(|backend| *backend.id == *id));
                for backend in &membership.backends {
                    ward.watch(&backend.id, Arc::clone(&backend.live), None, now);
                }
            }
            self.by_pool.insert(pool, Watched { ward, membership });
        }
    }
}

impl Shared {
    pub(crate) fn wards(&self) -> MutexGuard<'_, Wards> {
        self.wards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A backend has failed too often in a row: it is judged at once.
    pub(crate) fn alarm(&self) {
        self.alarms.notify_one();
    }

    fn judge(&self) {
        let now = clock::now();
        let served = self.served();
        let mut wards = self.wards();
        wards.follow(served, now);
        for (pool, watched) in &mut wards.by_pool {
            for change in watched.ward.judge(now) {
                self.events.push(What::BackendState {
                    pool: pool.to_string(),
                    backend: change.backend.into(),
                    from: change.from.into(),
                    to: change.to.into(),
                    reason: change.reason,
                });
            }
        }
    }

    fn served(&self) -> Vec<(Arc<str>, Policy, Arc<Membership>)> {
        let state = self.state();
        let pools = state.plan.iter().flat_map(|plan| &plan.pools);
        pools
            .filter_map(|pool| {
                let members = state.members.get(&pool.name)?;
                Some((Arc::clone(&pool.name), pool.health, Arc::clone(&members.shared)))
            })
            .collect()
    }
}

/// Judges for as long as the engine lives.
pub(super) async fn watch(shared: Arc<Shared>) -> io::Result<()> {
    loop {
        shared.judge();
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = shared.alarms.notified() => {}
        }
    }
}
