//! What is remembered of a session until it is over, and then reported.

use std::rc::Rc;
use std::time::{Duration, Instant};

use fairlead_balance::health::Report;
use fairlead_plan::Pool;

use super::session::Client;
use crate::clock;
use crate::proxy::breaking::{self, Became};
use crate::proxy::slot::Slot;
use crate::published::{LocalMembers, LocalRoute};
use crate::telemetry::{End, Record};
use crate::tls;
use crate::worker::Worker;

/// What became of the try of `slot`, as far as its backend is to blame; told once for each try.
pub(crate) fn judge(worker: &Rc<Worker>, slot: &Slot, report: Report, pool: &Pool) {
    let became = if report == Report::Answered { Became::Answered } else { Became::Failed };
    breaking::say(became, slot, pool, worker);
    slot.say(report, pool, worker);
}

/// One session's figures.
pub(super) struct Account {
    started: Instant,
    /// Connecting took so long.
    connect: Option<Duration>,
    tries: u32,
    pub(super) up: u64,
    pub(super) down: u64,
    pub(super) route: Option<LocalRoute>,
    backend: Option<(Rc<LocalMembers>, usize)>,
    /// Why the last connection that wasn't made wasn't, where that was a matter of TLS.
    pub(super) trouble: Option<tls::Trouble>,
}

impl Account {
    pub(super) fn begin(now: Instant) -> Self {
        Self {
            started: now,
            connect: None,
            tries: 0,
            up: 0,
            down: 0,
            route: None,
            backend: None,
            trouble: None,
        }
    }

    /// The backend of `slot` is asked to take it.
    pub(super) fn tried(&mut self, slot: &Slot) {
        self.tries += 1;
        self.backend = Some(slot.origin());
    }

    /// It took it.
    pub(super) fn connected(&mut self, took: Duration) {
        self.connect = Some(took);
    }

    /// Reports the session.
    pub(super) fn close(self, client: &Client, end: End) {
        let listener = client.guard.listener().current();
        if let (Some((members, index)), Some(_)) = (&self.backend, self.connect) {
            members.counters[*index].session(end.ended);
        }
        let backend = self.backend.as_ref().map(|(members, index)| &*members.shared.backends[*index]);
        let record = Record {
            listener: &listener,
            route: self.route.as_ref(),
            backend,
            client: client.address(),
            method: b"",
            path: b"",
            protocol: "TCP",
            host: client.name.as_ref().map(|name| name.as_str().as_bytes()).unwrap_or_default(),
            status: 0,
            request_bytes: self.up,
            response_bytes: self.down,
            duration: clock::now().saturating_duration_since(self.started),
            ttfb: None,
            upstream_connect: self.connect,
            tries: self.tries,
            request_id: b"",
            reason: end.reason,
            blame: end.blame,
            user_agent: b"",
            referer: b"",
            incomplete: false,
        };
        client.worker.telemetry.session(&record, end.ended);
    }
}
