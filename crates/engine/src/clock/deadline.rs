//! What one connection waits for, and until when.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::slots::Id;
use super::wheel::{Tick, UNSET, Wheel};

/// What a time limit is for. Several may run at once; the earliest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between requests: the client owes nothing.
    Idle,
    /// The client's part of a TLS handshake.
    Handshake,
    /// The client's request head.
    Header,
    /// The client's request body.
    Body,
    /// The client has to take bytes that wait for it.
    Write,
    /// A connection to a backend is being made.
    Connect,
    /// The backend has the whole request and owes its answer's head.
    Response,
    /// One try of a request, from picking a backend to its answer's head.
    Try,
    /// The whole request.
    Request,
    /// A gap within an answer.
    StreamIdle,
    /// A gap in an upgraded session, both ways.
    Tunnel,
    /// A drain is over.
    Stop,
}

impl Phase {
    pub(super) const ALL: [Self; 12] = [
        Self::Idle,
        Self::Handshake,
        Self::Header,
        Self::Body,
        Self::Write,
        Self::Connect,
        Self::Response,
        Self::Try,
        Self::Request,
        Self::StreamIdle,
        Self::Tunnel,
        Self::Stop,
    ];
}

/// The time limits of one connection: its client's and those of the backend it speaks to.
///
/// A limit that has passed makes every read and write of the connection fail with its phase, until [`Deadline::rearm`].
/// No socket is shut for that, so that a 408 or 504 can still be written.
pub(crate) struct Deadline {
    wheel: Rc<Wheel>,
    entry: Rc<Entry>,
}

/// The part of a [`Deadline`] that its wheel sees.
pub(super) struct Entry {
    limits: [Cell<Tick>; Phase::ALL.len()],
    expired: Cell<Option<Phase>>,
    /// When the task is woken to look, without a limit.
    look: Cell<Tick>,
    looks: Cell<u32>,
    waker: RefCell<Option<Waker>>,
    /// The tick at which the wheel visits this entry, [`UNSET`] while it stands in no slot.
    pub(super) visit_at: Cell<Tick>,
    /// Its number on the wheel.
    pub(super) id: Id,
}

impl Deadline {
    pub(super) fn new(wheel: Rc<Wheel>, entry: Rc<Entry>) -> Self {
        Self { wheel, entry }
    }

    /// Limits `phase` to `at`, in place of what it was limited to before.
    pub(crate) fn set(&self, phase: Phase, at: Instant) {
        self.forget(phase);
        let tick = self.wheel.tick_after(at);
        self.entry.limits[phase as usize].set(tick);
        self.visit_by(tick);
    }

