//! What a worker serves from. Everything here belongs to one worker and is swapped between two turns of its loop,
//! so a request never sees half of a change.
//!
//! A connection holds its [`ListenerCell`]; a request clones the [`LocalListener`] in it once, at its head, and from
//! then on keeps only what it uses: a tunnel keeps its pool, never a Plan.

use std::cell::{Cell, Ref, RefCell};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use fairlead_balance::{BackendLive, BreakerPolicy, Cursor};
use fairlead_plan as plan;
use rustls::ServerConfig;

use crate::clock;
use crate::listener::{Connections, ListenerLive};
use crate::telemetry::{BackendCounters, ListenerCounters, PreparedMembers, PreparedPlan, RouteCounters};
use crate::tls::{ClientConfigs, ClientTls, LocalTls, ServerConfigs};

/// A listener's name and what its new requests are served by. Lives as long as its last connection.
pub(crate) struct ListenerCell {
    pub(crate) live: Arc<ListenerLive>,
    current: RefCell<Rc<LocalListener>>,
    /// What handshakes are made with from now on, if it terminates TLS.
    tls: RefCell<Option<Arc<ServerConfig>>>,
    closing: Cell<bool>,
    connections: Connections,
}

impl ListenerCell {
    fn new(live: Arc<ListenerLive>, current: Rc<LocalListener>) -> Self {
        Self {
            live,
            current: RefCell::new(current),
            tls: RefCell::default(),
            closing: Cell::new(false),
            connections: Connections::default(),
        }
    }

    /// What a request is served by; to be taken once, at its head.
    #[inline]
    pub(crate) fn current(&self) -> Rc<LocalListener> {
        Rc::clone(&self.current.borrow())
    }

    /// What a handshake is made with.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.borrow().clone()
    }

    /// The listener was removed or the engine stops: the next answer closes its connection.
    #[inline]
    pub(crate) fn closing(&self) -> bool {
        self.closing.get()
    }

    /// The connections of this worker that came by this listener.
    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// From now on answers close their connections, and waiting ones have until `idle_until` for another request.
    pub(crate) fn close(&self, idle_until: Option<Instant>) {
        self.closing.set(true);
        self.connections.look(clock::now());
        if let Some(at) = idle_until {
            self.connections.shorten_idle(at);
        }
    }
}

/// A listener of one Plan.
pub(crate) struct LocalListener {
    pub(crate) plan: Arc<plan::Listener>,
    /// In the order of `plan.routes`, which is what `Router::route` answers with.
    pub(crate) routes: Vec<LocalRoute>,
    pub(crate) counters: Arc<ListenerCounters>,
}

impl LocalListener {
    /// Whether connections of the one can be served by the other.
    fn speaks_as(&self, other: &Self) -> bool {
        // The names that a protocol goes by may change, what is spoken not.
        std::mem::discriminant(&self.plan.protocol) == std::mem::discriminant(&other.plan.protocol)
    }
}

/// A route of one Plan.
#[derive(Clone)]
pub(crate) struct LocalRoute {
    pub(crate) plan: Arc<plan::Route>,
    pub(crate) pool: Rc<LocalPool>,
    pub(crate) counters: Arc<RouteCounters>,
}

/// A pool of one Plan.
pub(crate) struct LocalPool {
    pub(crate) plan: Arc<plan::Pool>,
    /// Shared by all Plans that have this pool, so that requests of older ones see who left.
    members: Rc<RefCell<Rc<LocalMembers>>>,
    /// Those that left and go on with the clients they know. As `members` are.
    leaving: Rc<RefCell<Vec<Leaving>>>,
    /// What handshakes with its backends are made with, if TLS is spoken. As `members` are.
    tls: Rc<RefCell<Option<Rc<LocalTls>>>>,
}

/// A backend that left a pool.
pub(crate) struct Leaving {
    /// It alone.
    pub(crate) members: Rc<LocalMembers>,
    /// Then its drain is over.
    pub(crate) until: Instant,
}

impl Leaving {
    fn backend(&self) -> &plan::Backend {
        &self.members.shared.backends[0]
    }
}

impl LocalPool {
    /// Who is in the pool now.
    #[inline]
    pub(crate) fn members(&self) -> Rc<LocalMembers> {
        Rc::clone(&self.members.borrow())
    }

    /// What a handshake with one of them is made with.
    pub(crate) fn tls(&self) -> Option<Rc<LocalTls>> {
        self.tls.borrow().clone()
    }

    /// Makes handshakes by `shared` from now on. `true` if connections that were made otherwise are of no more use.
    fn secure(&self, shared: Option<&Arc<ClientTls>>) -> bool {
        let mut tls = self.tls.borrow_mut();
        match (&*tls, shared) {
            (Some(known), Some(shared)) if Arc::ptr_eq(&known.shared, shared) => return false,
            (None, None) => return false,
            _ => {}
        }
        std::mem::replace(&mut *tls, shared.map(|shared| Rc::new(LocalTls::new(shared)))).is_some()
    }

