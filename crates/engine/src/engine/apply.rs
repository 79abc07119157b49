//! From one configuration to the next: prepare, publish, acknowledge.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::mpsc::channel;
use std::sync::{Arc, PoisonError};

use fairlead_balance::BackendLive;
use fairlead_plan::spec::{Members, Spec};
use fairlead_plan::{AccessLog, Membership, Plan};
use serde::Serialize;

use super::health::Warden;
use super::shared::{ServedListener, Shared, State};
use crate::clock;
use crate::error::{CallError, Problem};
use crate::listener::{BindError, ListenerLive, Listening, Wanted};
use crate::telemetry::{PreparedListener, PreparedMembers, PreparedPlan, Sink, What};
use crate::tls::{client_configs, server_configs};
use crate::unix::{User, drop_privileges, may_be_transparent};
use crate::worker::{self, Assignment, Handle, Publication};

/// What an accepted configuration came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Of the description.
    pub version: u64,
    /// Listener → bind as written → address it is bound to.
    pub bound: BTreeMap<String, BTreeMap<String, String>>,
}

/// Everything a Plan needs, ready; dropping it undoes it.
struct Prepared {
    publication: Publication,
    lives: HashMap<Arc<str>, Arc<ListenerLive>>,
    sockets: Vec<Listening>,
    log: LogChange,
}

