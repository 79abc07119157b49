//! One request's place at a backend, given back exactly once however the request ends.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fairlead_balance::Pass;
use fairlead_balance::health::Report;
use fairlead_plan::{Backend, Bonds, Pool};

use super::exchange::Order;
use crate::clock;
use crate::published::LocalMembers;
use crate::telemetry::BackendCounters;
use crate::worker::Worker;

/// A place that [`Picker::pick`](fairlead_balance::Picker::pick) or [`take`](fairlead_balance::Picker::take) took. It keeps
/// the membership it was picked from, not the Plan, so a tunnel may hold it for days.
pub(crate) struct Slot {
    members: Rc<LocalMembers>,
    index: usize,
    /// What the circuit breaker, if there is one, has let it in with and hasn't heard the end of.
    pub(super) pass: Cell<Option<Pass>>,
    /// Its answer has begun, and goes on.
    answers: Cell<bool>,
    /// It was taken for a client that belongs there.
    known: bool,
    /// It left the pool, and goes on with those it knows.
    left: bool,
}

impl Slot {
    /// `index` has just been picked from `members`.
    pub(crate) fn picked(members: Rc<LocalMembers>, index: usize) -> Self {
        Self { members, index, known: false, left: false, pass: Cell::new(None), answers: Cell::new(false) }
    }

    /// `index` of `members` has just been taken for a client that it knows; it may have left the pool.
    pub(crate) fn known(members: Rc<LocalMembers>, index: usize, left: bool) -> Self {
        Self { members, index, known: true, left, pass: Cell::new(None), answers: Cell::new(false) }
    }

    /// What all that left are among the members that were tried: none of those that are there.
    pub(super) const LEFT: usize = u32::MAX as usize;

    /// What it is among the members that were tried.
    pub(crate) fn index(&self) -> usize {
        if self.left { Self::LEFT } else { self.index }
    }

    /// Its place in the membership.
    pub(crate) fn place(&self) -> usize {
        self.index
    }

    /// Where it is, for who wants to remember it longer.
    pub(crate) fn origin(&self) -> (Rc<LocalMembers>, usize) {
        (Rc::clone(&self.members), self.index)
    }

    /// By what it and the others of its membership have their clients.
    pub(crate) fn bonds(&self) -> &Bonds {
        &self.members.shared.bonds
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.members.shared.backends[self.index]
    }

    /// Whether the backend takes requests like this one still.
    pub(crate) fn is_open(&self) -> bool {
        let standing = self.backend().live.standing();
        standing.is_open() || self.known && standing.admits_known()
    }

    /// A half-open breaker waits for what becomes of it.
    pub(super) fn is_on_trial(&self) -> bool {
        self.pass.get().is_some_and(Pass::is_trial)
    }

    /// Its answer has begun and will go on, perhaps for days: it isn't waited for any more.
    pub(crate) fn goes_on(&self) {
        if !self.answers.replace(true) {
            self.backend().live.begin_answer();
        }
    }

    /// The head of its answer came after so long.
    pub(crate) fn took(&self, time: Duration, now: Instant) {
        self.counters().latency(time);
        self.waited(time, now);
    }

    /// Where the limit of requests adapts: it was answered after this time, or as one of too many.
    #[inline]
    pub(crate) fn adapt(&self, answered: Option<Duration>, now: Instant) {
        self.members.shared.picker.adapt(self.index, answered, now);
    }

    /// It gave no answer at all.
    pub(crate) fn failed(&self) {
        self.members.shared.picker.failed(self.index, clock::now());
    }

    /// So long a wait was too long: the picker hears of it, the figures of answers don't.
    pub(crate) fn waited(&self, time: Duration, now: Instant) {
        self.members.shared.picker.observe(self.index, time, now);
    }

    /// The try has ended like this, as far as the backend is to blame. Told once for each try.
    #[inline]
    pub(super) fn report(&self, order: &Order<'_>, report: Report) {
        self.say(report, &order.route.pool.plan, &order.client.worker);
    }

    /// [`Slot::report`], of what isn't a request.
    #[inline]
    pub(crate) fn say(&self, report: Report, pool: &Pool, worker: &Worker) {
        let Some(passive) = &pool.health.passive else { return };
        if self.backend().live.report(report, passive.consecutive_failures) {
            worker.shared.alarm();
        }
    }

    pub(crate) fn counters(&self) -> &BackendCounters {
        &self.members.counters[self.index]
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.get() {
            self.backend().live.give_back(pass);
        }
        if self.answers.get() {
            self.backend().live.end_answer();
        }
        self.backend().live.end_on(self.members.worker);
    }
}
