//! Checks and judgements: a doer of the engine's ward and of its schedule of checks.

use std::time::Duration;

use fairlead_balance::hash;
use fairlead_balance::health::{Check, Pace, Schedule, Terms, Ward};

use crate::calendar::Event;
use crate::clock::{Clock, Nanos, nanos_of_ms};
use crate::scenario::Checks;
use crate::world::{Subject, World};

/// How often all are judged.
const PERIOD: Duration = Duration::from_secs(1);

/// Between two judgements that failures in a row ask for.
const BREATH: Duration = Duration::from_millis(10);

/// Checks never change during a simulation.
const DIGEST: u64 = 1;

/// Who watches.
#[derive(Debug)]
pub(crate) struct Watch {
    ward: Ward,
    checks: Option<Checks>,
    schedule: Schedule<u32>,
    /// When somebody looks at the schedule next.
    looks: Option<Nanos>,
    /// A backend has failed too often in a row: it is judged at once.
    pub(crate) alarmed: bool,
    /// Until then an alarm has to wait.
    breathes: Nanos,
    /// One waits.
    waits: bool,
}

impl Watch {
    pub(crate) fn new(subject: &Subject<'_>, checks: Option<Checks>, clock: &Clock) -> Self {
        Self {
            ward: Ward::new(subject.pool.health),
            checks,
            schedule: Schedule::new(clock.instant()),
            looks: None,
            alarmed: false,
            breathes: 0,
            waits: false,
        }
    }
}

impl World<'_> {
    /// Watches those that are members now, and nobody else.
    pub(crate) fn watch_members(&mut self) {
        let now = self.clock.instant();
        let Watch { ward, checks, schedule, .. } = &mut self.watch;
        for ((server, own), backend) in (0..).zip(self.servers.iter()).zip(self.subject.backends) {
            if !own.present {
                schedule.remove(&server);
                continue;
            }
            let check = checks.map(|checks| Check {
                digest: DIGEST,
                initially_up: checks.initially_up,
                timeout: Duration::from_millis(checks.timeout_ms),
            });
            ward.watch(&backend.id, &own.live, Terms { check, weighs: backend.weight > 0 }, now);
            if let Some(checks) = checks {
                let pace = Pace {
                    interval: Duration::from_millis(checks.interval_ms),
                    fast_interval: Duration::from_millis(checks.fast_interval_ms),
                    phase: hash(backend.id.as_bytes()),
                };
                schedule.set(server, DIGEST, pace, now);
            }
        }
        ward.retain(|id| self.members.has(id));
        self.look_at_schedule();
    }

    /// Makes the checks that are due.
    pub(crate) fn check(&mut self) {
        self.watch.looks = None;
        let Some(checks) = self.watch.checks else { return };
        let limits = (nanos_of_ms(checks.timeout_ms), self.scenario.work.mean());
        while let Some((server, _)) = self.watch.schedule.take(self.clock.instant()) {
            let (good, after) =
                self.servers.check(server, limits, self.clock.now(), &mut self.streams.faults);
            self.calendar.add(self.clock.now() + after, Event::Checked { server, good });
        }
        self.look_at_schedule();
    }

    /// A check has a result.
    pub(crate) fn checked(&mut self, server: u32, good: bool) {
        let now = self.clock.instant();
        let noted = self.watch.ward.checked(&self.subject.backends[server as usize].id, good, "", now);
        let wants_more = noted.is_some_and(|noted| noted.wants_more);
        self.watch.schedule.done(&server, DIGEST, wants_more, now);
        self.look_at_schedule();
        if noted.is_some_and(|noted| noted.changed) {
            self.judge();
        }
    }

    fn look_at_schedule(&mut self) {
        let Some(due) = self.watch.schedule.next().map(|due| self.clock.at(due)) else { return };
        if self.watch.looks.is_none_or(|looks| due < looks) {
            self.watch.looks = Some(due);
            self.calendar.add(due, Event::Check);
        }
    }

    /// Judges all, once a second.
    pub(crate) fn judge_again(&mut self) {
        self.judge();
        self.calendar.add(self.clock.after(PERIOD), Event::Judge);
    }

    /// Somebody has failed too often in a row.
    pub(crate) fn alarm(&mut self) {
        self.watch.alarmed = false;
        if self.clock.now() < self.watch.breathes {
            if !std::mem::replace(&mut self.watch.waits, true) {
                self.calendar.add(self.watch.breathes, Event::Alarm);
            }
            return;
        }
        self.watch.waits = false;
        if self.watch.ward.take_alarm() {
            self.judge();
            self.watch.breathes = self.clock.after(BREATH);
        }
    }

    pub(crate) fn judge(&mut self) {
        for change in self.watch.ward.judge(self.clock.instant()) {
            self.record.happened(self.clock.now(), change);
        }
    }
}