    /// [`Deadline::set`] for as long as the returned value lives: for waits that may be dropped half-way.
    pub(crate) fn during(&self, phase: Phase, at: Instant) -> During<'_> {
        self.set(phase, at);
        During { deadline: self, phase }
    }

    /// Limits `phase` to `at`, unless it is limited to an earlier time.
    pub(crate) fn set_sooner(&self, phase: Phase, at: Instant) {
        if self.wheel.tick_after(at) < self.entry.limits[phase as usize].get() {
            self.set(phase, at);
        }
    }

    /// Moves a limit that `phase` has to `at`, if that is earlier. A phase without a limit gets none.
    pub(crate) fn bring_forward(&self, phase: Phase, at: Instant) {
        if self.entry.limits[phase as usize].get() != UNSET {
            self.set_sooner(phase, at);
        }
    }

    /// Takes the limit of `phase` away. Its entry stays where it is: the next limit finds it there.
    pub(crate) fn clear(&self, phase: Phase) {
        self.forget(phase);
        self.entry.limits[phase as usize].set(UNSET);
    }

    /// What is waited for now: of several, what a person would name.
    pub(crate) fn waits_for(&self) -> Option<Phase> {
        const BY_WEIGHT: [Phase; 8] = [
            Phase::Tunnel,
            Phase::Connect,
            Phase::Body,
            Phase::Response,
            Phase::Write,
            Phase::StreamIdle,
            Phase::Header,
            Phase::Idle,
        ];
        BY_WEIGHT.into_iter().find(|&phase| self.entry.limits[phase as usize].get() != UNSET)
    }

    /// The phase whose limit has passed, if one did since the last [`Deadline::rearm`].
    pub(crate) fn expired(&self) -> Option<Phase> {
        self.entry.expired.get()
    }

    /// Forgets what has passed, so that a last answer can be written. The other limits go on.
    pub(crate) fn rearm(&self) {
        self.entry.expired.set(None);
    }

    /// Wakes the task at `at`, or sooner, without letting anything expire; [`Deadline::looks`] then says so.
    pub(crate) fn look_at(&self, at: Instant) {
        let tick = self.wheel.tick_after(at);
        if tick < self.entry.look.get() {
            self.entry.look.set(tick);
            self.visit_by(tick);
        }
    }

    /// How often the time of a [`Deadline::look_at`] has come.
    pub(crate) fn looks(&self) -> u32 {
        self.entry.looks.get()
    }

    /// Takes every limit away: nothing is waited for any more.
    pub(crate) fn clear_all(&self) {
        self.rearm();
        for limit in &self.entry.limits {
            limit.set(UNSET);
        }
    }

    /// Ready when a limit has passed; else `cx`'s task is woken when one does.
    ///
    /// A connection is one task, so one waker is kept: the last one that asked.
    pub(crate) fn poll_expired(&self, cx: &Context<'_>) -> Poll<Phase> {
        if let Some(phase) = self.expired() {
            return Poll::Ready(phase);
        }
        let mut waker = self.entry.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn visit_by(&self, tick: Tick) {
        if tick < self.entry.visit_at.get() {
            self.wheel.schedule(&self.entry, tick);
        }
    }

    /// A limit that is set anew hasn't passed.
    fn forget(&self, phase: Phase) {
        if self.entry.expired.get() == Some(phase) {
            self.entry.expired.set(None);
        }
    }
}

/// A limit that ends with its scope.
pub(crate) struct During<'a> {
    deadline: &'a Deadline,
    phase: Phase,
}

impl Drop for During<'_> {
    fn drop(&mut self) {
        self.deadline.clear(self.phase);
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.wheel.remove(&self.entry);
    }
}

impl Entry {
    pub(super) fn new(id: Id) -> Self {
        Self {
            limits: [const { Cell::new(UNSET) }; Phase::ALL.len()],
            expired: Cell::new(None),
            look: Cell::new(UNSET),
            looks: Cell::new(0),
            waker: RefCell::new(None),
            visit_at: Cell::new(UNSET),
            id,
        }
    }

    /// Marks what has passed at `tick` and wakes the task; returns when to come back, [`UNSET`] for never.
    pub(super) fn expire(&self, tick: Tick) -> Tick {
        let mut wake = self.look.get() <= tick;
        if wake {
            self.look.set(UNSET);
            self.looks.set(self.looks.get().wrapping_add(1));
        }
        let mut next = self.look.get();
        let mut passed: Option<(Tick, Phase)> = None;
        for phase in Phase::ALL {
            let limit = &self.limits[phase as usize];
            let at = limit.get();
            if at > tick {
                next = next.min(at);
                continue;
            }
            limit.set(UNSET);
            if passed.is_none_or(|(earliest, _)| at < earliest) {
                passed = Some((at, phase));
            }
        }
        // What passed first and wasn't looked at yet is the cause; what follows from it isn't.
        if let (Some((_, phase)), None) = (passed, self.expired.get()) {
            self.expired.set(Some(phase));
            wake = true;
        }
        let waker = if wake { self.waker.borrow().clone() } else { None };
        if let Some(waker) = waker {
            waker.wake();
        }
        next
    }
}
