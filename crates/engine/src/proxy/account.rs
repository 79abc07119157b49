//! What is remembered of a request until it is over, and then reported.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fairlead_wire::{Head, Known, Version};

use super::slot::Slot;
use fairlead_balance as balance;

use crate::clock;
use crate::http::failure::Failure;
use crate::published::{LocalListener, LocalMembers, LocalRoute};
use crate::telemetry::{Blame, Local, Record};
use crate::tls;

/// One request's figures.
#[derive(Default)]
pub(crate) struct Account {
    started: Option<Instant>,
    /// From the first byte of the request to the answer's head.
    first_byte: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    tries: u32,
    /// Of the final answer, whoever gave it; 0 while there is none.
    status: u16,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    failure: Option<Failure>,
    /// Why the last connection that wasn't made wasn't, where that was a matter of TLS.
    trouble: Option<tls::Trouble>,
    incomplete: bool,
    pub(crate) client: Option<IpAddr>,
    backend: Option<(Rc<LocalMembers>, usize)>,
}

impl Account {
    /// The request's first byte was seen at `now`; everything before is forgotten.
    pub(crate) fn begin(&mut self, now: Instant) {
        *self = Self { started: Some(now), ..Self::default() };
    }

    pub(crate) fn started(&self) -> Option<Instant> {
        self.started
    }

    /// Something of it may have been given to a backend.
    pub(crate) fn was_sent(&self) -> bool {
        self.tries > 0
    }

    /// It is sent to the backend of `slot`.
    pub(super) fn sent_to(&mut self, slot: &Slot) {
        self.tries += 1;
        self.backend = Some(slot.origin());
        slot.counters().requests.add(1);
    }

    /// It was the try at `slot` that counted, of two.
    pub(super) fn served_by(&mut self, slot: &Slot) {
        self.backend = Some(slot.origin());
    }

    /// A connection to a backend wasn't made, perhaps since there was no agreement on TLS.
    pub(super) fn distrusted(&mut self, trouble: Option<tls::Trouble>) {
        self.trouble = trouble;
    }

    /// The same failure, with what is known of why.
    pub(super) fn explained(&self, failure: balance::Failure) -> Failure {
        match (failure, self.trouble) {
            (balance::Failure::ConnectRefused | balance::Failure::ConnectTimedOut, Some(trouble)) => {
                Failure::insecure(trouble)
            }
            _ => failure.into(),
        }
    }

    /// The head of a final answer is there.
    pub(crate) fn answered(&mut self, status: u16, now: Instant) {
        self.status = status;
        self.first_byte = self.started.map(|started| now.saturating_duration_since(started));
    }

    /// Its answer was begun and could not be ended.
    pub(crate) fn undelivered(&mut self) {
        self.incomplete = true;
    }

    /// It failed before anything of an answer was given to the client, whatever a backend said.
    pub(crate) fn refused(&mut self, failure: Failure) {
        self.status = failure.status;
        self.failure = Some(failure);
    }

    /// Its answer was cut. The client has seen its status.
    pub(super) fn cut(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.undelivered();
    }

    /// Reports the request and forgets it.
    pub(crate) fn close(
        &mut self,
        telemetry: &Local,
        listener: &LocalListener,
        route: Option<&LocalRoute>,
        head: &Head,
        request_id: &[u8],
    ) {
        let now = clock::now();
        let started = self.started.unwrap_or(now);
        let backend = self.backend.as_ref().map(|(members, index)| &*members.shared.backends[*index]);
        telemetry.request(&Record {
            listener,
            route,
            backend,
            client: self.client,
            method: head.method(),
            path: head.path_and_query(),
            protocol: match head.version() {
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
                Version::Http2 => "HTTP/2.0",
            },
            host: head.authority(),
            status: self.status,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            duration: now.saturating_duration_since(started),
            ttfb: self.first_byte,
            upstream_connect: self.connect,
            tries: self.tries,
            request_id,
            reason: self.failure.map_or("", |failure| failure.reason),
            blame: self.failure.map_or(Blame::None, |failure| failure.blame),
            user_agent: head.known(Known::UserAgent).unwrap_or_default(),
            referer: head.known(Known::Referer).unwrap_or_default(),
            incomplete: self.incomplete,
        });
        *self = Self::default();
    }
}
