//! The wheel of a worker: coarse, lazy, one entry a connection.
//!
//! A limit that moves to a later time moves nothing here: the entry is visited at the old time, seen not to be due, and
//! put where it is due by then. So a busy connection costs one visit for every length of its shortest limit, not one
//! for every request.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::deadline::{Deadline, Entry};
use super::slots::Slots;

/// Limits are kept in units of this: they fire up to one unit late, never early.
pub(crate) const GRANULARITY: Duration = Duration::from_millis(100);

const UNIT_NANOS: u32 = 100_000_000;

/// Units since the wheel began; 13 years fit.
pub(super) type Tick = u32;

/// No limit, no visit.
pub(super) const UNSET: Tick = Tick::MAX;

/// One turn is 102 s: what is due later is looked at once a turn.
const SLOTS: usize = 1024;

/// All time limits of one worker.
pub(crate) struct Wheel {
    started: Instant,
    /// The last tick that was visited.
    now: Cell<Tick>,
    slots: RefCell<Slots>,
    /// Entries that stand in a slot.
    entries: Cell<usize>,
    /// The driving task, while it waits for a first entry.
    driver: RefCell<Option<Waker>>,
}

impl Wheel {
    /// An empty wheel, to be driven by [`Wheel::run`].
    pub(crate) fn new(started: Instant) -> Rc<Self> {
        Rc::new(Self {
            started,
            now: Cell::new(0),
            slots: RefCell::new(Slots::new(SLOTS)),
            entries: Cell::new(0),
            driver: RefCell::new(None),
        })
    }

    /// A place on the wheel, for one connection.
    pub(crate) fn deadline(self: &Rc<Self>) -> Deadline {
        let entry = self.slots.borrow_mut().add(|id| Rc::new(Entry::new(id)));
        Deadline::new(Rc::clone(self), entry)
    }

    /// Visits every slot whose time came up to `now`.
    pub(crate) fn advance(&self, now: Instant) {
        let until = now.saturating_duration_since(self.started);
        let until = to_tick(until.as_secs(), until.subsec_nanos() / UNIT_NANOS);
        // After a long pause every slot is looked at once; an entry of a later turn stays where it is.
        let pending = until.saturating_sub(self.now.get()).min(SLOTS as Tick);
        self.now.set(self.now.get().max(until));
        for back in (0..pending).rev() {
            self.visit_slot(slot_of(until - back), until);
        }
    }

    /// Drives the wheel for the worker's life. Without entries it sleeps, and so does the machine.
    pub(crate) async fn run(self: Rc<Self>) {
        loop {
            poll_fn(|cx| {
                if self.entries.get() > 0 {
                    return Poll::Ready(());
                }
                *self.driver.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            // While nothing was scheduled time went on: then this tick is over at once.
            let next = self.started + GRANULARITY * (self.now.get() + 1);
            tokio::time::sleep_until(next.into()).await;
            self.advance(super::now());
        }
    }

    /// Connections that wait for something.
    pub(crate) fn entries(&self) -> usize {
        self.entries.get()
    }

    /// The first tick at which `at` has passed.
    pub(super) fn tick_after(&self, at: Instant) -> Tick {
        let after = at.saturating_duration_since(self.started);
        let tick = to_tick(after.as_secs(), after.subsec_nanos().div_ceil(UNIT_NANOS));
        // A tick that was already visited doesn't come again.
        tick.max(self.now.get() + 1)
    }

    /// Puts `entry` where it is visited at `tick`, and nowhere else.
    pub(super) fn schedule(&self, entry: &Entry, tick: Tick) {
        self.unschedule(entry);
        self.slots.borrow_mut().link(slot_of(tick), entry.id);
        entry.visit_at.set(tick);
        self.entries.set(self.entries.get() + 1);
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// Takes `entry` off the wheel for good.
    pub(super) fn remove(&self, entry: &Entry) {
        self.unschedule(entry);
        self.slots.borrow_mut().remove(entry.id);
    }

    fn unschedule(&self, entry: &Entry) {
        let tick = entry.visit_at.replace(UNSET);
        if tick != UNSET {
            self.slots.borrow_mut().unlink(slot_of(tick), entry.id);
            self.entries.set(self.entries.get() - 1);
        }
    }

    fn visit_slot(&self, slot: usize, until: Tick) {
        let mut at = self.slots.borrow().first(slot);
        while let Some(entry) = at {
            // What is put in this slot meanwhile comes to its front, and its time isn't now.
            at = self.slots.borrow().after(entry.id);
            if entry.visit_at.get() > until {
                continue;
            }
            self.unschedule(&entry);
            let next = entry.expire(until);
            if next != UNSET {
                self.schedule(&entry, next);
            }
        }
    }
}

/// What is further away than 13 years is never.
fn to_tick(seconds: u64, units: u32) -> Tick {
    let tick = seconds.saturating_mul(10).saturating_add(u64::from(units));
    tick.min(u64::from(UNSET - 1)) as Tick
}

fn slot_of(tick: Tick) -> usize {
    tick as usize % SLOTS
}
