//! What belongs to the process: everything that more than one thread looks at.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use fairlead_balance::Live;
use fairlead_plan::{Census, Plan, spec};
use tokio::sync::{Notify, watch};

use super::affinity::Store;
use super::draining::Draining;
use super::health::{Warden, Wards};
use super::operator::Operators;
use super::settings::Settings;
use crate::clock;
use crate::listener::{ListenerLive, ProcessLimit, Sockets};
use crate::probe::Checks;
use crate::telemetry::{Events, LogWriter, PreparedMembers, Registry};
use crate::tls::{ClientConfigs, Keyring};
use crate::unix;
use crate::worker::Handle;

/// Descriptors that are neither client nor backend connections: sockets, logs, pipes, the loop's own, and those of the
/// program that an engine may be a part of.
const DESCRIPTORS_OF_OUR_OWN: u64 = 64;
const DESCRIPTORS_OF_A_WORKER: u64 = 64;

/// What belongs to the process.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) workers: usize,
    pub(crate) started: SystemTime,
    /// The same for ages.
    pub(crate) began: Instant,
    pub(crate) live: Live,
    pub(crate) census: Census,
    pub(crate) process: Arc<ProcessLimit>,
    pub(crate) registry: Registry,
    pub(crate) events: Arc<Events>,
    pub(crate) log: Arc<LogWriter>,
    pub(crate) panics: AtomicU64,
    /// Membership lists that no pool wanted: unknown, not resolved, or older than the one there is.
    pub(crate) ignored_members: AtomicU64,
    /// What was said of backends that aren't there.
    pub(crate) ignored_settings: AtomicU64,
    /// Where nodes share whom clients belong to.
    pub(crate) affinity_store: Store,
    short_of_memory: AtomicBool,
    /// When the stop that was asked for cuts what is open.
    stop: watch::Sender<Option<Instant>>,
    /// Something drains now: the service thread looks at it more often.
    pub(super) drains: Notify,
    /// A backend has failed too often in a row.
    pub(super) alarms: Notify,
    /// The thread that judges is to end.
    pub(super) judging_ends: Notify,
    /// How backends were judged. Taken after `state`, if both are.
    pub(super) wards: Mutex<Wards>,
    /// What came of the checks of backends.
    pub(crate) checks: Checks,
    /// Held by the one call that changes what is served.
    pub(super) changing: Mutex<()>,
    state: Mutex<State>,
}

/// What is served now, as the last change left it.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) listeners: Vec<ServedListener>,
    /// By pool.
    pub(crate) members: HashMap<Arc<str>, PreparedMembers>,
    /// The last list of each resolved pool, as it came: a Plan that keeps the pool keeps it.
    pub(crate) resolved: HashMap<String, spec::Members>,
    pub(crate) operators: Operators,
    /// The certificates that listeners may ask for.
    pub(crate) keyring: Arc<Keyring>,
    /// What handshakes with backends are made with.
    pub(crate) client_tls: Arc<ClientConfigs>,
    pub(crate) sockets: Sockets,
    pub(crate) draining: Draining,
    pub(crate) workers: Vec<Handle>,
    pub(super) warden: Option<Warden>,
    pub(crate) admin_bound: Vec<String>,
    pub(crate) stopping: bool,
}

impl State {
    /// There is a configuration, and no end yet.
    pub(crate) fn is_serving(&self) -> bool {
        self.plan.is_some() && !self.stopping
    }
}

/// A listener and where it is.
#[derive(Clone)]
pub(crate) struct ServedListener {
    pub(crate) live: Arc<ListenerLive>,
    pub(crate) protocol: spec::Protocol,
    /// As written, and the address it came to.
    pub(crate) binds: Vec<(String, String)>,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        let events = Arc::new(Events::default());
        Arc::new(Self {
            workers: settings.workers,
            started: clock::wall(),
            began: clock::now(),
            live: Live::with_secret(unix::secret()),
            census: Census::default(),
            process: ProcessLimit::new(max_connections(unix::raise_descriptor_limit(), settings.workers)),
            registry: Registry::new(settings.workers),
            log: LogWriter::new(Arc::clone(&events)),
            events,
            panics: AtomicU64::new(0),
            ignored_members: AtomicU64::new(0),
            ignored_settings: AtomicU64::new(0),
            affinity_store: Store::default(),
            short_of_memory: AtomicBool::new(false),
            stop: watch::Sender::new(None),
            drains: Notify::new(),
            alarms: Notify::new(),
            judging_ends: Notify::new(),
            wards: Mutex::default(),
            checks: Checks::default(),
            changing: Mutex::default(),
            state: Mutex::default(),
            settings,
        })
    }

    /// Never held across anything that waits.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next change drops privileges, which has to happen on the thread that is the process' only one.
    pub(crate) fn must_change_here(&self) -> bool {
        self.settings.user.is_some() && self.state().workers.is_empty()
    }

    /// New connections are refused: the process is above its limit.
    #[inline]
    pub(crate) fn is_short_of_memory(&self) -> bool {
        self.short_of_memory.load(Relaxed)
    }

    /// Returns what it was before.
    pub(super) fn set_short_of_memory(&self, short: bool) -> bool {
        self.short_of_memory.swap(short, Relaxed)
    }

    /// Asks for a stop that cuts what is still open at `deadline`; the earliest counts.
    pub(crate) fn request_stop(&self, deadline: Instant) {
        self.stop.send_modify(|stop| *stop = Some(stop.map_or(deadline, |before| before.min(deadline))));
    }

    /// To wait for a stop.
    pub(crate) fn stop_requests(&self) -> watch::Receiver<Option<Instant>> {
        self.stop.subscribe()
    }
}

/// Half of the descriptors: a connection in use needs a second one, towards its backend.
fn max_connections(descriptors: u64, workers: usize) -> u32 {
    let ours = DESCRIPTORS_OF_OUR_OWN + DESCRIPTORS_OF_A_WORKER * workers as u64;
    u32::try_from((descriptors.saturating_sub(ours) / 2).max(16)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_has_a_descriptor_towards_its_backend() {
        assert_eq!(max_connections(20_128, 1), 10_000);
        assert_eq!(max_connections(64, 1), 16);
        assert_eq!(max_connections(u64::MAX, 8), u32::MAX);
    }
}