impl Shared {
    pub(crate) fn apply(self: &Arc<Self>, spec: &Spec) -> Result<Applied, CallError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state().stopping {
            return Err(CallError::internal("the engine is stopping: start another one"));
        }
        let prepared = self.prepare(spec).inspect_err(|_| self.forget_unused())?;
        if let LogChange::To(sink) = prepared.log {
            self.log.redirect(sink);
        }
        let publication = Arc::new(prepared.publication);
        self.expect_backends(&publication.plan);
        self.tell_all(|| worker::Command::Publish(Arc::clone(&publication)))?;
        let applied = self.commit(&publication, &prepared.lives, &prepared.sockets);
        self.forget_words(&publication.plan.plan);
        self.drop_breakers(&publication.plan);
        self.follow_health();
        self.forget_unused();
        self.follow_checks();
        self.events.push(What::Applied { version: applied.version });
        Ok(applied)
    }

    /// Changes nothing that is served. All that can be refused is refused here.
    fn prepare(self: &Arc<Self>, spec: &Spec) -> Result<Prepared, CallError> {
        let prepared = self.assemble(Plan::build(spec, &self.live)?)?;
        self.start_workers(&prepared.publication.plan.plan)?;
        Ok(prepared)
    }

    fn assemble(&self, plan: Plan) -> Result<Prepared, CallError> {
        let state = self.state();
        let members = self.memberships(&plan, &state);
        let log = prepare_log(state.plan.as_deref(), &plan)?;
        self.check_rights(&plan, &state)?;
        let wanted: Vec<Wanted<'_>> = (plan.listeners.iter())
            .flat_map(|listener| {
                let udp = listener.protocol.is_udp();
                let wanted =
                    move |bind| Wanted { bind, listener: &listener.name, options: &listener.socket, udp };
                listener.binds.iter().map(wanted)
            })
            .collect();
        let sockets =
            state.sockets.prepare(&wanted, self.workers).map_err(|errors| bind_errors(&plan, errors))?;
        let mut lives: HashMap<_, _> = state
            .listeners
            .iter()
            .map(|served| (Arc::clone(&served.live.name), Arc::clone(&served.live)))
            .collect();
        for leaving in &state.draining.listeners {
            let live = &leaving.served.live;
            lives.entry(Arc::clone(&live.name)).or_insert_with(|| Arc::clone(live));
        }
        let (keyring, before) = (Arc::clone(&state.keyring), Arc::clone(&state.client_tls));
        drop(state);
        let mut binds = Vec::with_capacity(sockets.len());
        let names = plan.listeners.iter().flat_map(|listener| listener.binds.iter().map(|_| &listener.name));
        for (open, name) in sockets.iter().zip(names) {
            binds.push(Assignment { bound: Arc::clone(&open.bound), listener: Arc::clone(name) });
        }
        let mut configs = server_configs(&plan, &keyring)?;
        let tls = Arc::new(client_configs(&plan, &keyring, &before)?);
        let listeners = (plan.listeners.iter())
            .map(|listener| PreparedListener {
                tls: configs.remove(&listener.name),
                live: Arc::clone(lives.entry(Arc::clone(&listener.name)).or_insert_with(|| {
                    ListenerLive::new(Arc::clone(&listener.name), Arc::clone(&self.process))
                })),
                counters: self.registry.listener(&listener.name),
                routes: (listener.routes.iter())
                    .map(|route| self.registry.route(&listener.name, &route.id))
                    .collect(),
            })
            .collect();
        let plan = PreparedPlan { plan: self.census.admit(plan), listeners, members, tls };
        Ok(Prepared { publication: Publication { plan, binds }, lives, sockets, log })
    }

    /// Whether we may do what the Plan wants. Threads have the rights of the one that started them: this one's.
    fn check_rights(&self, plan: &Plan, state: &State) -> Result<(), CallError> {
        let Some(listener) = plan.listeners.iter().find(|listener| listener.socket.transparent) else {
            return Ok(());
        };
        let path = ["listeners", &*listener.name, "socket", "transparent"];
        match may_be_transparent() {
            Ok(true) => Ok(()),
            Ok(false) if self.settings.user.is_some() && !state.workers.is_empty() => {
                let message = "needs CAP_NET_ADMIN, which the engine gave up when it began: needs a restart";
                Err(CallError::restart_needed(&path, message))
            }
            Ok(false) => Err(CallError::refused_at(
                &path,
                "needs CAP_NET_ADMIN: run as root, with `runtime.user` to drop everything else, or have systemd \
                 give it (AmbientCapabilities=CAP_NET_ADMIN)",
            )),
            Err(error) => Err(CallError::refused_at(&path, format_args!("not possible here: {error}"))),
        }
    }

    /// Who is in each pool: what the Plan says, or for a resolved pool what was said last.
    fn memberships(&self, plan: &Plan, state: &State) -> Vec<PreparedMembers> {
        plan.pools
            .iter()
            .map(|pool| {
                let last = state.resolved.get(&*pool.name).filter(|_| pool.resolved);
                let known = last.and_then(|last| {
                    Membership::build(pool, &last.backends, last.generation, &self.live).ok()
                });
                let members = known.map_or_else(|| Arc::clone(&pool.membership), Arc::new);
                self.registry.members(&pool.name, state.operators.weigh(pool, members))
            })
            .collect()
    }

    /// Forgets what nobody uses any more.
    pub(super) fn forget_unused(&self) {
        self.registry.forget_unused();
        self.live.forget_unused();
    }

    /// With the first Plan: the addresses are bound, so the rights to bind them can go, and threads can come.
    fn start_workers(self: &Arc<Self>, plan: &Plan) -> Result<(), CallError> {
        if !self.state().workers.is_empty() {
            return Ok(());
        }
        if let Some(name) = &self.settings.user {
            let transparent = plan.listeners.iter().any(|listener| listener.socket.transparent);
            let user = User::named(name).and_then(|user| {
                if user.is_current() { Ok(()) } else { drop_privileges(&user, transparent) }
            });
            user.map_err(|error| {
                CallError::refused_at(&["runtime", "user"], format_args!("can't become {name}: {error}"))
            })?;
        }
        let started = self.log.start().and_then(|()| {
            (0..self.workers)
                .map(|index| Handle::start(index, Arc::clone(self)))
                .collect::<Result<Vec<_>, _>>()
        });
        let started = started.and_then(|handles| Ok((handles, Warden::start(Arc::clone(self))?)));
        let (handles, warden) =
            started.map_err(|error| CallError::internal(format_args!("no thread for a worker: {error}")))?;
        let mut state = self.state();
        state.workers = handles;
        state.warden = Some(warden);
        Ok(())
    }

    /// Tells every worker and waits until all have obeyed.
    pub(super) fn tell_all(&self, command: impl Fn() -> worker::Command) -> Result<(), CallError> {
        let (obeyed, obedience) = channel();
        let workers = {
            let state = self.state();
            for worker in &state.workers {
                worker.tell(command(), Some(obeyed.clone()));
            }
            state.workers.len()
        };
        drop(obeyed);
        if obedience.iter().count() < workers {
            return Err(CallError::internal("a worker has died: the engine must be started anew"));
        }
        Ok(())
    }

    /// All workers have switched: this is the state now.
    fn commit(
        &self,
        publication: &Publication,
        lives: &HashMap<Arc<str>, Arc<ListenerLive>>,
        sockets: &[Listening],
    ) -> Applied {
        let plan = &publication.plan.plan;
        let mut sockets_left = sockets.iter();
        let served: Vec<ServedListener> = (plan.listeners.iter())
            .map(|listener| ServedListener {
                live: Arc::clone(&lives[&listener.name]),
                protocol: listener.protocol,
                binds: (listener.binds.iter().zip(&mut sockets_left))
                    .map(|(bind, open)| (bind.text.clone(), open.bound.address.clone()))
                    .collect(),
            })
            .collect();
        let mut guard = self.state();
        let state = &mut *guard;
        let before = std::mem::replace(&mut state.listeners, served);
        follow_listeners(state, before);
        let members = (plan.pools.iter().zip(&publication.plan.members))
            .map(|(pool, members)| (Arc::clone(&pool.name), members.clone()))
            .collect();
        let before = std::mem::replace(&mut state.members, members);
        for (pool, before) in &before {
            self.follow_backends(state, pool, Some(before));
        }
        for pool in plan.pools.iter().filter(|pool| !before.contains_key(&pool.name)) {
            self.follow_backends(state, &pool.name, None);
        }
        state.resolved.retain(|name, _| plan.pools.iter().any(|pool| pool.resolved && *pool.name == **name));
        for pool in &plan.pools {
            state.follow_words(pool);
        }
        state.client_tls = Arc::clone(&publication.plan.tls);
        let before = state.plan.replace(Arc::clone(plan));
        let closed = state.sockets.replace(sockets);
        let applied = Applied { version: plan.version, bound: bound_addresses(&state.listeners) };
        drop(guard);
        // Thousands of routes take their time: not under the lock.
        drop((before, closed));
        self.drains.notify_one();
        applied
    }

    /// Pools without a circuit breaker may have had one, and nobody would let in again whom that shut out. To be called when
    /// all workers have switched.
    fn drop_breakers(&self, published: &PreparedPlan) {
        let pools = published.plan.pools.iter().zip(&published.members);
        for (pool, members) in pools.filter(|(pool, _)| pool.breaker.is_none()) {
            for backend in members.shared.backends.iter().filter(|backend| backend.live.drop_breaker()) {
                let (pool, backend) = (pool.name.to_string(), backend.id.to_string());
                self.events.push(What::BreakerClosed { pool, backend });
            }
        }
    }

    /// Notes who joined and who left a pool. To be called while `state.plan` is still the one before.
    fn follow_backends(&self, state: &mut State, pool: &Arc<str>, before: Option<&PreparedMembers>) {
        let after = state.members.get(pool);
        let lives = |members: Option<&PreparedMembers>| -> HashSet<*const BackendLive> {
            members.iter().flat_map(|members| members.shared.lives()).collect()
        };
        let (were, are) = (lives(before), lives(after));
        for backend in after.iter().flat_map(|members| &members.shared.backends) {
            if !were.contains(&Arc::as_ptr(&backend.live)) && !state.draining.backend_is_back(backend) {
                let (pool, backend) = (pool.to_string(), backend.id.to_string());
                self.events.push(What::BackendJoined { pool, backend });
            }
        }
        let mut pools = state.plan.iter().flat_map(|plan| &plan.pools);
        let Some(pool) = pools.find(|known| known.name == *pool).cloned() else { return };
        let now = clock::now();
        for (backend, counters) in before.iter().flat_map(|m| m.shared.backends.iter().zip(&m.counters)) {
            if !are.contains(&Arc::as_ptr(&backend.live)) {
                state.draining.backend_left(&pool, backend, counters, now);
            }
        }
    }

    pub(crate) fn members(&self, members: Members) -> Result<(), CallError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((pool, before)) = self.wanted(&members) else {
            self.ignored_members.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            return Ok(());
        };
        let membership = Membership::build(&pool, &members.backends, members.generation, &self.live)?;
        let membership = self.state().operators.weigh(&pool, Arc::new(membership));
        let prepared = self.registry.members(&pool.name, membership);
        self.expect_members(&pool, &prepared);
        self.tell_all(|| worker::Command::Members {
            pool: Arc::clone(&pool.name),
            members: prepared.clone(),
        })?;
        let mut guard = self.state();
        let state = &mut *guard;
        state.members.insert(Arc::clone(&pool.name), prepared);
        self.follow_backends(state, &pool.name, Some(&before));
        state.follow_words(&pool);
        state.resolved.insert(members.pool.clone(), members);
        drop(guard);
        self.follow_health();
        self.drains.notify_one();
        self.follow_checks();
        Ok(())
    }

    /// The pool that this list is for, and who is in it now.
    fn wanted(&self, members: &Members) -> Option<(Arc<fairlead_plan::Pool>, PreparedMembers)> {
        let state = self.state();
        let plan = state.plan.as_ref()?;
        let pool = plan.pools.iter().find(|pool| *pool.name == *members.pool && pool.resolved)?;
        let before = state.members.get(&pool.name)?;
        (members.generation >= before.shared.generation).then(|| (Arc::clone(pool), before.clone()))
    }
}

