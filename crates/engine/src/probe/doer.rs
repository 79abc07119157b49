//! Makes checks when they are due. It runs on the thread that judges, beside the workers: a busy one neither delays a
//! check nor is delayed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use fairlead_balance::health::{Pace, Schedule};
use fairlead_plan::spec::BackendAddress;
use fairlead_plan::{HealthCheck, Probe};
use tokio::task::{Id, JoinError, JoinSet};

use super::{Failure, Finding, Secured, Success, probe};
use crate::clock;
use crate::engine::Shared;
use crate::telemetry::{Key, What};

/// Checks that are under way at once, each with a connection. Silent backends hold one for as long as their timeout: of
/// 2,000 of them with a timeout of 5 s and an interval of 10 s, half are always under way. What is due when there are
/// that many is made late.
const MOST: usize = 1024;
/// Where there are few descriptors, checks leave most of them to clients.
const PART: usize = 8;
const LEAST: usize = 16;
/// Checks that become due within this time are begun together: the loop then turns once for all of them, which of a
/// thousand a second saves most of the turns.
const TICK: Duration = Duration::from_millis(10);
/// A defect that is met each time must not take the thread for itself.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Makes checks for as long as the engine lives. A panic is a defect of ours, after which all begins anew.
pub(crate) async fn keep_checking(shared: &Arc<Shared>) {
    loop {
        let doer = Doer::new(shared);
        let Err(panic) = tokio::task::spawn_local(doer.run()).await;
        shared.panics.fetch_add(1, Relaxed);
        shared.events.push(What::Trouble { message: format!("the checks of backends: {panic}") });
        tokio::time::sleep(AFTER_PANIC).await;
    }
}

/// What is checked, where, and how.
struct Target {
    check: Arc<HealthCheck>,
    address: BackendAddress,
    /// What a handshake with it is made with, if it is spoken to by TLS.
    tls: Option<Secured>,
    /// How often it had moved when it came to this address.
    incarnation: u32,
    digest: u64,
}

/// A result, and how long it took.
type Came = (Result<Success, Failure>, Duration);

struct Doer {
    shared: Arc<Shared>,
    schedule: Schedule<Key>,
    targets: HashMap<Key, Target>,
    tasks: JoinSet<Came>,
    /// Which check a task is, and its digest.
    begun: HashMap<Id, (Key, u64)>,
    /// At once.
    most: usize,
    /// When checks are begun again.
    tick: Instant,
}

impl Doer {
    fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            schedule: Schedule::new(clock::now()),
            targets: HashMap::new(),
            tasks: JoinSet::new(),
            begun: HashMap::new(),
            tick: clock::now(),
            most: (shared.process.max() as usize / PART).clamp(LEAST, MOST),
        }
    }

    async fn run(mut self) -> Infallible {
        let shared = Arc::clone(&self.shared);
        self.follow();
        loop {
            let next = self.begin();
            let due = async {
                match next {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shared.checks.changed.notified() => self.follow(),
                Some(ended) = self.tasks.join_next_with_id() => self.end(ended),
                () = due => {}
            }
        }
    }

    /// Begins what is due; when the next one will be, if there is room for it then.
    fn begin(&mut self) -> Option<Instant> {
        let now = clock::now();
        if now < self.tick {
            return Some(self.tick);
        }
        while self.tasks.len() < self.most {
            let Some((key, digest)) = self.schedule.take(now) else {
                return self.schedule.next().map(|due| due.max(self.tick));
            };
            self.tick = now + TICK;
            let Some(target) = self.targets.get(&key) else { continue };
            let (check, address) = (Arc::clone(&target.check), target.address.clone());
            let tls = target.tls.clone();
            let task = self.tasks.spawn_local(async move {
                let begun = clock::now();
                (probe(&check, &address, tls.as_ref()).await, clock::now().saturating_duration_since(begun))
            });
            self.begun.insert(task.id(), (key, digest));
        }
        None
    }

    fn end(&mut self, ended: Result<(Id, Came), JoinError>) {
        let (id, came) = match ended {
            Ok((id, came)) => (id, Some(came)),
            // It panicked; what it would have found is unknown.
            Err(error) => (error.id(), None),
        };
        let Some((key, digest)) = self.begun.remove(&id) else { return };
        let Some(&Target { incarnation, .. }) =
            self.targets.get(&key).filter(|target| target.digest == digest)
        else {
            return;
        };
        let changing = match came {
            Some((result, _)) if result.as_ref().is_err_and(Failure::is_ours) => self.unmade(&key),
            Some((result, took)) => {
                let good = result.is_ok();
                let reason = result.map_or_else(|failure| failure.to_string(), |success| success.to_string());
                self.shared.found(&key, Some(incarnation), Finding { good, reason: reason.into(), took })
            }
            None => self.unmade(&key),
        };
        self.schedule.done(&key, digest, changing, clock::now());
    }

    /// It says nothing, and is worth another one soon.
    fn unmade(&self, key: &Key) -> bool {
        self.shared.checks.note_unmade(key);
        true
    }

    /// Checks those that are served now, by their pools' checks of now.
    fn follow(&mut self) {
        let now = clock::now();
        self.targets = targets(&self.shared);
        self.schedule.retain(|key| self.targets.contains_key(key));
        for (key, Target { check, digest, .. }) in &self.targets {
            let HealthCheck { interval, fast_interval, .. } = **check;
            let phase = fairlead_balance::hash(format!("{}/{}", key.0, key.1).as_bytes());
            self.schedule.set(key.clone(), *digest, Pace { interval, fast_interval, phase }, now);
        }
    }
}

/// Every backend with a check of ours. Records are kept of those whose checks are made elsewhere, too.
fn targets(shared: &Shared) -> HashMap<Key, Target> {
    let mut checked = Vec::new();
    let mut targets = HashMap::new();
    let state = shared.state();
    for pool in state.plan.iter().flat_map(|plan| &plan.pools) {
        let (Some(check), Some(members)) = (&pool.check, state.members.get(&pool.name)) else { continue };
        for backend in &members.shared.backends {
            let key = (Arc::clone(&pool.name), Arc::clone(&backend.id));
            checked.push(key.clone());
            if matches!(check.probe, Probe::Exec) {
                continue;
            }
            // It is about to move: once it has, this is looked at again.
            let Some(incarnation) = backend.incarnation() else { continue };
            // Once it has moved it is another check, also if it is back where it was a moment ago.
            let defined = format!("{:x} {:?} {incarnation}", check.digest, backend.address);
            let digest = fairlead_balance::hash(defined.as_bytes());
            let (check, address) = (Arc::clone(check), backend.address.clone());
            let tls = state.client_tls.get(&pool.name).map(|config| Secured {
                config: Arc::clone(config),
                server_name: Arc::clone(&backend.server_name),
            });
            targets.insert(key, Target { check, address, tls, incarnation, digest });
        }
    }
    drop(state);
    shared.checks.follow(checked.into_iter());
    targets
}
