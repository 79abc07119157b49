//! What came of the checks of each backend.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::Notify;

use super::Finding;
use crate::telemetry::Key;

/// What came of the checks of every backend that is checked.
#[derive(Default)]
pub(crate) struct Checks {
    /// What is checked has changed.
    pub(super) changed: Notify,
    records: Mutex<HashMap<Key, Record>>,
}

/// What came of the checks of one backend.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Those that weren't made, since we were short of something.
    pub(crate) unmade: u64,
    pub(crate) last: Option<(Finding, SystemTime)>,
}

impl Checks {
    /// What is known of a backend, if it is checked.
    pub(crate) fn of(&self, backend: &Key) -> Option<Record> {
        self.records().get(backend).cloned()
    }

    /// What is known of all.
    pub(crate) fn all(&self) -> Vec<(Key, Record)> {
        self.records().iter().map(|(backend, record)| (backend.clone(), record.clone())).collect()
    }

    /// A backend that is checked has a result. It may be known here only from it: who is checked is followed a moment later.
    pub(super) fn note(&self, backend: &Key, finding: Finding, at: SystemTime) {
        let mut records = self.records();
        let record = records.entry(backend.clone()).or_default();
        *(if finding.good { &mut record.passed } else { &mut record.failed }) += 1;
        record.last = Some((finding, at));
    }

    pub(super) fn note_unmade(&self, backend: &Key) {
        if let Some(record) = self.records().get_mut(backend) {
            record.unmade += 1;
        }
    }

    /// Keeps records of these backends and of no others.
    pub(super) fn follow(&self, backends: impl Iterator<Item = Key>) {
        let mut records = self.records();
        let mut before = std::mem::take(&mut *records);
        records.extend(backends.map(|backend| {
            let record = before.remove(&backend).unwrap_or_default();
            (backend, record)
        }));
    }

    /// A panic elsewhere can't leave a record half-written in a way that matters: a count is one less.
    fn records(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
