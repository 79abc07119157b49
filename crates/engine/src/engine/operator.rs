//! What an operator said of a backend: drain, disable, another weight. Kept by pool and id for as long as the backend is
//! configured, so that it survives configurations and lists of members.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use fairlead_balance::health::Operator;
use fairlead_plan as plan;
use serde::{Deserialize, Serialize};

use super::shared::{Shared, State};
use crate::clock;
use crate::error::CallError;
use crate::telemetry::{PreparedMembers, unix_millis};
use crate::worker;

/// All that an operator wants of one backend; replaces what was wanted before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The pool's name.
    pub pool: String,
    /// The backend's id.
    pub backend: String,
    /// Whether it takes requests.
    pub mode: Mode,
    /// Its weight; `None`: as configured.
    pub weight: Option<u32>,
}

/// Whether a backend takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As always.
    None,
    /// No new ones; what it has goes on for the pool's `drain`, then it is cut.
    Drain,
    /// No new ones; what it has is cut now.
    Disable,
}

/// What holds for one backend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) mode: Mode,
    pub(crate) weight: Option<u32>,
    /// When what is open is cut; nothing while the mode is `None`, and before the first Plan.
    deadline: Option<Deadline>,
    /// That time has come: clients that affinity knows are sent away as well.
    is_over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    /// The same for people: milliseconds since 1970.
    unix_ms: u64,
}

impl Deadline {
    fn after(patience: Duration) -> Self {
        Self { at: clock::now() + patience, unix_ms: unix_millis(clock::wall() + patience) }
    }
}

impl Held {
    /// When what is open is cut: milliseconds since 1970.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        self.deadline.map(|deadline| deadline.unix_ms)
    }

    /// What is judged by: health has the last word on what a backend stands for.
    pub(crate) const fn word(&self) -> Operator {
        match self.mode {
            Mode::None => Operator::None,
            Mode::Drain if !self.is_over => Operator::Draining,
            Mode::Drain | Mode::Disable => Operator::Disabled,
        }
    }

    /// Its time isn't over, or didn't begin yet.
    fn runs(&self) -> bool {
        self.mode != Mode::None && self.deadline.is_none_or(|deadline| deadline.at > clock::now())
    }

    /// The time that it has from now on, if that isn't running.
    fn begin(&mut self, drain: Duration) {
        if self.mode != Mode::None && self.deadline.is_none() {
            let patience = if self.mode == Mode::Drain { drain } else { Duration::ZERO };
            self.deadline = Some(Deadline::after(patience));
        }
    }
}

/// What holds for all backends of which something was said.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    by_pool: HashMap<Box<str>, HashMap<Box<str>, Held>>,
}

impl Operators {
    pub(crate) fn get(&self, pool: &str, backend: &str) -> Option<&Held> {
        self.by_pool.get(pool)?.get(backend)
    }

    pub(super) fn is_down(&self, pool: &str, backend: &str) -> bool {
        self.get(pool, backend).is_some_and(|held| held.mode != Mode::None)
    }

    /// Takes a setting. Said again, a mode keeps its deadline. What was held before.
    fn hold(&mut self, setting: &Setting) -> Option<Held> {
        let &Setting { ref pool, ref backend, mode, weight } = setting;
        let before = self.get(pool, backend).copied();
        let fresh = Held { mode, weight, deadline: None, is_over: false };
        let same = before.filter(|before| before.mode == mode).map(|before| Held { weight, ..before });
        let says_something = mode != Mode::None || weight.is_some();
        self.put(pool, backend, says_something.then(|| same.unwrap_or(fresh)));
        before
    }

    /// Has this held of a backend, or nothing.
    fn put(&mut self, pool: &str, backend: &str, held: Option<Held>) {
        let by_id = self.by_pool.entry(pool.into()).or_default();
        match held {
            Some(held) => by_id.insert(backend.into(), held),
            None => by_id.remove(backend),
        };
        if by_id.is_empty() {
            self.by_pool.remove(pool);
        }
    }

    fn get_mut(&mut self, pool: &str, backend: &str) -> Option<&mut Held> {
        self.by_pool.get_mut(pool)?.get_mut(backend)
    }

    /// Drains whose time has come and of which that wasn't said yet.
    fn due(&self, now: Instant) -> Vec<(Box<str>, Box<str>)> {
        let is_due = |held: &Held| {
            held.mode == Mode::Drain
                && !held.is_over
                && held.deadline.is_some_and(|deadline| deadline.at <= now)
        };
        let all = self.by_pool.iter().flat_map(|(pool, held)| held.iter().map(move |one| (pool, one)));
        all.filter(|(_, (_, held))| is_due(held)).map(|(pool, (id, _))| (pool.clone(), id.clone())).collect()
    }

    /// Takes out what was said of backends that a configuration no longer has. Those of a resolved pool come and go, and what
    /// was said of them stays.
    fn take_gone(&mut self, plan: &plan::Plan) -> Vec<(Box<str>, Box<str>)> {
        let mut gone = Vec::new();
        self.by_pool.retain(|name, held| {
            let pool = plan.pools.iter().find(|pool| *pool.name == **name);
            let stays = |id: &str| {
                pool.is_some_and(|pool| {
                    pool.resolved || pool.membership.backends.iter().any(|backend| *backend.id == *id)
                })
            };
            held.retain(|id, _| {
                stays(id) || {
                    gone.push((name.clone(), id.clone()));
                    false
                }
            });
            !held.is_empty()
        });
        gone
    }

