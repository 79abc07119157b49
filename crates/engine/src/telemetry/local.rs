//! A worker's own telemetry: where a request is reported when it is over.

use std::rc::Rc;

use super::access_log::Batch;
use super::counters::Ended;
use super::record::Record;

/// One a worker.
pub(crate) struct Local {
    log: Rc<Batch>,
}

impl Local {
    pub(crate) fn new(log: Rc<Batch>) -> Self {
        Self { log }
    }

    /// Counts a request that is over, and logs it where that is asked for.
    pub(crate) fn request(&self, record: &Record<'_>) {
        let listener = &record.listener.counters;
        listener.codes.count(record.status);
        listener.bytes_in.add(record.request_bytes);
        listener.bytes_out.add(record.response_bytes);
        listener.duration.record(record.duration);
        if record.incomplete {
            listener.incomplete.add(1);
        }
        let logged = if let Some(route) = record.route {
            route.counters.codes.count(record.status);
            route.plan.access_log
        } else {
            listener.unrouted.count(record.status);
            true
        };
        if logged {
            self.log.request(record);
        }
    }

    /// Counts a session that is over, and logs it where that is asked for. Its bytes were counted when they moved.
    pub(crate) fn session(&self, record: &Record<'_>, ended: Ended) {
        let listener = &record.listener.counters;
        let sessions = listener.sessions();
        sessions.ended.count(ended);
        listener.duration.record(record.duration);
        if let Some(connect) = record.upstream_connect {
            sessions.connect.record(connect);
        }
        if record.route.is_none_or(|route| route.plan.access_log) {
            self.log.request(record);
        }
    }

    /// The worker's part of the access log.
    pub(crate) fn log(&self) -> &Rc<Batch> {
        &self.log
    }
}
