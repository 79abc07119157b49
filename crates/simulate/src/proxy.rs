//! One request to its answer: a doer of the engine's deciders. What it tells them, and when, is what the engine tells them,
//! in its order (`crates/engine/src/proxy`).

use std::time::Duration;

use fairlead_balance::health::Report;
use fairlead_balance::{
    Action, Ask, Attempts, Breaking, Failure, Leaving, Means, NoBackend, Outcome, Random,
};

use crate::calendar::{Event, Limit};
use crate::clock::seconds;
use crate::effect::Door;
use crate::record::Cause;
use crate::request::{Arrival, Phase, Request};
use crate::server::{Finished, SHED, Taken, Task};
use crate::world::World;

impl World<'_> {
    /// A request comes.
    pub(crate) fn arrive(&mut self) {
        let now = self.clock.now();
        let arrival = Arrival {
            at: now,
            work: self.scenario.work.draw(&mut self.streams.work),
            key: self.crowd.next(&mut self.streams.clients),
            worker: self.record.came(self.scenario.workers),
        };
        let safe = self.streams.work.happens(self.scenario.safe);
        let policy = &self.subject.retry.policy;
        if policy.budget.is_some() {
            self.subject.pool.live.retries().request(self.clock.instant());
        }
        let Some(request) = self.requests.open(&arrival, Attempts::new(policy, safe)) else {
            self.record.failed(Cause::Named("more than 16 million at once"));
            return;
        };
        if let Some(whole) = self.subject.whole {
            let stamp = self.requests.of(request).stamp;
            self.calendar.limit(self.clock.after(whole), Limit::Request, request, stamp);
        }
        self.drive(request, Action::Send);
    }

    fn decide(&mut self, request: u32, outcome: Outcome) -> Action {
        let pool = self.subject.pool;
        let means = Means {
            budget: pool.live.retries(),
            now: self.clock.instant(),
            random: self.streams.waits.next_u64(),
            queues: pool.queue.is_some(),
        };
        self.requests.of_mut(request).attempts.next(outcome, &means)
    }

    /// Decides on what has become of a try, and does it.
    pub(crate) fn go_on(&mut self, request: u32, outcome: Outcome) {
        let action = self.decide(request, outcome);
        self.drive(request, action);
    }

    /// Does what was decided, until there is something to wait for.
    pub(crate) fn drive(&mut self, request: u32, mut action: Action) {
        loop {
            let outcome = match action {
                Action::Send => self.attempt(request).err(),
                Action::Queue => self.enqueue(request),
                Action::Wait(time) => {
                    let stamp = self.requests.of_mut(request).turn_to(Phase::Waiting);
                    self.calendar.add(self.clock.after(time), Event::TryAgain { request, stamp });
                    None
                }
                Action::Answer(failure) => {
                    self.fail(request, failure.into());
                    None
                }
                // Said only of tries that go on, and of answers that have begun or are here; those don't come to this.
                Action::Cut | Action::Pass | Action::Hedge | Action::Keep => {
                    self.fail(request, Failure::Reset.into());
                    None
                }
            };
            match outcome {
                Some(outcome) => action = self.decide(request, outcome),
                None => return,
            }
        }
    }

    fn attempt(&mut self, request: u32) -> Result<(), Outcome> {
        let member = self.pick(request).map_err(Outcome::NoneAvailable)?;
        self.send_to(request, member)
    }

    /// Takes a place at a backend that was not tried yet.
    pub(crate) fn pick(&mut self, request: u32) -> Result<usize, NoBackend> {
        loop {
            let own = self.requests.of_mut(request);
            let ask = Ask { tried: own.attempts.tried(), key: own.key };
            let member = self.members.pick(&ask, own.worker, &mut self.streams.picks, &self.clock)?;
            let live = &self.servers.of(self.members.server(member)).live;
            if self.subject.pool.breaker.is_none() {
                return Ok(member);
            }
            own.pass = live.admit();
            // Whose trial another request has taken meanwhile isn't picked again.
            if own.pass.is_some() {
                return Ok(member);
            }
            live.end_on(own.worker);
        }
    }

    /// A try with a member whose place is taken.
    pub(crate) fn send_to(&mut self, request: u32, member: usize) -> Result<(), Outcome> {
        let server = self.members.server(member);
        let own = self.requests.of_mut(request);
        (own.member, own.server) = (member, server);
        own.tries += 1;
        let further = own.tries > 1;
        let stamp = own.turn_to(Phase::Connecting);
        if let Some(limit) = self.subject.retry.per_try {
            self.calendar.limit(self.clock.after(limit), Limit::Try, request, stamp);
        }
        self.record.tried(server, further);
        let backend = self.servers.of_mut(server);
        backend.figures.tries += 1;
        backend.figures.most_in_flight = backend.figures.most_in_flight.max(backend.live.in_flight());
        if backend.idle > 0 && !self.requests.of(request).attempts.must_dial() {
            backend.idle -= 1;
        } else {
            match backend.door {
                Door::Open => {}
                Door::Refuses => return Err(self.not_connected(request, false)),
                Door::Unreachable => {
                    let due = self.clock.after(self.subject.pool.connect);
                    self.calendar.limit(due, Limit::Connect, request, stamp);
                    return Ok(());
                }
            }
        }
        self.send(request);
        Ok(())
    }

    fn send(&mut self, request: u32) {
        let now = self.clock.now();
        let own = self.requests.of_mut(request);
        own.phase = Phase::Answering;
        own.sent = now;
        let task = Task { request, stamp: own.stamp, work: own.work };
        let server = own.server;
        self.calendar.limit(self.clock.after(self.subject.response), Limit::Response, request, task.stamp);
        // On a connection that was kept: what is sent is lost, and nobody says so.
        if self.servers.of(server).door == Door::Unreachable {
            return;
        }
        match self.servers.take(server, task, now, &mut self.streams.faults) {
            Taken::Begun((job, ends)) => self.calendar.add(ends, Event::Finish { job }),
            Taken::InLine => {}
            Taken::Shed => self.answered(request, SHED),
        }
    }

    /// No connection came about.
    fn not_connected(&mut self, request: u32, timed_out: bool) -> Outcome {
        self.tell_breaker(request, true);
        self.failed(request);
        self.report(request, if timed_out { Report::TimedOut } else { Report::Refused });
        self.leave(request, false);
        Outcome::ConnectFailed { member: self.requests.of(request).member, timed_out }
    }

    /// A server may be done with a job.
    pub(crate) fn finish(&mut self, job: u32) {
        match self.servers.finish(job, self.clock.now(), &mut self.streams.faults) {
            Finished::Later(at) => self.calendar.add(at, Event::Finish { job }),
            Finished::Void => {}
            Finished::Done { server, task, status, next } => {
                if let Some((job, ends)) = next {
                    self.calendar.add(ends, Event::Finish { job });
                }
                let own = self.servers.of_mut(server);
                if !self.requests.of(task.request).is_awaited(task.stamp) {
                    own.figures.wasted += 1;
                } else if own.door != Door::Unreachable {
                    self.answered(task.request, status);
                }
            }
        }
    }

    /// The head of an answer is here.
    fn answered(&mut self, request: u32, status: u16) {
        let own = self.requests.of(request);
        let (member, server) = (own.member, own.server);
        let took = Duration::from_nanos(self.clock.now() - own.sent);
        let said = said(status);
        self.report(request, said);
        self.tell_breaker(request, status >= 500);
        // 503 is said of the backend's load; 429, of what one client asks for.
        if status == 503 {
            self.adapt(server, None);
        }
        self.observe(server, took);
        if said == Report::Answered {
            self.adapt(server, Some(took));
        }
        if self.subject.retry.policy.repeats_after(status) {
            let outcome = Outcome::Answered { member, status, request_replayable: true };
            match self.decide(request, outcome) {
                Action::Pass => {}
                Action::Wait(time) => {
                    let stamp = self.requests.of_mut(request).turn_to(Phase::Holding(status));
                    return self.calendar.add(self.clock.after(time), Event::TryAgain { request, stamp });
                }
                _ => return self.go_elsewhere(request, status),
            }
        }
        self.leave(request, true);
        self.end_with(request, status);
    }

    /// An answer that is to be tried again: where the request goes on. With nobody left it is the client's.
    fn go_elsewhere(&mut self, request: u32, status: u16) {
        let found = match self.pick(request) {
            Ok(member) => {
                self.leave(request, true);
                Some(member)
            }
            Err(none) => {
                let Request { server, member, .. } = *self.requests.of(request);
                let again = self.decide(request, Outcome::NoneAvailable(none)) == Action::Send;
                (again && self.admits_again(request, server)).then_some(member)
            }
        };
        match found.map(|member| self.send_to(request, member)) {
            Some(Ok(())) => {}
            Some(Err(outcome)) => self.go_on(request, outcome),
            None => {
                self.leave(request, true);
                self.end_with(request, status);
            }
        }
    }

    /// Whether the backend that has given an answer takes the request once more, in the place that it has.
    fn admits_again(&mut self, request: u32, server: u32) -> bool {
        let live = &self.servers.of(server).live;
        if !live.standing().is_open() {
            return false;
        }
        if self.subject.pool.breaker.is_some() {
            self.requests.of_mut(request).pass = live.admit();
            return self.requests.of(request).pass.is_some();
        }
        true
    }

    fn end_with(&mut self, request: u32, status: u16) {
        if status < FAILING {
            self.record.answered(self.clock.now() - self.requests.of(request).arrived);
            self.requests.close(request);
        } else {
            self.fail(request, Cause::Status(status));
        }
    }

    /// The server that worked on this died.
    pub(crate) fn broken(&mut self, task: Task) {
        let request = task.request;
        if !self.requests.of(request).is_awaited(task.stamp) {
            return;
        }
        self.tell_breaker(request, true);
        self.failed(request);
        self.report(request, Report::Reset);
        self.leave(request, false);
        let member = self.requests.of(request).member;
        let outcome = Outcome::Reset { member, reused: false, answer_begun: false, request_replayable: true };
        self.go_on(request, outcome);
    }

    /// A limit that was set has come, which means nothing if what it was for is over.
    pub(crate) fn limit(&mut self, limit: Limit, request: u32, stamp: u32) {
        let own = self.requests.of(request);
        let phase = own.phase;
        let current = own.stamp == stamp;
        let outcome = match (limit, phase) {
            (Limit::Connect | Limit::Try, Phase::Connecting) if current => self.not_connected(request, true),
            (Limit::Try, Phase::Answering) if current => {
                let server = own.server;
                self.tell_breaker(request, true);
                self.failed(request);
                self.adapt(server, None);
                self.report(request, Report::TimedOut);
                self.leave(request, false);
                Outcome::TryTimedOut { member: self.requests.of(request).member, request_replayable: true }
            }
            (Limit::Response, Phase::Answering) if current => {
                let (server, sent) = (own.server, own.sent);
                self.tell_breaker(request, true);
                self.report(request, Report::TimedOut);
                self.adapt(server, None);
                // It would have taken longer; that it took so long is known.
                self.observe(server, Duration::from_nanos(self.clock.now() - sent));
                self.leave(request, false);
                Outcome::TimedOut { answer_begun: false }
            }
            (Limit::Queue, Phase::Queued(ticket)) if current => {
                self.subject.pool.live.queue().leave(ticket, Leaving::TimedOut);
                return self.fail(request, Cause::Named("waited too long for room"));
            }
            (Limit::Request, phase) if own.is_still(stamp) => {
                match phase {
                    Phase::Queued(ticket) => {
                        self.subject.pool.live.queue().leave(ticket, Leaving::GivenUp);
                    }
                    Phase::Connecting | Phase::Answering => self.leave(request, false),
                    Phase::Holding(_) => self.leave(request, true),
                    Phase::Picking | Phase::Waiting | Phase::Over => {}
                }
                return self.fail(request, Cause::Named("request timeout"));
            }
            _ => return,
        };
        self.go_on(request, outcome);
    }

    pub(crate) fn try_again(&mut self, request: u32, stamp: u32) {
        let own = self.requests.of(request);
        match own.phase {
            _ if own.stamp != stamp => {}
            Phase::Holding(status) => self.go_elsewhere(request, status),
            _ => self.drive(request, Action::Send),
        }
    }

    pub(crate) fn fail(&mut self, request: u32, cause: Cause) {
        self.record.failed(cause);
        self.requests.close(request);
    }

    /// The place at the backend is given back, the connection kept if it is good.
    fn leave(&mut self, request: u32, good: bool) {
        let own = self.requests.of_mut(request);
        let server = self.servers.of_mut(own.server);
        if let Some(pass) = own.pass.take() {
            server.live.give_back(pass);
        }
        server.live.end_on(own.worker);
        if good && server.idle < self.subject.pool.idle.max {
            server.idle += 1;
        }
    }

    /// The try has ended like this, as far as the backend is to blame.
    fn report(&mut self, request: u32, report: Report) {
        let server = self.servers.of_mut(self.requests.of(request).server);
        server.figures.errors += u64::from(report.is_error());
        if let Some(passive) = &self.subject.pool.health.passive {
            self.watch.alarmed |= server.live.report(report, passive.consecutive_failures);
        }
    }

    /// What became of a try, for the backend's circuit breaker.
    fn tell_breaker(&mut self, request: u32, failed: bool) {
        let Some(policy) = self.subject.pool.breaker else { return };
        let own = self.requests.of_mut(request);
        let server = own.server;
        let Some(pass) = own.pass.take() else { return };
        let backend = self.servers.of_mut(server);
        let now = self.clock.now();
        let id = &self.subject.backends[server as usize].id;
        match backend.live.outcome(failed, pass, &policy, self.clock.instant()) {
            Breaking::Stays => {}
            Breaking::Closed => self.record.broke(now, id, ("open", "closed")),
            Breaking::Opened(phase) => {
                backend.opened = Some(phase);
                self.record.broke(now, id, ("closed", "open"));
                self.calendar.add(self.clock.after(policy.open), Event::HalfOpen { server });
            }
        }
    }

    /// A circuit breaker was open for long enough.
    pub(crate) fn half_open(&mut self, server: u32) {
        let backend = self.servers.of_mut(server);
        if let Some(phase) = backend.opened.take() {
            backend.live.half_open(phase);
        }
    }

    /// Where the limit of requests adapts: it was answered after this time, or as one of too many.
    fn adapt(&self, server: u32, answered: Option<Duration>) {
        if let Some((picker, member)) = self.members.known(server) {
            picker.adapt(member, answered, self.clock.instant());
        }
    }

    fn observe(&self, server: u32, took: Duration) {
        if let Some((picker, member)) = self.members.known(server) {
            picker.observe(member, took, self.clock.instant());
        }
    }

    /// It gave no answer at all.
    fn failed(&self, request: u32) {
        if let Some((picker, member)) = self.members.known(self.requests.of(request).server) {
            picker.failed(member, self.clock.instant());
        }
    }

    /// Where time is, of 1.
    pub(crate) fn part(&self) -> f64 {
        let by_time = seconds(self.clock.now()) * 1_000.0 / crate::record::float(self.scenario.duration_ms);
        self.scenario.requests.map_or(by_time, |most| by_time.max(self.record.part_of(most)))
    }
}

/// Answers from here on are failures to who asked.
const FAILING: u16 = 400;

/// What an answer says of its backend. 503 without Retry-After, which none of these have, is an error like others.
fn said(status: u16) -> Report {
    match status {
        429 => Report::Overloaded,
        500..=599 => Report::Errored,
        _ => Report::Answered,
    }
}
