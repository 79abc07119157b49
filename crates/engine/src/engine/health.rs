//! The judging of backends: the one writer of their standings, which every pick reads.
//!
//! What is known of each backend is in its pool's ward. Checks and operators tell it here, traffic by the tallies that
//! workers count in. Every pool is judged once a second, and at once when a worker has seen too many failures in a row, a
//! check has changed its mind or an operator has said something. That happens on a thread of its own, so that
//! neither a busy worker nor a long answer of the service keeps a broken backend in.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fairlead_balance::health::{Check, Operator, Terms, Ward};
use fairlead_plan::{self as plan, Membership};
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::MissedTickBehavior;

use super::operator::{Held, Operators};
use super::shared::Shared;
use crate::clock;
use crate::probe::keep_checking;
use crate::telemetry::{PreparedMembers, PreparedPlan, What};

/// How often all are judged.
const PERIOD: Duration = Duration::from_secs(1);
/// Between two judgements that failures in a row ask for: what more of them come meanwhile is judged together.
const BREATH: Duration = Duration::from_millis(10);
/// Above this many backends, what checks change is judged together; judging fewer takes microseconds.
const LARGE: usize = 100;
/// How long what an engine before this one knew is kept for backends that may still be configured.
const MEMORY: Duration = Duration::from_mins(1);

/// Whether checks found backends up, by pool and id.
pub type Verdicts = BTreeMap<Box<str>, BTreeMap<Box<str>, bool>>;

/// What is known of every pool's backends.
#[derive(Default)]
pub(crate) struct Wards {
    by_pool: BTreeMap<Arc<str>, Ward>,
    /// What an engine before this one knew.
    restored: Verdicts,
    restored_until: Option<Instant>,
    /// A configuration is served: who is unknown now is nobody.
    follows: bool,
    /// Every backend's health was known once.
    was_known: bool,
}

impl Wards {
    /// What is known of the backends of `pool`.
    pub(crate) fn ward(&self, pool: &str) -> Option<&Ward> {
        self.by_pool.get(pool)
    }

    /// These are about to be served, some of them perhaps at another address than before: those that are new there get the
    /// standing to begin with, by what operators have said.
    fn expect(&mut self, pool: &plan::Pool, membership: &Membership, said: &Operators, now: Instant) {
        if self.restored_until.is_some_and(|until| now >= until) {
            self.restored.clear();
        }
        let restored = self.restored.get(&*pool.name);
        let ward = self.by_pool.entry(Arc::clone(&pool.name)).or_insert_with(|| Ward::new(pool.health));
        for backend in &membership.backends {
            let operator = said.get(&pool.name, &backend.id).map_or(Operator::None, Held::word);
            let was_up = restored.and_then(|restored| restored.get(&*backend.id)).copied();
            ward.expect(&backend.id, &backend.live, terms(pool, backend), (operator, was_up), now);
        }
    }

    /// These, which were expected, are served now, and nobody else.
    fn follow(&mut self, served: &[(Arc<plan::Pool>, Arc<Membership>)], now: Instant) {
        self.follows = true;
        for (pool, membership) in served {
            let Some(ward) = self.by_pool.get_mut(&pool.name) else { continue };
            ward.follow(pool.health);
            for backend in &membership.backends {
                ward.watch(&backend.id, &backend.live, terms(pool, backend), now);
            }
        }
        let served: BTreeMap<&str, HashSet<&str>> = (served.iter())
            .map(|(pool, membership)| (&*pool.name, membership.backends.iter().map(|b| &*b.id).collect()))
            .collect();
        self.by_pool.retain(|pool, ward| {
            let members = served.get(&**pool);
            ward.retain(|id| members.is_some_and(|members| members.contains(id)));
            !ward.is_empty()
        });
    }

    /// `false`: there is no such backend. Before the first configuration all may come to be.
    fn operate(&mut self, pool: &str, backend: &str, word: Operator) -> bool {
        self.by_pool.get_mut(pool).is_some_and(|ward| ward.operate(backend, word)) || !self.follows
    }

    /// Judges the pools that `wanted` says to judge.
    fn judge(&mut self, wanted: impl Fn(&str, &Ward) -> bool, now: Instant) -> Vec<What> {
        let mut told = Vec::new();
        for (pool, ward) in &mut self.by_pool {
            if !wanted(pool, ward) {
                continue;
            }
            told.extend(ward.judge(now).into_iter().map(|change| What::BackendState {
                pool: pool.to_string(),
                backend: change.backend.into(),
                from: change.from.into(),
                to: change.to.into(),
                reason: change.reason,
            }));
        }
        // The last of a pool that is gone has drained.
        self.by_pool.retain(|_, ward| !ward.is_empty());
        if self.follows && !self.was_known && self.is_known(now) {
            self.was_known = true;
            told.push(What::Ready {});
        }
        told
    }

    /// Whether a pool is so large that changes of its backends are judged together; it is marked for that.
    fn is_large(&self, pool: &str) -> bool {
        let large = self.ward(pool).filter(|ward| ward.len() > LARGE);
        large.map(Ward::raise_alarm).is_some()
    }

    /// Whether every backend's health is known, or was once: a reload that brings one more doesn't take the others out of
    /// service.
    pub(crate) fn is_known(&self, now: Instant) -> bool {
        self.was_known || self.follows && self.by_pool.values().all(|ward| ward.is_known(now))
    }
}

/// As what a backend is in its pool.
fn terms(pool: &plan::Pool, backend: &plan::Backend) -> Terms {
    let check = pool.check.as_ref().map(|check| Check {
        digest: check.digest,
        initially_up: check.initially_up,
        timeout: check.timeout,
    });
    Terms { check, weighs: backend.weight > 0 }
}

