//! What a try says of its backend, told to everybody in the engine who wants to know, and the end of its place there.

use std::time::Duration;

use fairlead_balance::Breaking;
use fairlead_balance::health::Report;

use crate::calendar::Event;
use crate::request::Place;
use crate::world::World;

/// Why a try got no answer, as far as its backend is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// No connection came about.
    NotConnected { timed_out: bool },
    /// It took longer than a single try may.
    TryTimedOut,
    /// No answer came in time.
    TimedOut,
    /// The server died.
    Broken,
}

impl World<'_> {
    /// A try has failed, and its place is given back.
    pub(crate) fn lose(&mut self, request: u32, place: Place, blame: Blame) {
        let Place { server, sent, .. } = place;
        let place = self.tell_breaker(place, true);
        match blame {
            Blame::NotConnected { timed_out } => {
                self.failed(server);
                self.report(server, if timed_out { Report::TimedOut } else { Report::Refused });
            }
            Blame::TryTimedOut => {
                self.failed(server);
                self.adapt(server, None);
                self.report(server, Report::TimedOut);
            }
            Blame::TimedOut => {
                self.report(server, Report::TimedOut);
                self.adapt(server, None);
                // It would have taken longer; that it took so long is known.
                self.observe(server, Duration::from_nanos(self.clock.now() - sent));
            }
            Blame::Broken => {
                self.failed(server);
                self.report(server, Report::Reset);
            }
        }
        self.leave(request, place, false);
    }

    /// The head of an answer is here. What the circuit breaker let in is settled.
    pub(crate) fn tell_answer(&mut self, place: Place, status: u16, took: Duration) -> Place {
        let said = said(status);
        self.report(place.server, said);
        let place = self.tell_breaker(place, status >= 500);
        // 503 is said of the backend's load; 429, of what one client asks for.
        if status == 503 {
            self.adapt(place.server, None);
        }
        self.observe(place.server, took);
        if said == Report::Answered {
            self.adapt(place.server, Some(took));
        }
        place
    }

    /// The place at the backend is given back, the connection kept if it is good.
    pub(crate) fn leave(&mut self, request: u32, place: Place, good: bool) {
        let server = self.servers.of_mut(place.server);
        if let Some(pass) = place.pass {
            server.live.give_back(pass);
        }
        server.live.end_on(self.requests.of(request).worker);
        if good && server.idle < self.subject.pool.idle.max {
            server.idle += 1;
        }
    }

    /// The try has ended like this, as far as the backend is to blame.
    fn report(&mut self, server: u32, report: Report) {
        let backend = self.servers.of_mut(server);
        backend.figures.errors += u64::from(report.is_error());
        if let Some(passive) = &self.subject.pool.health.passive {
            self.watch.alarmed |= backend.live.report(report, passive.consecutive_failures);
        }
    }

    /// What became of a try, for the backend's circuit breaker, which then has nothing more to get back.
    fn tell_breaker(&mut self, place: Place, failed: bool) -> Place {
        let (Some(policy), Some(pass)) = (self.subject.pool.breaker, place.pass) else { return place };
        let server = place.server;
        let backend = self.servers.of_mut(server);
        let now = self.clock.now();
        let id = &self.subject.backends[server as usize].id;
        match backend.live.outcome(failed, pass, &policy, self.clock.instant()) {
            Breaking::Stays => {}
            Breaking::Closed => self.record.broke(now, id, ("open", "closed")),
            Breaking::Opened(phase) => {
                self.record.broke(now, id, ("closed", "open"));
                if backend.opened.replace(phase).is_none() {
                    self.calendar.add(self.clock.after(policy.open), Event::Tend { server });
                }
            }
        }
        Place { pass: None, ..place }
    }

    /// Something may be due to a circuit breaker that has opened.
    pub(crate) fn tend(&mut self, server: u32) {
        let backend = self.servers.of_mut(server);
        let (Some(phase), Some(policy)) = (backend.opened, self.subject.pool.breaker) else { return };
        match backend.live.tend(phase, policy.open, self.clock.instant()) {
            Some(wait) => self.calendar.add(self.clock.after(wait), Event::Tend { server }),
            None => backend.opened = None,
        }
    }

    /// Where the limit of requests adapts: it was answered after this time, or as one of too many.
    fn adapt(&self, server: u32, answered: Option<Duration>) {
        if let Some((picker, member)) = self.members.known(server) {
            picker.adapt(member, answered, self.clock.instant());
        }
    }

    pub(crate) fn observe(&self, server: u32, took: Duration) {
        if let Some((picker, member)) = self.members.known(server) {
            picker.observe(member, took, self.clock.instant());
        }
    }

    /// It gave no answer at all.
    fn failed(&self, server: u32) {
        if let Some((picker, member)) = self.members.known(server) {
            picker.failed(member, self.clock.instant());
        }
    }
}

/// What an answer says of its backend. 503 without Retry-After, which none of these have, is an error like others.
fn said(status: u16) -> Report {
    match status {
        429 => Report::Overloaded,
        503 => Report::Unavailable,
        500..=599 => Report::Errored,
        _ => Report::Answered,
    }
}
