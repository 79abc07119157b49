//! Counters by stable id. They outlive Plans: a route that stays keeps counting where it was.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairlead_plan as plan;
use rustls::ServerConfig;

use super::counters::{BackendCounters, ListenerCounters, RouteCounters};
use crate::listener::ListenerLive;
use crate::tls::ClientConfigs;

/// One set of counters a worker.
#[derive(Debug)]
pub(crate) struct Series<T>(Box<[Arc<T>]>);

impl<T: Default> Series<T> {
    fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Arc::default()).collect())
    }
}

impl<T> Series<T> {
    /// The counters that worker `index` writes.
    pub(crate) fn of(&self, index: usize) -> Arc<T> {
        Arc::clone(&self.0[index])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|counters| &**counters)
    }

    /// A worker still holds its part.
    fn in_use(&self) -> bool {
        self.0.iter().any(|counters| Arc::strong_count(counters) > 1)
    }
}

/// Series of one kind of object.
type Table<K, T> = Mutex<HashMap<K, Arc<Series<T>>>>;
/// Owner's name and own id: a route's listener and id, a backend's pool and id.
pub(crate) type Key = (Arc<str>, Arc<str>);

/// Every series there is.
#[derive(Debug)]
pub(crate) struct Registry {
    workers: usize,
    listeners: Table<Arc<str>, ListenerCounters>,
    routes: Table<Key, RouteCounters>,
    backends: Table<Key, BackendCounters>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while a counter is looked up leaves the table whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn series<K: Eq + Hash, T: Default>(table: &Table<K, T>, key: K, workers: usize) -> Arc<Series<T>> {
    Arc::clone(locked(table).entry(key).or_insert_with(|| Arc::new(Series::new(workers))))
}

fn prune<K: Eq + Hash, T>(table: &Table<K, T>) {
    locked(table).retain(|_, series| Arc::strong_count(series) > 1 || series.in_use());
}

fn all<K: Clone, T>(table: &Table<K, T>) -> Vec<(K, Arc<Series<T>>)> {
    locked(table).iter().map(|(key, series)| (key.clone(), Arc::clone(series))).collect()
}

impl Registry {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers, listeners: Table::default(), routes: Table::default(), backends: Table::default() }
    }

    pub(crate) fn listener(&self, name: &Arc<str>) -> Arc<Series<ListenerCounters>> {
        series(&self.listeners, Arc::clone(name), self.workers)
    }

    pub(crate) fn route(&self, listener: &Arc<str>, id: &Arc<str>) -> Arc<Series<RouteCounters>> {
        series(&self.routes, (Arc::clone(listener), Arc::clone(id)), self.workers)
    }

    pub(crate) fn backend(&self, pool: &Arc<str>, id: &Arc<str>) -> Arc<Series<BackendCounters>> {
        series(&self.backends, (Arc::clone(pool), Arc::clone(id)), self.workers)
    }

    /// Counters for a membership.
    pub(crate) fn members(&self, pool: &Arc<str>, shared: Arc<plan::Membership>) -> PreparedMembers {
        let counters = shared.backends.iter().map(|backend| self.backend(pool, &backend.id)).collect();
        PreparedMembers { shared, counters }
    }

    /// Forgets what no Plan and no worker uses any more.
    pub(crate) fn forget_unused(&self) {
        prune(&self.listeners);
        prune(&self.routes);
        prune(&self.backends);
    }

    pub(crate) fn listeners(&self) -> Vec<(Arc<str>, Arc<Series<ListenerCounters>>)> {
        all(&self.listeners)
    }

    pub(crate) fn routes(&self) -> Vec<(Key, Arc<Series<RouteCounters>>)> {
        all(&self.routes)
    }

    pub(crate) fn backends(&self) -> Vec<(Key, Arc<Series<BackendCounters>>)> {
        all(&self.backends)
    }
}

/// A Plan with the counters of its objects: what every worker is given.
pub(crate) struct PreparedPlan {
    pub(crate) plan: Arc<plan::Plan>,
    /// In the order of `plan.listeners`.
    pub(crate) listeners: Vec<PreparedListener>,
    /// In the order of `plan.pools`.
    pub(crate) members: Vec<PreparedMembers>,
    /// Of the pools whose backends are spoken to by TLS.
    pub(crate) tls: Arc<ClientConfigs>,
}

pub(crate) struct PreparedListener {
    /// What its handshakes are made with, if it terminates TLS.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) live: Arc<ListenerLive>,
    pub(crate) counters: Arc<Series<ListenerCounters>>,
    /// In the order of the listener's routes.
    pub(crate) routes: Vec<Arc<Series<RouteCounters>>>,
}

/// A membership with the counters of its backends.
#[derive(Clone)]
pub(crate) struct PreparedMembers {
    pub(crate) shared: Arc<plan::Membership>,
    /// In the order of `shared.backends`.
    pub(crate) counters: Vec<Arc<Series<BackendCounters>>>,
}
