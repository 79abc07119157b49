//! What an engine is started with and can't change while it lives.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fairlead_plan::spec::BindAddress;
use serde::{Deserialize, Serialize};

use crate::error::StartError;

/// A worker costs a thread and a share of every listening queue.
const MAX_WORKERS: usize = 1024;

/// What an engine is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where `engine.sock`, `admin.sock` and the lock are; `None`: an engine within another program has none of them.
    pub directory: Option<PathBuf>,
    /// Threads that serve; at least 1.
    pub workers: usize,
    /// TCP addresses of the admin interface, beside its socket.
    pub admin_binds: Vec<BindAddress>,
    /// The user to become after the first Plan's addresses are bound.
    pub user: Option<String>,
    /// Where `ready` is written when the engine can be spoken to; closed afterwards.
    pub ready_fd: Option<i32>,
    /// What the engine says on its standard error.
    pub log_level: LogLevel,
    /// What else the control process was started with and may not change: told back to the one that adopts this engine.
    #[serde(default)]
    pub started_with: BTreeMap<String, String>,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What changes.
    Info,
    /// What may need a hand.
    Warning,
    /// What does.
    Error,
}

impl Settings {
    /// An engine within this program.
    #[must_use]
    pub fn in_process(workers: usize) -> Self {
        Self {
            directory: None,
            workers,
            admin_binds: Vec::new(),
            user: None,
            ready_fd: None,
            log_level: LogLevel::Info,
            started_with: BTreeMap::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        if !(1..=MAX_WORKERS).contains(&self.workers) {
            return Err(StartError::new(format_args!("runtime.workers: must be 1 to {MAX_WORKERS}")));
        }
        Ok(())
    }
}