impl Shared {
    /// To be taken after `state`, if both are.
    pub(crate) fn wards(&self) -> MutexGuard<'_, Wards> {
        self.wards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A backend has failed too often in a row: it is judged at once.
    pub(crate) fn alarm(&self) {
        self.alarms.notify_one();
    }

    /// A Plan is about to be served and can't be refused any more: no backend gets a request before it may.
    pub(super) fn expect_backends(&self, prepared: &PreparedPlan) {
        let now = clock::now();
        let state = self.state();
        let mut wards = self.wards();
        for (pool, members) in prepared.plan.pools.iter().zip(&prepared.members) {
            members.shared.take_effect(pool);
            wards.expect(pool, &members.shared, &state.operators, now);
        }
    }

    /// The same for a list of members.
    pub(super) fn expect_members(&self, pool: &plan::Pool, members: &PreparedMembers) {
        let state = self.state();
        let mut wards = self.wards();
        members.shared.take_effect(pool);
        wards.expect(pool, &members.shared, &state.operators, clock::now());
    }

    /// Judges those that are served now, and nobody else. To be called after each change, which are made one at a time.
    pub(super) fn follow_health(&self) {
        let served: Vec<_> = {
            let state = self.state();
            let pools = state.plan.iter().flat_map(|plan| &plan.pools);
            let served = pools.filter_map(|pool| {
                let members = state.members.get(&pool.name)?;
                Some((Arc::clone(pool), Arc::clone(&members.shared)))
            });
            served.collect()
        };
        let now = clock::now();
        let mut wards = self.wards();
        wards.follow(&served, now);
        self.tell(wards.judge(|_, _| true, now));
    }

    /// An operator says this of a backend, which is [kept](Operators) elsewhere. Acted on before this returns. `false`: there
    /// is no such backend, which is counted; before the first Plan all may come to be.
    pub(super) fn operate(&self, pool: &str, backend: &str, word: Operator) -> bool {
        let mut wards = self.wards();
        let known = wards.operate(pool, backend, word);
        if known {
            self.tell(wards.judge(|name, _| name == pool, clock::now()));
        } else {
            self.ignored_settings.fetch_add(1, Relaxed);
        }
        known
    }

    /// A check of a backend has this result; `why` says what is bad about a bad one. Acted on before this returns, in a large
    /// pool within 10 ms: thousands may have their first results in one second, and each judgement is of all. `Some(true)`:
    /// results disagree with what the check said before, so more are wanted soon. `None`: no such backend is checked,
    /// which is counted. Of a check of ours it is known of which `incarnation` it is: what it found at an address where the
    /// backend is no longer says nothing.
    pub(crate) fn checked(
        &self,
        (pool, backend): (&str, &str),
        incarnation: Option<u32>,
        (good, why): (bool, &str),
    ) -> Option<bool> {
        let now = clock::now();
        let mut wards = self.wards();
        let ward = wards
            .by_pool
            .get_mut(pool)
            .filter(|ward| incarnation.is_none() || ward.incarnation(backend) == incarnation);
        let noted = ward.and_then(|ward| ward.checked(backend, good, why, now));
        match noted {
            None => _ = self.ignored_settings.fetch_add(1, Relaxed),
            Some(noted) if noted.changed && wards.is_large(pool) => self.alarm(),
            Some(noted) if noted.changed => self.tell(wards.judge(|name, _| name == pool, now)),
            Some(_) => {}
        }
        noted.map(|noted| noted.wants_more)
    }

    /// What checks said of backends in an engine before this one: it stands until their first results here.
    pub(crate) fn restore(&self, verdicts: Verdicts) {
        let mut wards = self.wards();
        wards.restored = verdicts;
        wards.restored_until = Some(clock::now() + MEMORY);
    }

    fn tell(&self, events: Vec<What>) {
        for event in events {
            self.events.push(event);
        }
    }

    fn judge(&self, wanted: impl Fn(&str, &Ward) -> bool) {
        let told = self.wards().judge(wanted, clock::now());
        self.tell(told);
    }
}

/// The thread that judges, and that makes the checks.
pub(crate) struct Warden(JoinHandle<()>);

impl Warden {
    /// Starts it.
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let thread = std::thread::Builder::new().name("fairlead-health".into());
        thread.spawn(move || run(&shared)).map(Self)
    }

    /// Ends it.
    pub(super) fn end(self, shared: &Shared) {
        shared.judging_ends.notify_one();
        let _ = self.0.join();
    }
}

fn run(shared: &Arc<Shared>) {
    match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime.block_on(async {
            tokio::select! {
                () = keep_watching(shared) => {}
                () = keep_checking(shared) => {}
                () = shared.judging_ends.notified() => {}
            }
        }),
        Err(error) => shared.events.push(What::Trouble { message: format!("no event loop: {error}") }),
    }
}

/// A panic is a defect of the judging, which goes on all the same.
async fn keep_watching(shared: &Arc<Shared>) {
    while let Err(panic) = tokio::task::spawn_local(watch(Arc::clone(shared))).await {
        shared.panics.fetch_add(1, Relaxed);
        shared.events.push(What::Trouble { message: format!("the judging of backends: {panic}") });
        tokio::time::sleep(PERIOD).await;
    }
}

async fn watch(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => shared.judge(|_, _| true),
            () = shared.alarms.notified() => {
                shared.judge(|_, ward| ward.take_alarm());
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