/// Notes which listeners left and which came back. To be called while `state.plan` is still the one before.
fn follow_listeners(state: &mut State, before: Vec<ServedListener>) {
    for listener in &state.listeners {
        state.draining.listener_is_back(&listener.live.name);
    }
    let drain = state.plan.as_ref().map(|plan| plan.drain_timeout).unwrap_or_default();
    for served in before {
        if !state.listeners.iter().any(|listener| listener.live.name == served.live.name) {
            state.draining.listener_left(served, clock::now() + drain);
        }
    }
}

/// Where the access log goes from now on.
enum LogChange {
    /// To where it goes: the file stays open.
    None,
    To(Option<Sink>),
}

fn prepare_log(before: Option<&Plan>, plan: &Plan) -> Result<LogChange, CallError> {
    let target = |log: &Option<AccessLog>| log.as_ref().map(|log| log.target.clone());
    let wanted = target(&plan.access_log);
    if before.is_some_and(|before| target(&before.access_log) == wanted) {
        return Ok(LogChange::None);
    }
    let sink = wanted.as_ref().map(Sink::open).transpose();
    sink.map(LogChange::To).map_err(|error| {
        CallError::refused_at(&["access_log", "path"], format_args!("can't be opened: {error}"))
    })
}

/// Each at its bind, which is named by the list if it is the only one.
fn bind_errors(plan: &Plan, errors: Vec<(usize, BindError)>) -> CallError {
    let places: Vec<Vec<String>> = (plan.listeners.iter())
        .flat_map(|listener| {
            (0..listener.binds.len()).map(|index| {
                let mut path = vec!["listeners".to_owned(), listener.name.to_string(), "bind".to_owned()];
                if listener.binds.len() > 1 {
                    path.push(index.to_string());
                }
                path
            })
        })
        .collect();
    let problem = |(index, error): (usize, BindError)| Problem {
        path: places[index].clone(),
        message: error.to_string(),
    };
    CallError::refused(errors.into_iter().map(problem).collect())
}

/// Listener → bind as written → address.
pub(crate) fn bound_addresses(listeners: &[ServedListener]) -> BTreeMap<String, BTreeMap<String, String>> {
    let named =
        |served: &ServedListener| (served.live.name.to_string(), served.binds.iter().cloned().collect());
    listeners.iter().map(named).collect()
}

#[cfg(test)]
mod tests;
