//! What stands behind backends: servers with slots, a line before them, and what befalls them.
//!
//! A request that its client has given up is worked on all the same: servers notice late, if ever, and that is what makes
//! retries expensive.

use std::collections::VecDeque;
use std::sync::Arc;

use fairlead_balance::{BackendLive, Phase};

use crate::clock::{Nanos, nanos, seconds};
use crate::effect::Door;
use crate::random::Stream;
use crate::scenario::{self, Effect, What};

/// A request as a server sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) request: u32,
    /// Of the try; another one means that nobody waits for the answer any more.
    pub(crate) stamp: u32,
    /// In seconds, for a server in its best state.
    pub(crate) work: f64,
}

/// A task being worked on.
#[derive(Clone, Copy, Debug)]
struct Job {
    task: Task,
    server: u32,
    /// The server's life it belongs to.
    life: u32,
    /// Of the server's pauses, what its end takes account of.
    paused: Nanos,
    status: u16,
}

/// A job, and when it ends unless the server pauses.
pub(crate) type Begun = (u32, Nanos);

/// What becomes of a task that comes.
pub(crate) enum Taken {
    Begun(Begun),
    InLine,
    /// The line is full: 503 at once.
    Shed,
}

/// What has become of a job whose end was due.
pub(crate) enum Finished {
    /// The server has paused meanwhile.
    Later(Nanos),
    /// The server that had it died.
    Void,
    /// It is done, and the server goes on with the next.
    Done { server: u32, task: Task, status: u16, next: Option<Begun> },
}

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) live: Arc<BackendLive>,
    /// In the pool.
    pub(crate) present: bool,
    pub(crate) door: Door,
    /// What befalls it now, by place in the scenario.
    pub(crate) effects: Vec<u32>,
    /// Connections kept.
    pub(crate) idle: u32,
    /// The phase of its circuit breaker, while that is tended.
    pub(crate) opened: Option<Phase>,
    slots: u32,
    backlog: Option<u32>,
    busy: u32,
    line: VecDeque<Task>,
    life: u32,
    paused_until: Nanos,
    /// Of its whole life.
    paused: Nanos,
    pub(crate) figures: Figures,
}

/// What is counted of a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) tries: u64,
    pub(crate) errors: u64,
    pub(crate) most_in_flight: u32,
    /// Slots × time.
    pub(crate) busy: f64,
    busy_since: Nanos,
    /// Jobs done that nobody waited for any more.
    pub(crate) wasted: u64,
}

/// All of them, and what they work on.
#[derive(Debug)]
pub(crate) struct Servers<'a> {
    all: Vec<Server>,
    jobs: Vec<Job>,
    free: Vec<u32>,
    effects: &'a [Effect],
}

/// A good answer.
pub(crate) const OK: u16 = 200;
pub(crate) const SHED: u16 = 503;