    /// Who left, and may still be asked by clients that it knows.
    pub(crate) fn leaving(&self) -> Ref<'_, Vec<Leaving>> {
        self.leaving.borrow()
    }
}

/// A pool's backends, and this worker's place among them.
pub(crate) struct LocalMembers {
    pub(crate) shared: Arc<plan::Membership>,
    pub(crate) cursor: RefCell<Cursor>,
    /// This worker's place among those that are picked by a client's value.
    pub(crate) homes: Option<RefCell<Cursor>>,
    /// In the order of `shared.backends`.
    pub(crate) counters: Vec<Arc<BackendCounters>>,
    /// Whose they are.
    pub(crate) worker: usize,
}

/// All of one Plan that a worker needs.
#[derive(Default)]
pub(crate) struct Published {
    /// Held so that it is known how many Plans are alive.
    plan: Option<Arc<plan::Plan>>,
    listeners: HashMap<Arc<str>, Rc<ListenerCell>>,
    /// Removed, with connections still open.
    draining: Vec<Rc<ListenerCell>>,
    pools: HashMap<Arc<str>, Rc<LocalPool>>,
    /// Backends, by connection key, with whom handshakes are made otherwise from now on.
    distrusted: RefCell<HashSet<u64>>,
}

/// Which worker of how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) index: usize,
    pub(crate) workers: usize,
}

impl Published {
    /// Serves new requests by `prepared`; what it no longer has drains.
    pub(crate) fn swap(&mut self, prepared: &PreparedPlan, place: Place) {
        let plan = &prepared.plan;
        let pools: Vec<Rc<LocalPool>> = (plan.pools.iter().zip(&prepared.members))
            .map(|(pool, members)| Rc::new(self.pool(pool, members, place)))
            .collect();
        self.secure(&pools, &prepared.tls);
        let mut before = std::mem::take(&mut self.listeners);
        for (listener, series) in plan.listeners.iter().zip(&prepared.listeners) {
            let routes = (listener.routes.iter().zip(&series.routes))
                .map(|(route, counters)| LocalRoute {
                    plan: Arc::clone(route),
                    pool: Rc::clone(&pools[route.pool]),
                    counters: counters.of(place.index),
                })
                .collect();
            let local = Rc::new(LocalListener {
                plan: Arc::clone(listener),
                routes,
                counters: series.counters.of(place.index),
            });
            let same = |cell: &Rc<ListenerCell>| cell.current().speaks_as(&local);
            let known = match before.entry(Arc::clone(&listener.name)) {
                Entry::Occupied(known) if same(known.get()) => Some(known.remove()),
                // What was opened in another protocol stays with that, as if its listener had gone.
                _ => self.revive(&listener.name, same),
            };
            let cell = match known {
                Some(cell) => {
                    cell.current.replace(local);
                    cell
                }
                None => Rc::new(ListenerCell::new(Arc::clone(&series.live), local)),
            };
            cell.tls.replace(series.tls.clone());
            self.listeners.insert(Arc::clone(&listener.name), cell);
        }
        for cell in before.into_values() {
            cell.close(None);
            self.draining.push(cell);
        }
        self.draining.retain(|cell| !cell.connections.is_empty());
        self.pools = pools.into_iter().map(|pool| (Arc::clone(&pool.plan.name), pool)).collect();
        self.plan = Some(Arc::clone(plan));
    }

    /// A listener that came back while it was draining is the same one.
    fn revive(&mut self, name: &str, same: impl Fn(&Rc<ListenerCell>) -> bool) -> Option<Rc<ListenerCell>> {
        let at = self.draining.iter().position(|cell| &*cell.live.name == name && same(cell))?;
        let cell = self.draining.swap_remove(at);
        cell.closing.set(false);
        Some(cell)
    }

    fn pool(&self, pool: &Arc<plan::Pool>, members: &PreparedMembers, place: Place) -> LocalPool {
        let plan = Arc::clone(pool);
        if let Some(known) = self.pools.get(&pool.name) {
            known.replace(members, place);
            let (members, leaving) = (Rc::clone(&known.members), Rc::clone(&known.leaving));
            return LocalPool { plan, members, leaving, tls: Rc::clone(&known.tls) };
        }
        let members = Rc::new(RefCell::new(Rc::new(LocalMembers::new(members, place))));
        LocalPool { plan, members, leaving: Rc::default(), tls: Rc::default() }
    }

