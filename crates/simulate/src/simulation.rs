//! The way in, and the loop over what happens.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_balance::{Live, RetryPolicy};
use fairlead_plan::spec::Spec;
use fairlead_plan::{Plan, Retry, SpecError};

use crate::calendar::{Calendar, Due, Event};
use crate::clients::Crowd;
use crate::clock::{Clock, nanos, nanos_of_ms};
use crate::membership::Members;
use crate::rate::Rate;
use crate::record::Record;
use crate::report::Report;
use crate::request::Requests;
use crate::scenario::Scenario;
use crate::server::Servers;
use crate::waiting::Woken;
use crate::watch::Watch;
use crate::world::{Streams, Subject, World};

/// What is to be simulated.
#[derive(Clone, Copy, Debug)]
pub struct Simulation<'a> {
    /// A configuration, as the engine gets it.
    pub spec: &'a Spec,
    /// The pool of it that requests go to, by the first route that leads there.
    pub pool: &'a str,
    /// What happens.
    pub scenario: &'a Scenario,
    /// The same one gives the same result.
    pub seed: u64,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The engine wouldn't take the configuration.
    Spec(Vec<SpecError>),
    /// It has no such pool.
    NoPool,
    /// What is wrong with the scenario.
    Scenario(&'static str),
    /// Whoever is told of the progress wants no more.
    Stopped,
}

impl fmt::Display for Refused {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec(errors) => {
                let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
                to.write_str(&lines.join("\n"))
            }
            Self::NoPool => to.write_str("there is no such pool"),
            Self::Scenario(fault) => to.write_str(fault),
            Self::Stopped => to.write_str("stopped"),
        }
    }
}

impl std::error::Error for Refused {}

/// The engine's, where no route leads to a pool.
const RESPONSE: Duration = Duration::from_mins(1);

/// Between two times that somebody is told how far it is.
const STRIDE: u32 = 1 << 15;

impl Simulation<'_> {
    /// Runs it. Time is counted from `base`, whose value plays no part. `progress` is told now and then how much is done, of
    /// 1, and says whether to go on.
    pub fn run(&self, base: Instant, progress: &mut dyn FnMut(f64) -> bool) -> Result<Report, Refused> {
        let live = Live::new();
        let plan = Plan::build(self.spec, &live).map_err(Refused::Spec)?;
        let index = plan.pools.iter().position(|pool| &*pool.name == self.pool).ok_or(Refused::NoPool)?;
        let backends = &self.spec.pools[index].backends;
        if let Some(fault) = self.scenario.fault(backends.len()) {
            return Err(Refused::Scenario(fault));
        }
        let mut routes = plan.listeners.iter().flat_map(|listener| &listener.routes);
        let route = routes.find(|route| route.pool == index);
        let otherwise = Retry { policy: RetryPolicy::default(), per_try: None, idempotent: false, replay: 0 };
        let subject = Subject {
            pool: &plan.pools[index],
            backends,
            retry: route.map_or(&otherwise, |route| &route.retry),
            hedge: route.and_then(|route| route.hedge.as_ref()),
            response: route.map_or(RESPONSE, |route| route.timeouts.response),
            whole: route.and_then(|route| route.timeouts.request),
        };
        let world = World::new(&subject, self.scenario, &live, (base, self.seed));
        world.run(progress)
    }
}

impl<'a> World<'a> {
    fn new(
        subject: &'a Subject<'a>,
        scenario: &'a Scenario,
        live: &'a Live,
        (base, seed): (Instant, u64),
    ) -> Self {
        let clock = Clock::new(base);
        let lives = subject.pool.membership.backends.iter().map(|backend| Arc::clone(&backend.live));
        let servers = Servers::new(&scenario.servers, lives.collect(), &scenario.effects);
        let is_in = |server: u32| servers.of(server).present;
        let mut world = Self {
            subject,
            scenario,
            clock,
            calendar: Calendar::default(),
            streams: Streams::new(seed),
            crowd: Crowd::new(&scenario.clients, !subject.pool.key.is_empty()),
            live,
            members: Members::new(subject, live, usize::from(scenario.workers), is_in),
            servers,
            requests: Requests::default(),
            watch: Watch::new(subject, scenario.checks, &clock),
            woken: Woken::default(),
            record: Record::new(scenario.bucket_ms, subject.backends.len()),
        };
        world.watch_members();
        world.expect_effects();
        world.judge_again();
        world.calendar.add(nanos_of_ms(scenario.bucket_ms), Event::Turn);
        world
    }

    fn run(mut self, progress: &mut dyn FnMut(f64) -> bool) -> Result<Report, Refused> {
        let mut rate = Rate::new(&self.scenario.arrivals);
        let mut arrival = self.next_arrival(&mut rate);
        let mut steps = 0_u32;
        loop {
            // What ends at the moment something comes has ended: its slot is free.
            match (self.calendar.next(), arrival) {
                (due, Some(at)) if due.is_none_or(|due| at < due) => {
                    self.clock.advance(at);
                    self.arrive();
                    arrival = self.next_arrival(&mut rate);
                }
                (Some(due), at) if at.is_some() || self.requests.count() > 0 => {
                    self.clock.advance(due);
                    self.happen();
                }
                _ => return Ok(self.sum_up()),
            }
            if self.subject.pool.queue.is_some() {
                self.serve_woken();
            }
            if self.watch.alarmed {
                self.alarm();
            }
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(STRIDE) && !progress(self.part().min(1.0)) {
                return Err(Refused::Stopped);
            }
        }
    }

    fn next_arrival(&mut self, rate: &mut Rate<'_>) -> Option<u64> {
        let enough = self.scenario.requests.is_some_and(|most| self.record.requests() >= most);
        let at = if enough { None } else { rate.next(&mut self.streams.arrivals) };
        at.map(nanos).filter(|&at| at < nanos_of_ms(self.scenario.duration_ms))
    }

    fn happen(&mut self) {
        match self.calendar.take() {
            Some(Due::Event(event)) => match event {
                Event::Finish { job } => self.finish(job),
                Event::TryAgain { request, stamp } => self.try_again(request, stamp),
                Event::Look { request, stamp } => self.look_again(request, stamp),
                Event::Begin { effect } => self.begin(effect),
                Event::End { effect } => self.end(effect),
                Event::Pause { effect, server } => self.pause(effect, server),
                Event::Check => self.check(),
                Event::Checked { server, good } => self.checked(server, good),
                Event::Judge => self.judge_again(),
                Event::Alarm => self.alarm(),
                Event::Tend { server } => self.tend(server),
                Event::Hedge { request, stamp } => self.hedge(request, stamp),
                Event::Turn => {
                    self.record.turn();
                    self.calendar.add(self.clock.now() + nanos_of_ms(self.scenario.bucket_ms), Event::Turn);
                }
            },
            Some(Due::Limit { limit, request, stamp }) => self.limit(limit, request, stamp),
            None => {}
        }
    }
}