impl<'a> Servers<'a> {
    pub(crate) fn new(
        described: &[scenario::Server],
        lives: Vec<Arc<BackendLive>>,
        effects: &'a [Effect],
    ) -> Self {
        let all = described.iter().zip(lives).map(|(server, live)| Server::new(server, live)).collect();
        Self { all, jobs: Vec::new(), free: Vec::new(), effects }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Server> {
        self.all.iter()
    }

    pub(crate) fn of(&self, server: u32) -> &Server {
        &self.all[server as usize]
    }

    pub(crate) fn of_mut(&mut self, server: u32) -> &mut Server {
        &mut self.all[server as usize]
    }

    /// A request comes.
    pub(crate) fn take(&mut self, server: u32, task: Task, now: Nanos, faults: &mut Stream) -> Taken {
        let own = self.of_mut(server);
        if own.busy < own.slots {
            Taken::Begun(self.begin(server, task, now, faults))
        } else if own.backlog.is_some_and(|most| own.line.len() >= most as usize) {
            Taken::Shed
        } else {
            own.line.push_back(task);
            Taken::InLine
        }
    }

    fn begin(&mut self, server: u32, task: Task, now: Nanos, faults: &mut Stream) -> Begun {
        let effects = self.effects;
        let own = self.of_mut(server);
        own.count_busy(now);
        own.busy += 1;
        let (status, lasting) = own.answer(task.work, effects, now, faults);
        let ends = now.max(own.paused_until).saturating_add(lasting);
        let job = Job { task, server, life: own.life, paused: own.paused, status };
        let place = if let Some(place) = self.free.pop() {
            self.jobs[place as usize] = job;
            place
        } else {
            self.jobs.push(job);
            self.jobs.len() as u32 - 1
        };
        (place, ends)
    }

    /// The end of a job was due.
    pub(crate) fn finish(&mut self, place: u32, now: Nanos, faults: &mut Stream) -> Finished {
        let job = self.jobs[place as usize];
        let own = self.of_mut(job.server);
        if job.life != own.life {
            self.free.push(place);
            return Finished::Void;
        }
        if job.paused != own.paused {
            let later = now.saturating_add(own.paused - job.paused);
            self.jobs[place as usize].paused = own.paused;
            return Finished::Later(later);
        }
        own.count_busy(now);
        own.busy -= 1;
        let next = own.line.pop_front();
        self.free.push(place);
        let next = next.map(|task| self.begin(job.server, task, now, faults));
        Finished::Done { server: job.server, task: job.task, status: job.status, next }
    }

    /// A server dies: all that it had, to be reset.
    pub(crate) fn cut(&mut self, server: u32, now: Nanos) -> Vec<Task> {
        let own = &mut self.all[server as usize];
        let life = own.life;
        let working = self.jobs.iter().enumerate().filter(|(place, job)| {
            job.server == server && job.life == life && !self.free.contains(&(*place as u32))
        });
        let tasks = working.map(|(_, job)| job.task).chain(own.line.drain(..)).collect();
        own.count_busy(now);
        own.busy = 0;
        own.idle = 0;
        own.life += 1;
        tasks
    }

    /// Whether a check made now is good, and after what time that is known.
    pub(crate) fn check(
        &self,
        server: u32,
        (timeout, mean): (Nanos, f64),
        now: Nanos,
        faults: &mut Stream,
    ) -> (bool, Nanos) {
        let own = self.of(server);
        let fails = own.effects(self.effects).find_map(|effect| match effect.what {
            What::ChecksFail { share } => Some(share),
            _ => None,
        });
        match own.door {
            Door::Refuses => (false, 0),
            Door::Unreachable => (false, timeout),
            Door::Open if fails.is_some_and(|share| faults.happens(share)) => (false, 0),
            Door::Open => {
                let pause = own.paused_until.saturating_sub(now);
                // It stands in line as requests do.
                let slowness = own.slowness(self.effects, now);
                let turns = f64::from(own.line.len() as u32) / f64::from(own.slots);
                let wait = pause.saturating_add(nanos(turns * mean * slowness));
                (wait < timeout, wait.min(timeout))
            }
        }
    }
}

impl Server {
    fn new(described: &scenario::Server, live: Arc<BackendLive>) -> Self {
        Self {
            live,
            present: described.present,
            door: Door::Open,
            effects: Vec::new(),
            idle: 0,
            opened: None,
            slots: described.slots,
            backlog: described.backlog,
            busy: 0,
            line: VecDeque::new(),
            life: 0,
            paused_until: 0,
            paused: 0,
            figures: Figures::default(),
        }
    }

    /// Stands still until then.
    pub(crate) fn pause(&mut self, until: Nanos, now: Nanos) {
        let from = self.paused_until.max(now);
        if until > from {
            self.paused += until - from;
            self.paused_until = until;
        }
    }

    /// How busy its slots were so far, of 1.
    pub(crate) fn busy_share(&mut self, now: Nanos) -> f64 {
        self.count_busy(now);
        let all = seconds(now) * f64::from(self.slots);
        if all > 0.0 { self.figures.busy / all } else { 0.0 }
    }

    fn count_busy(&mut self, now: Nanos) {
        self.figures.busy += seconds(now - self.figures.busy_since) * f64::from(self.busy);
        self.figures.busy_since = now;
    }

    fn effects<'e>(&self, effects: &'e [Effect]) -> impl Iterator<Item = &'e Effect> {
        self.effects.iter().map(|&effect| &effects[effect as usize])
    }

    /// How many times as long it takes for everything.
    fn slowness(&self, effects: &[Effect], now: Nanos) -> f64 {
        self.effects(effects).map(|effect| effect.slowness(now)).product()
    }

    /// What it will say, and what time it takes for that.
    fn answer(&self, work: f64, effects: &[Effect], now: Nanos, faults: &mut Stream) -> (u16, Nanos) {
        let lasting = nanos(work * self.slowness(effects, now));
        let errs = self.effects(effects).find_map(|effect| match effect.what {
            What::Errors { share, status, ms } if faults.happens(share) => Some((status, ms)),
            _ => None,
        });
        match errs {
            Some((status, ms)) => (status, ms.map_or(lasting, |ms| nanos(ms / 1_000.0))),
            None => (OK, lasting),
        }
    }
}
