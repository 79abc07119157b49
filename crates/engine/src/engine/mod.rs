//! The engine: what the control process, a library user or a test speaks to.
//!
//! Every change is prepared (nothing that is served is touched, any failure undoes all), published (each worker switches
//! between two turns of its loop) and acknowledged (when all have).

mod affinity;
mod apply;
mod connections;
mod draining;
mod health;
mod operator;
mod secrets;
mod service;
mod settings;
mod shared;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fairlead_plan::spec::{Members, Spec};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::{CallError, StartError};
use crate::probe::CheckResult;
use crate::telemetry::{self, Event, Stats};
use crate::tls::Secrets;
use crate::unix::{self, User};

pub use affinity::{Changes, Entries, Key, Said, StoreState};
pub use apply::Applied;
pub(crate) use apply::bound_addresses;
pub(crate) use connections::Question;
pub use connections::{Connected, ConnectionStats, Doing, Wanted};
pub use health::Verdicts;
pub use operator::{Mode, Setting};
pub use settings::{LogLevel, Settings};

pub(crate) use service::Endpoints;
pub(crate) use shared::{ServedListener, Shared, State};

/// Something to do that is no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Open the access log's file anew: it was moved away.
    ReopenLogs {},
    /// Accept no more, let open requests finish, cut what is left after this time, and end.
    Stop {
        /// Milliseconds from now; 0 is at once.
        deadline_ms: u64,
    },
}

/// An engine within this program. Dropping it stops it at once.
pub struct Engine {
    shared: Arc<Shared>,
    service: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Starts an engine. It accepts nothing before its first Plan.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        if settings.user.is_some() {
            return Err(StartError::new(
                "runtime.user: only an engine with a process of its own can change its user",
            ));
        }
        settings.check()?;
        let shared = Shared::new(settings);
        let endpoints = Endpoints::open(&shared)?;
        let served = Arc::clone(&shared);
        let service = std::thread::Builder::new()
            .name("fairlead-svc".into())
            .spawn(move || service::run(&served, endpoints, false))
            .map_err(|error| StartError::new(format_args!("no thread: {error}")))?;
        Ok(Self { shared, service: Mutex::new(Some(service)) })
    }

    /// Serves by this configuration from now on, or says everything that is wrong with it and changes nothing.
    pub fn apply(&self, spec: &Spec) -> Result<Applied, CallError> {
        self.shared.apply(spec)
    }

    /// Takes the certificates and keys that listeners ask for; those of a configuration before it. To be called before a
    /// configuration that names new ones, and whenever some of them were renewed.
    pub fn secrets(&self, secrets: &Secrets) -> Result<(), CallError> {
        self.shared.secrets(secrets)
    }

    /// Replaces who is in a resolved pool. A pool that isn't there and an old list are ignored and counted.
    pub fn members(&self, members: Members) -> Result<(), CallError> {
        self.shared.members(members)
    }

    /// Tells what the checks of an engine before this one said: it stands until their first results. To be called before the
    /// first Plan is applied.
    pub fn restore(&self, verdicts: Verdicts) {
        self.shared.restore(verdicts);
    }

    /// Takes what a check found that was made elsewhere. `true`: more results are wanted soon.
    pub fn checked(&self, result: CheckResult) -> bool {
        self.shared.told(result)
    }

    /// Takes what other nodes say of pools' clients.
    pub fn affinity(&self, said: &Said) {
        self.shared.affinity(said);
    }

    /// What other nodes are to know of pools' clients, since this was asked last.
    #[must_use]
    pub fn affinity_changes(&self) -> Vec<Changes> {
        self.shared.affinity_changes()
    }

    /// Does what an operator wants of a backend. One that isn't there is ignored and counted.
    pub fn set(&self, setting: &Setting) -> Result<(), CallError> {
        self.shared.set(setting)
    }

    /// The open connections of clients that are wanted.
    pub fn connections(&self, wanted: &Wanted) -> Result<Connected, CallError> {
        self.shared.connections(wanted)
    }

    /// Does something that is no configuration.
    pub fn command(&self, command: Command) {
        self.shared.command(command);
    }

    /// What goes on now; with every route if asked for.
    #[must_use]
    pub fn stats(&self, routes: bool) -> Stats {
        telemetry::collect(&self.shared, routes)
    }

    /// The metrics page.
    #[cfg(test)]
    pub(crate) fn metrics(&self) -> String {
        telemetry::render(&self.shared)
    }

    /// The next event, waiting for it up to `timeout`.
    #[must_use]
    pub fn next_event(&self, timeout: Duration) -> Option<Event> {
        self.shared.events.next(timeout)
    }

    /// Stops: no new connections, open requests finish, what is left after `patience` is cut. Returns when all is over.
    pub fn stop(&self, patience: Duration) {
        self.shared.request_stop(clock::now() + patience);
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(service) = service {
            let _ = service.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// Is an engine: the process' whole life, on the calling thread. Returns when it was told to stop, by its channel or by
/// SIGTERM; a second SIGTERM stops at once.
pub fn serve(settings: Settings) -> Result<(), StartError> {
    settings.check()?;
    if settings.directory.is_none() {
        return Err(StartError::new("runtime.directory: an engine process needs one"));
    }
    if let Some(name) = &settings.user {
        User::named(name).map_err(|error| StartError::new(format_args!("runtime.user: {error}")))?;
    }
    unix::ignore_terminal_signals();
    unix::disable_huge_pages();
    let shared = Shared::new(settings);
    let endpoints = Endpoints::open(&shared)?;
    service::run(&shared, endpoints, true);
    Ok(())
}

impl Shared {
    pub(crate) fn command(&self, command: Command) {
        match command {
            Command::ReopenLogs {} => self.log.reopen(),
            Command::Stop { deadline_ms } => {
                self.request_stop(clock::now() + Duration::from_millis(deadline_ms));
            }
        }
    }
}
