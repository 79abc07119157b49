//! What came of a handshake with a backend: counted, and told where it is news.

use super::slot::Slot;
use crate::telemetry::What;
use crate::tls::{LocalTls, Trouble};
use crate::upstream::Connection;
use crate::worker::Worker;

impl LocalTls {
    /// There was one with the backend of `slot`.
    pub(crate) fn shook(&self, slot: &Slot, connection: &Connection) {
        let Some(facts) = connection.stream.tls() else { return };
        slot.counters().tls().completed(facts.kind);
        self.shared.note(&slot.backend().id, None);
    }

    /// There was none. Said when it is another reason than the last: it may be so a thousand times a second.
    pub(crate) fn failed(&self, slot: &Slot, trouble: Trouble, pool: &str, worker: &Worker) {
        slot.counters().tls().failed(trouble.failed());
        let backend = slot.backend();
        if self.shared.note(&backend.id, Some(trouble)) {
            worker.shared.events.push(What::BackendTlsFailed {
                pool: pool.to_owned(),
                backend: backend.id.to_string(),
                reason: trouble.told(&backend.server_name),
            });
        }
    }
}