    /// A list with the weights that were said of its backends.
    pub(super) fn weigh(&self, pool: &plan::Pool, list: Arc<plan::Membership>) -> Arc<plan::Membership> {
        match self.by_pool.get(&*pool.name) {
            Some(held) if held.values().any(|held| held.weight.is_some()) => {
                Arc::new(list.reweighted(pool, |id| held.get(id)?.weight))
            }
            _ => list,
        }
    }
}

impl Shared {
    /// Does what an operator wants of a backend. One that isn't there is ignored and counted; before the first Plan nobody
    /// is known, and what is said is kept for it. Whether it is picked is health's to say, who outranks its checks
    /// and its traffic by this.
    pub(crate) fn set(&self, setting: &Setting) -> Result<(), CallError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if setting.weight.is_some_and(|weight| weight > plan::MAX_WEIGHT) {
            return Err(CallError::refused_at(
                &[],
                format_args!("the highest weight is {}", plan::MAX_WEIGHT),
            ));
        }
        let Setting { pool, backend, .. } = setting;
        let (before, word) = {
            let mut state = self.state();
            let before = state.operators.hold(setting);
            (before, state.operators.get(pool, backend).map_or(Operator::None, Held::word))
        };
        // First: whoever is followed must get nothing new any more.
        if !self.operate(pool, backend, word) {
            self.state().operators.put(pool, backend, before);
            return Ok(());
        }
        let Some((pool, members)) = self.state().serving(setting) else { return Ok(()) };
        self.stand(&pool, &members, setting)?;
        if before.and_then(|held| held.weight) != setting.weight {
            self.reweigh(&pool, &members)?;
        }
        Ok(())
    }

    /// What it has open is followed, or cut.
    fn stand(
        &self,
        pool: &plan::Pool,
        members: &PreparedMembers,
        setting: &Setting,
    ) -> Result<(), CallError> {
        let Some(backend) = members.shared.backends.iter().find(|one| *one.id == *setting.backend) else {
            return Ok(());
        };
        self.state().follow_word(pool, backend);
        self.drains.notify_one();
        match setting.mode {
            // Who waited for room may have it now.
            Mode::None => (0..self.workers).for_each(|worker| pool.live.queue().freed(worker)),
            Mode::Drain => {}
            Mode::Disable => self.tell_all(|| worker::Command::CutBackend(Arc::clone(&backend.live)))?,
        }
        Ok(())
    }

    /// Ends the drains whose time has come: from now on nobody is sent there, known or not. To be called often.
    pub(super) fn end_drains(&self) {
        let now = clock::now();
        if self.state().operators.due(now).is_empty() {
            return;
        }
        // While something else is changed, they are ended at the next call.
        let Ok(_one_at_a_time) = self.changing.try_lock() else { return };
        let due = self.state().operators.due(now);
        for (pool, backend) in due {
            let word = {
                let mut state = self.state();
                let Some(held) = state.operators.get_mut(&pool, &backend) else { continue };
                held.is_over = true;
                held.word()
            };
            self.operate(&pool, &backend, word);
        }
    }

    /// A configuration is served: what was said of backends that it no longer has is forgotten.
    pub(super) fn forget_words(&self, plan: &plan::Plan) {
        let gone = {
            let mut guard = self.state();
            let state = &mut *guard;
            let gone = state.operators.take_gone(plan);
            state.draining.only_stood_down(|pool, id| state.operators.is_down(pool, id));
            gone
        };
        for (pool, backend) in gone {
            self.operate(&pool, &backend, Operator::None);
        }
    }

    /// Has the pool picked from by the weights that hold now.
    fn reweigh(&self, pool: &plan::Pool, before: &PreparedMembers) -> Result<(), CallError> {
        let list = {
            let state = self.state();
            before.shared.reweighted(pool, |id| state.operators.get(&pool.name, id)?.weight)
        };
        let members = self.registry.members(&pool.name, Arc::new(list));
        let name = &pool.name;
        self.tell_all(|| worker::Command::Members { pool: Arc::clone(name), members: members.clone() })?;
        self.state().members.insert(Arc::clone(name), members);
        // One that has no weight any more is nobody's last resort.
        self.follow_health();
        Ok(())
    }
}

impl State {
    /// The pool that a setting is for, and its list.
    fn serving(&self, setting: &Setting) -> Option<(Arc<plan::Pool>, PreparedMembers)> {
        let pools = &self.plan.as_ref()?.pools;
        let pool = pools.iter().find(|pool| *pool.name == *setting.pool)?;
        Some((Arc::clone(pool), self.members.get(&pool.name)?.clone()))
    }

    /// Follows what a backend has open, if an operator said so.
    fn follow_word(&mut self, pool: &plan::Pool, backend: &plan::Backend) {
        self.draining.backend_stands(&backend.live);
        let Some(held) = self.operators.get_mut(&pool.name, &backend.id) else { return };
        held.begin(pool.drain);
        if let Some(deadline) = held.deadline {
            self.draining.backend_stands_down(&pool.name, backend, deadline.at);
        }
    }

    /// Follows those that joined after an operator had spoken of them: before the first Plan, or before they were away.
    pub(super) fn follow_words(&mut self, pool: &plan::Pool) {
        let Some(members) = self.members.get(&pool.name) else { return };
        let list = Arc::clone(&members.shared);
        for backend in &list.backends {
            let runs = self.operators.get(&pool.name, &backend.id).is_some_and(Held::runs);
            if runs && !self.draining.follows(&backend.live) {
                self.follow_word(pool, backend);
            }
        }
    }
}