    /// Makes handshakes with the backends of `pools` by `configs` from now on.
    fn secure<'a>(&self, pools: impl IntoIterator<Item = &'a Rc<LocalPool>>, configs: &ClientConfigs) {
        for pool in pools {
            if pool.secure(configs.get(&pool.plan.name)) {
                let mut distrusted = self.distrusted.borrow_mut();
                distrusted.extend(pool.members().shared.backends.iter().map(|backend| backend.key));
            }
        }
    }

    /// Whose idle connections were made by what doesn't hold any more; asked once.
    pub(crate) fn take_distrusted(&self) -> HashSet<u64> {
        self.distrusted.take()
    }

    /// Something has drained: forgets it.
    pub(crate) fn forget_drained(&mut self, now: Instant) {
        self.draining.retain(|cell| !cell.connections.is_empty());
        for pool in self.pools.values() {
            pool.leaving.borrow_mut().retain(|left| left.until > now);
        }
    }

    /// Replaces who is in a pool, without a Plan.
    pub(crate) fn members(&self, pool: &str, members: &PreparedMembers, place: Place) {
        if let Some(known) = self.pools.get(pool) {
            known.replace(members, place);
        }
    }

    /// The circuit breaker that the backends of a pool have now.
    pub(crate) fn breaker(&self, pool: &str) -> Option<BreakerPolicy> {
        self.pools.get(pool)?.plan.breaker
    }

    /// Makes handshakes by `configs` from now on.
    pub(crate) fn secrets(&self, servers: &ServerConfigs, clients: &ClientConfigs) {
        self.secure(self.pools.values(), clients);
        for (name, config) in servers {
            if let Some(cell) = self.listeners.get(name) {
                cell.tls.replace(Some(Arc::clone(config)));
            }
        }
    }

    /// The cells of the Plan that is served.
    pub(crate) fn listener(&self, name: &str) -> Option<&Rc<ListenerCell>> {
        self.listeners.get(name)
    }

    /// Every cell that may have connections.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Rc<ListenerCell>> {
        self.listeners.values().chain(&self.draining)
    }

    /// The removed ones among them.
    pub(crate) fn draining(&self) -> impl Iterator<Item = &Rc<ListenerCell>> {
        self.draining.iter()
    }

    /// Connection keys that idle upstream connections may still have.
    pub(crate) fn backend_keys(&self) -> HashSet<u64> {
        self.pools
            .values()
            .flat_map(|pool| {
                let members = pool.members();
                let left = pool.leaving();
                let left = left.iter().map(|left| left.backend().key);
                members.shared.backends.iter().map(|backend| backend.key).chain(left).collect::<Vec<_>>()
            })
            .collect()
    }
}

impl LocalPool {
    /// Takes new members; with the same picking order the place in it is kept.
    fn replace(&self, prepared: &PreparedMembers, place: Place) {
        let before = self.members();
        if Arc::ptr_eq(&before.shared, &prepared.shared) {
            return;
        }
        let members = LocalMembers::new(prepared, place);
        if before.cursor.borrow().fits(&prepared.shared.picker) {
            before.cursor.swap(&members.cursor);
        }
        self.follow(&before, &members, place);
        self.members.replace(Rc::new(members));
    }

    /// Remembers who leaves, if it goes on with the clients that it knows.
    fn follow(&self, before: &LocalMembers, after: &LocalMembers, place: Place) {
        if !self.plan.affinity.as_ref().is_some_and(plan::Affinity::knows_clients) {
            return;
        }
        let now = clock::now();
        let there: HashSet<*const BackendLive> = after.shared.lives().collect();
        let mut leaving = self.leaving.borrow_mut();
        leaving.retain(|left| left.until > now && !there.contains(&Arc::as_ptr(&left.backend().live)));
        for (index, live) in before.shared.lives().enumerate() {
            if !there.contains(&live) {
                leaving.push(Leaving {
                    members: Rc::new(before.alone(index, place)),
                    until: now + self.plan.drain,
                });
            }
        }
    }
}

impl LocalMembers {
    fn new(prepared: &PreparedMembers, place: Place) -> Self {
        let cursor = |picker| RefCell::new(Cursor::new(picker, place.index, place.workers));
        Self {
            shared: Arc::clone(&prepared.shared),
            cursor: cursor(&prepared.shared.picker),
            homes: match &prepared.shared.bonds {
                plan::Bonds::Homes(homes) => Some(cursor(homes)),
                _ => None,
            },
            counters: prepared.counters.iter().map(|series| series.of(place.index)).collect(),
            worker: place.index,
        }
    }

    /// One of them, as the only member.
    fn alone(&self, member: usize, place: Place) -> Self {
        let shared = Arc::new(self.shared.alone(member));
        Self {
            cursor: RefCell::new(Cursor::new(&shared.picker, place.index, place.workers)),
            shared,
            homes: None,
            counters: vec![Arc::clone(&self.counters[member])],
            worker: self.worker,
        }
    }
}
