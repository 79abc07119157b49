//! One request to its answer: a doer of the engine's deciders. What it tells them, and when, is what the engine tells them,
//! in its order (`crates/engine/src/proxy`).

use std::time::Duration;

use fairlead_balance::{Action, Ask, Attempts, Failure, Leaving, Means, NoBackend, Outcome, Random};

use crate::calendar::{Event, Limit};
use crate::clock::seconds;
use crate::effect::Door;
use crate::record::Cause;
use crate::request::{Arrival, Phase, Place, Request};
use crate::server::{Finished, SHED, Taken, Task};
use crate::telling::Blame;
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
            safe: self.streams.work.happens(self.scenario.safe),
        };
        let policy = &self.subject.retry.policy;
        if policy.budget.is_some() {
            self.subject.pool.live.retries().request(self.clock.instant());
        }
        let Some(request) = self.requests.open(&arrival, Attempts::new(policy, arrival.safe)) else {
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
        let place = self.pick(request).map_err(Outcome::NoneAvailable)?;
        self.send_to(request, place)
    }

    /// Takes a place at a backend that was not tried yet.
    pub(crate) fn pick(&mut self, request: u32) -> Result<Place, NoBackend> {
        loop {
            let own = self.requests.of(request);
            let ask = Ask { tried: own.attempts.tried(), key: own.key };
            let member = self.members.pick(&ask, own.worker, &mut self.streams.picks, &self.clock)?;
            let server = self.members.server(member);
            let place = Place { member, server, sent: 0, pass: None };
            if let Some(admitted) = self.admitted(place) {
                return Ok(admitted);
            }
            // Whose trial another request has taken meanwhile isn't picked again.
            self.leave(request, place, false);
        }
    }

    /// A place with what the backend's circuit breaker lets in, if it does.
    fn admitted(&self, place: Place) -> Option<Place> {
        if self.subject.pool.breaker.is_none() {
            return Some(place);
        }
        let pass = self.servers.of(place.server).live.admit(self.clock.instant());
        pass.map(|pass| Place { pass: Some(pass), ..place })
    }

    /// A try in a place that is taken.
    pub(crate) fn send_to(&mut self, request: u32, place: Place) -> Result<(), Outcome> {
        let own = self.requests.of_mut(request);
        own.place = place;
        own.tries += 1;
        let further = own.tries > 1;
        let must_dial = own.attempts.must_dial();
        let stamp = own.turn_to(Phase::Connecting);
        if let Some(limit) = self.subject.retry.per_try {
            self.calendar.limit(self.clock.after(limit), Limit::Try, request, stamp);
        }
        self.count_try(place.server, further);
        match self.connect(place.server, must_dial) {
            Some(true) => self.send(request),
            Some(false) => return Err(self.not_connected(request, false)),
            None => {
                let due = self.clock.after(self.subject.pool.connect);
                self.calendar.limit(due, Limit::Connect, request, stamp);
            }
        }
        Ok(())
    }

    pub(crate) fn count_try(&mut self, server: u32, further: bool) {
        self.record.tried(server, further);
        let backend = self.servers.of_mut(server);
        backend.figures.tries += 1;
        backend.figures.most_in_flight = backend.figures.most_in_flight.max(backend.live.in_flight());
    }

    /// Whether there is a connection to a server: one that was kept, or a new one. `None`: nobody says so.
    pub(crate) fn connect(&mut self, server: u32, must_dial: bool) -> Option<bool> {
        let backend = self.servers.of_mut(server);
        if backend.idle > 0 && !must_dial {
            backend.idle -= 1;
            return Some(true);
        }
        match backend.door {
            Door::Open => Some(true),
            Door::Refuses => Some(false),
            Door::Unreachable => None,
        }
    }

    fn send(&mut self, request: u32) {
        let now = self.clock.now();
        let own = self.requests.of_mut(request);
        own.phase = Phase::Answering;
        own.place.sent = now;
        let task = Task { request, stamp: own.stamp, work: own.work };
        let server = own.place.server;
        self.calendar.limit(self.clock.after(self.subject.response), Limit::Response, request, task.stamp);
        self.expect_hedge(request);
        if let Some(status) = self.hand_over(server, task) {
            self.answered(request, status);
        }
    }

    /// A task comes to a server. The status, if it is answered at once.
    pub(crate) fn hand_over(&mut self, server: u32, task: Task) -> Option<u16> {
        // On a connection that was kept: what is sent is lost, and nobody says so.
        if self.servers.of(server).door == Door::Unreachable {
            return None;
        }
        match self.servers.take(server, task, self.clock.now(), &mut self.streams.faults) {
            Taken::Begun((job, ends)) => {
                self.calendar.add(ends, Event::Finish { job });
                None
            }
            Taken::InLine => None,
            Taken::Shed => Some(SHED),
        }
    }

    /// No connection came about.
    fn not_connected(&mut self, request: u32, timed_out: bool) -> Outcome {
        let place = self.requests.of(request).place;
        self.lose(request, place, Blame::NotConnected { timed_out });
        Outcome::ConnectFailed { member: place.member, timed_out }
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
                self.done(server, task, status);
            }
        }
    }

    /// A server has an answer, which somebody may wait for still.
    fn done(&mut self, server: u32, task: Task, status: u16) {
        let Task { request, stamp, .. } = task;
        let own = self.requests.of(request);
        let (first, second) = (own.is_awaited(stamp), own.is_beside(stamp));
        let backend = self.servers.of_mut(server);
        if !first && !second {
            backend.figures.wasted += 1;
        } else if backend.door == Door::Unreachable {
            // It is lost on its way.
        } else if first {
            self.answered(request, status);
        } else {
            self.second_answers(request, status);
        }
    }

    /// The head of an answer is here.
    pub(crate) fn answered(&mut self, request: u32, status: u16) {
        self.drop_second(request);
        let Request { place, hedgeable, .. } = *self.requests.of(request);
        let took = Duration::from_nanos(self.clock.now() - place.sent);
        let place = self.tell_answer(place, status, took);
        self.requests.of_mut(request).place = place;
        if hedgeable {
            self.subject.pool.live.hedging().observe(took);
        }
        if self.subject.retry.policy.repeats_after(status) {
            let outcome = Outcome::Answered { member: place.member, status, request_replayable: true };
            match self.decide(request, outcome) {
                Action::Pass => {}
                Action::Wait(time) => {
                    let stamp = self.requests.of_mut(request).turn_to(Phase::Holding(status));
                    return self.calendar.add(self.clock.after(time), Event::TryAgain { request, stamp });
                }
                _ => return self.go_elsewhere(request, status),
            }
        }
        self.leave(request, place, true);
        self.end_with(request, status);
    }

    /// An answer that is to be tried again: where the request goes on. With nobody left it is the client's.
    fn go_elsewhere(&mut self, request: u32, status: u16) {
        let before = self.requests.of(request).place;
        let found = match self.pick(request) {
            Ok(place) => {
                self.leave(request, before, true);
                Some(place)
            }
            Err(none) => {
                let again = self.decide(request, Outcome::NoneAvailable(none)) == Action::Send;
                let is_open = self.servers.of(before.server).live.standing().is_open();
                // In the place that it has.
                if again && is_open { self.admitted(before) } else { None }
            }
        };
        match found.map(|place| self.send_to(request, place)) {
            Some(Ok(())) => {}
            Some(Err(outcome)) => self.go_on(request, outcome),
            None => {
                self.leave(request, before, true);
                self.end_with(request, status);
            }
        }
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
        let Task { request, stamp, .. } = task;
        let own = self.requests.of(request);
        let Request { place, beside, .. } = *own;
        if own.is_beside(stamp) {
            return self.second_fails(request, Blame::Broken);
        }
        if !own.is_awaited(stamp) {
            return;
        }
        self.lose(request, place, Blame::Broken);
        let member = place.member;
        let outcome = Outcome::Reset { member, reused: false, answer_begun: false, request_replayable: true };
        if beside.is_some() {
            self.requests.of_mut(request).fallen = Some(outcome);
        } else {
            self.go_on(request, outcome);
        }
    }

    /// A limit that was set has come, which means nothing if what it was for is over.
    pub(crate) fn limit(&mut self, limit: Limit, request: u32, stamp: u32) {
        let own = self.requests.of(request);
        let Request { phase, place, beside, .. } = *own;
        let current = own.stamp == stamp;
        let outcome = match (limit, phase) {
            (Limit::Connect, _)
                if beside.is_some_and(|beside| beside.connecting && beside.stamp == stamp) =>
            {
                return self.second_fails(request, Blame::NotConnected { timed_out: true });
            }
            (Limit::Connect | Limit::Try, Phase::Connecting) if current => self.not_connected(request, true),
            (Limit::Try, Phase::Answering) if current => {
                self.give_up(request, Blame::TryTimedOut);
                Outcome::TryTimedOut { member: place.member, request_replayable: true }
            }
            (Limit::Response, Phase::Answering) if current => {
                self.give_up(request, Blame::TimedOut);
                Outcome::TimedOut { answer_begun: false }
            }
            (Limit::Queue, Phase::Queued(ticket)) if current => {
                self.subject.pool.live.queue().leave(ticket, Leaving::TimedOut);
                return self.fail(request, Cause::Named("waited too long for room"));
            }
            (Limit::Request, _) if own.is_still(stamp) => return self.out_of_time(request),
            _ => return,
        };
        self.go_on(request, outcome);
    }

    /// A try has taken too long, and one beside it isn't waited for either.
    fn give_up(&mut self, request: u32, blame: Blame) {
        self.drop_second(request);
        let own = self.requests.of_mut(request);
        let place = own.place;
        if own.fallen.take().is_none() {
            self.lose(request, place, blame);
        }
    }

    /// The request has taken longer than it may in all.
    fn out_of_time(&mut self, request: u32) {
        self.drop_second(request);
        let own = self.requests.of_mut(request);
        let place = own.place;
        match own.phase {
            Phase::Queued(ticket) => self.subject.pool.live.queue().leave(ticket, Leaving::GivenUp),
            Phase::Connecting | Phase::Answering if own.fallen.take().is_none() => {
                self.leave(request, place, false);
            }
            Phase::Holding(_) => self.leave(request, place, true),
            _ => {}
        }
        self.fail(request, Cause::Named("request timeout"));
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

    /// Where time is, of 1.
    pub(crate) fn part(&self) -> f64 {
        let by_time = seconds(self.clock.now()) * 1_000.0 / crate::record::float(self.scenario.duration_ms);
        self.scenario.requests.map_or(by_time, |most| by_time.max(self.record.part_of(most)))
    }
}

/// Answers from here on are failures to who asked.
const FAILING: u16 = 400;
