//! What was removed and still has something open: followed until it is empty or its time is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_balance::BackendLive;
use fairlead_plan as plan;

use super::shared::ServedListener;
use crate::telemetry::{BackendCounters, Series, What};
use crate::worker::Command;

/// A backend that left its pool.
pub(crate) struct LeavingBackend {
    pub(crate) pool: Arc<str>,
    pub(crate) backend: Arc<plan::Backend>,
    pub(crate) counters: Arc<Series<BackendCounters>>,
    pub(crate) until: Instant,
    /// It goes on with clients that it knows, so it hasn't left before its time is over.
    knows_clients: bool,
    /// Requests that were open when its time was over.
    cut: Option<u64>,
}

/// A backend that an operator drains or disabled.
struct StoodDown {
    pool: Arc<str>,
    id: Arc<str>,
    live: Arc<BackendLive>,
    until: Instant,
    cut: u64,
    /// It was said that it has nothing open any more.
    said: bool,
}

/// After its deadline it is looked at for so long: a request may have picked it a moment before it stood down.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// A listener that left the configuration.
pub(crate) struct LeavingListener {
    pub(crate) served: ServedListener,
    pub(crate) until: Instant,
    cut: Option<u64>,
}

/// Everything that drains.
#[derive(Default)]
pub(crate) struct Draining {
    pub(crate) backends: Vec<LeavingBackend>,
    pub(crate) listeners: Vec<LeavingListener>,
    stood_down: Vec<StoodDown>,
}

/// What there is to do now.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) commands: Vec<Command>,
    pub(crate) events: Vec<What>,
}

impl Draining {
    pub(crate) fn is_empty(&self) -> bool {
        self.backends.is_empty() && self.listeners.is_empty() && self.stood_down.is_empty()
    }

    pub(crate) fn backend_left(
        &mut self,
        pool: &plan::Pool,
        backend: &Arc<plan::Backend>,
        counters: &Arc<Series<BackendCounters>>,
        now: Instant,
    ) {
        self.backend_stands(&backend.live);
        self.backends.push(LeavingBackend {
            pool: Arc::clone(&pool.name),
            backend: Arc::clone(backend),
            counters: Arc::clone(counters),
            until: now + pool.drain,
            knows_clients: pool.affinity.as_ref().is_some_and(plan::Affinity::knows_clients),
            cut: None,
        });
    }

    /// A backend that comes back while it drains is the same one.
    pub(crate) fn backend_is_back(&mut self, backend: &plan::Backend) -> bool {
        let before = self.backends.len();
        self.backends.retain(|leaving| !Arc::ptr_eq(&leaving.backend.live, &backend.live));
        self.backends.len() < before
    }

    /// An operator let it go on, or wants something else of it.
    pub(crate) fn backend_stands(&mut self, live: &Arc<BackendLive>) {
        self.stood_down.retain(|down| !Arc::ptr_eq(&down.live, live));
    }

    pub(crate) fn follows(&self, live: &Arc<BackendLive>) -> bool {
        self.stood_down.iter().any(|down| Arc::ptr_eq(&down.live, live))
    }

    /// Whoever came back by a configuration isn't cut by an earlier word.
    pub(crate) fn only_stood_down(&mut self, is_down: impl Fn(&str, &str) -> bool) {
        self.stood_down.retain(|down| is_down(&down.pool, &down.id));
    }

    pub(crate) fn backend_stands_down(&mut self, pool: &Arc<str>, backend: &plan::Backend, until: Instant) {
        self.stood_down.push(StoodDown {
            pool: Arc::clone(pool),
            id: Arc::clone(&backend.id),
            live: Arc::clone(&backend.live),
            until,
            cut: 0,
            said: false,
        });
    }

    pub(crate) fn listener_left(&mut self, served: ServedListener, until: Instant) {
        self.listeners.push(LeavingListener { served, until, cut: None });
    }

    pub(crate) fn listener_is_back(&mut self, name: &str) {
        self.listeners.retain(|leaving| &*leaving.served.live.name != name);
    }

    /// Looks at everything that drains: what is empty is done, what is over time is cut.
    pub(crate) fn step(&mut self, now: Instant) -> Steps {
        let mut steps = Steps::default();
        let followed = self.backends.len() + self.listeners.len();
        self.backends.retain_mut(|leaving| leaving.step(now, &mut steps));
        self.listeners.retain_mut(|leaving| leaving.step(now, &mut steps));
        if self.backends.len() + self.listeners.len() < followed {
            // Besides, connections of a backend's last requests may have become idle since it left.
            steps.commands.push(Command::ForgetDrained);
        }
        self.stood_down.retain_mut(|down| down.step(now, &mut steps));
        steps
    }
}

impl LeavingBackend {
    /// Whether it still drains.
    fn step(&mut self, now: Instant, steps: &mut Steps) -> bool {
        let open = self.backend.live.in_flight();
        if open == 0 && (!self.knows_clients || now >= self.until) {
            steps.events.push(What::BackendLeft {
                pool: self.pool.to_string(),
                backend: self.backend.id.to_string(),
                cut: self.cut.unwrap_or(0),
            });
            return false;
        }
        if now >= self.until {
            // Said again until it is so: a request may have picked it a moment ago.
            self.cut.get_or_insert(open.into());
            steps.commands.push(Command::CutBackend(Arc::clone(&self.backend.live)));
        }
        true
    }
}

impl StoodDown {
    /// Whether it has to be looked at again.
    fn step(&mut self, now: Instant, steps: &mut Steps) -> bool {
        let open = self.live.in_flight();
        if open == 0 {
            if !std::mem::replace(&mut self.said, true) {
                let (pool, backend) = (self.pool.to_string(), self.id.to_string());
                steps.events.push(What::BackendDrained { pool, backend, cut: self.cut });
            }
            return now < self.until + AFTERWARDS;
        }
        if now >= self.until {
            self.cut = self.cut.max(open.into());
            steps.commands.push(Command::CutBackend(Arc::clone(&self.live)));
        }
        true
    }
}

impl LeavingListener {
    fn step(&mut self, now: Instant, steps: &mut Steps) -> bool {
        let live = &self.served.live;
        if live.connections() == 0 {
            let cut = self.cut.unwrap_or(0);
            steps.events.push(What::ListenerDrained { listener: live.name.to_string(), cut });
            return false;
        }
        if now >= self.until {
            self.cut.get_or_insert(live.connections().into());
            steps.commands.push(Command::CutListener(Arc::clone(&live.name)));
        }
        true
    }
}
