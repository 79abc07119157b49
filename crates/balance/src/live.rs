//! What outlives a configuration: the counters of a backend, shared by all workers.
//!
//! A reload builds new pickers, but a backend that stays has the same requests in flight as before. So counters
//! hang on the backend's stable id, here, and everything that names the backend holds the same [`BackendLive`].
//! Building a picker finds it and changes nothing in it: the configuration may yet be refused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::adaptive::{Bounds, Limiter, MaxInFlight};
use crate::affinity::Memory;
use crate::breaker::{BreakerPolicy, BreakerState, Breaking, Outcomes};
use crate::budget::Budget;
use crate::count::Count;
use crate::health::{Report, Tally};
use crate::hedge::{HedgeCounts, Hedging};
use crate::latency::{self, Decay, Latency, LeastTime, Moment};
use crate::queue::Queue;
use crate::standing::{Pass, Phase, Standing, StandingWord};

/// All backends that somebody still uses, by pool and id. One for the whole process.
///
/// Only building a picker comes here; requests hold the [`BackendLive`] itself. It therefore may take a lock.
#[derive(Default)]
pub struct Live {
    pools: Mutex<Table>,
    secret: [u8; 32],
}

impl std::fmt::Debug for Live {
    /// Without the secret.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Live").field("pools", &self.pools).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Table {
    by_pool: BTreeMap<Box<str>, Backends>,
    entries: usize,
    /// Entries at which the dead ones are swept out: twice those that lived at the last sweep, so that sweeping
    /// costs a constant for each entry made and the table is never more than about twice what is in use.
    sweep_at: usize,
}

/// The backends of one pool.
#[derive(Debug, Default)]
struct Backends {
    live: Arc<PoolLive>,
    by_id: BTreeMap<Box<str>, Weak<BackendLive>>,
}

/// Below this many entries a sweep isn't worth its walk.
const SWEEP_FLOOR: usize = 64;

impl Live {
    /// Nobody is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, and with a secret of its own for what needs one and is given none.
    #[must_use]
    pub fn with_secret(secret: [u8; 32]) -> Self {
        Self { secret, ..Self::default() }
    }

    /// What cookies are made with for which no other secret was given: as long-lived as this.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The backend `id` of `pool`: the one in use, if it is in use, else a new one with nothing in flight. The identity is
    /// pool and id alone; where it is comes by [`BackendLive::move_to`].
    pub fn backend(&self, pool: &str, id: &str) -> Arc<BackendLive> {
        let mut table = self.table();
        let known = table.by_pool.get(pool).and_then(|backends| backends.by_id.get(id));
        known.and_then(Weak::upgrade).unwrap_or_else(|| table.insert(pool, id))
    }

    /// What the backends of `pool` share.
    pub fn pool(&self, pool: &str) -> Arc<PoolLive> {
        Arc::clone(&self.table().by_pool.entry(pool.into()).or_default().live)
    }

    /// Whether anybody still holds this backend: it is configured, or it drains and a request is still open.
    #[must_use]
    pub fn is_open(&self, pool: &str, id: &str) -> bool {
        let table = self.table();
        table
            .by_pool
            .get(pool)
            .and_then(|b| b.by_id.get(id))
            .is_some_and(|backend| backend.strong_count() > 0)
    }

    /// Forgets at once whom nobody holds any more: those of a configuration that was refused, or that have drained.
    pub fn forget_unused(&self) {
        self.table().sweep();
    }

    /// A panic elsewhere while the lock was held can't have left the table half-written in a way that matters:
    /// the worst is a count of entries that is off by one, which moves a sweep.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, pool: &str, id: &str) -> Arc<BackendLive> {
        if self.entries >= self.sweep_at.max(SWEEP_FLOOR) {
            self.sweep();
        }
        let backends = self.by_pool.entry(pool.into()).or_default();
        let backend = Arc::new(BackendLive { pool: Arc::clone(&backends.live), ..BackendLive::default() });
        if backends.by_id.insert(id.into(), Arc::downgrade(&backend)).is_none() {
            self.entries += 1;
        }
        backend
    }

    fn sweep(&mut self) {
        for backends in self.by_pool.values_mut() {
            backends.live.memories().retain(|(_, memory)| memory.strong_count() > 0);
            backends.by_id.retain(|_, backend| backend.strong_count() > 0);
        }
        self.by_pool
            .retain(|_, backends| !backends.by_id.is_empty() || Arc::strong_count(&backends.live) > 1);
        self.entries = self.by_pool.values().map(|backends| backends.by_id.len()).sum();
        self.sweep_at = self.entries * 2;
    }
}

/// The counters of one backend, on cache lines of their own: every worker writes them.
#[derive(Debug, Default)]
pub struct BackendLive {
    traffic: CachePadded<Traffic>,
    /// Only changes of the configuration and whoever judges it come here, never a request.
    place: Mutex<Place>,
    outcomes: Outcomes,
    limiter: Limiter,
    pool: Arc<PoolLive>,
    /// Who waits for this backend and no other. Made when somebody does for the first time.
    line: OnceLock<Box<Queue>>,
}

/// Where a backend is.
#[derive(Debug, Default)]
struct Place {
    /// As text; `None` until it is first told.
    address: Option<Box<str>>,
    /// How often it has become another.
    incarnation: u32,
}

#[derive(Debug, Default)]
struct Traffic {
    in_flight: Count,
    idle: Count,
    /// What was found for a limit that adapts; 0: nothing yet.
    limit: AtomicU32,
    standing: StandingWord,
    latency: Latency,
    tally: Tally,
}

/// What the backends of a pool share, and what outlives a configuration with them.
#[derive(Debug, Default)]
pub struct PoolLive {
    /// What times are counted from: the first time anybody asked.
    epoch: OnceLock<Instant>,
    /// Grows with every change of a standing, so that a worker knows when its sums over the pool are old.
    changes: AtomicU32,
    /// A backend has failed too often in a row and wasn't judged since.
    alarm: AtomicBool,
    retries: Budget,
    queue: Queue,
    hedging: OnceLock<Box<Hedging>>,
    /// What is remembered of clients, each by what it is a memory of, for as long as anybody uses it.
    memories: Mutex<Vec<(u64, Weak<Memory>)>>,
}

impl PoolLive {
    /// Who waits for room.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// What is remembered of clients: the memory `of` this that is in use, else a new one.
    pub fn memory(&self, of: u64, make: impl FnOnce() -> Memory) -> Arc<Memory> {
        let mut memories = self.memories();
        memories.retain(|(_, memory)| memory.strong_count() > 0);
        let known = memories.iter().find(|(known, _)| *known == of).and_then(|(_, memory)| memory.upgrade());
        known.unwrap_or_else(|| {
            let memory = Arc::new(make());
            memories.push((of, Arc::downgrade(&memory)));
            memory
        })
    }

    fn memories(&self) -> MutexGuard<'_, Vec<(u64, Weak<Memory>)>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tries again may cost.
    #[must_use]
    pub fn retries(&self) -> &Budget {
        &self.retries
    }

    /// What is known of requests that may be hedged. Takes memory from the first call on.
    #[must_use]
    pub fn hedging(&self) -> &Hedging {
        self.hedging.get_or_init(Box::default)
    }

    /// What became of second tries, if requests may be hedged.
    #[must_use]
    pub fn hedges(&self) -> Option<HedgeCounts> {
        self.hedging.get().map(|hedging| hedging.counts())
    }

    /// Acquire, with the release of [`BackendLive::stand`]: who sees a change counted sees the standing it counts.
    pub(crate) fn changes(&self) -> u32 {
        self.changes.load(Ordering::Acquire)
    }

    /// Has the pool judged soon. Release, with the acquire of [`take_alarm`](Self::take_alarm).
    pub(crate) fn raise_alarm(&self) {
        self.alarm.store(true, Ordering::Release);
    }

    /// Whether a backend has failed too often in a row since the last time this was asked. Acquire, with the release of
    /// [`BackendLive::report`]: who sees the alarm sees the streak.
    pub(crate) fn take_alarm(&self) -> bool {
        self.alarm.swap(false, Ordering::Acquire)
    }

    /// Now, as averages see it.
    #[inline]
    pub(crate) fn moment(&self, now: Instant, decay: Decay) -> Moment {
        Moment::new(latency::ticks(self.age(now)), decay)
    }

    /// Now, as breakers see it.
    fn millis(&self, now: Instant) -> u32 {
        self.age(now).as_millis() as u32
    }

    #[inline]
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.epoch.get_or_init(|| now))
    }
}

/// Up to 24 days, beyond which nobody waits.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).min(u32::MAX / 2)
}

impl BackendLive {
    /// From now on it is at `address`. Under another one than before the counters go on, since the requests they count
    /// do, and its [incarnation](Self::incarnation) rises: what was learnt about the old address is void.
    pub fn move_to(&self, address: &str) {
        let mut place = self.place();
        let before = match place.address.as_deref() {
            Some(before) if before == address => return,
            _ => place.address.replace(address.into()),
        };
        if before.is_none() {
            return;
        }
        place.incarnation += 1;
        drop(place);
        self.traffic.latency.forget();
        self.outcomes.forget();
        self.limiter.forget();
        self.traffic.limit.store(0, Ordering::Relaxed);
        self.traffic.standing.renew();
        self.changed(true);
    }

    /// How often its address has become another.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.place().incarnation
    }

    /// The same, if it is at `address` now.
    #[must_use]
    pub fn incarnation_at(&self, address: &str) -> Option<u32> {
        let place = self.place();
        (place.address.as_deref() == Some(address)).then_some(place.incarnation)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request more is with this backend, limit or not.
    pub fn begin(&self) {
        self.traffic.in_flight.add();
    }

    /// One request more, unless `max` are there already. However many threads call, `max` is never exceeded.
    #[must_use]
    pub fn try_begin(&self, max: u32) -> bool {
        self.traffic.in_flight.try_add(max)
    }

    /// One request has ended. Without a begun one nothing happens: the count is never negative.
    pub fn end(&self) {
        self.traffic.in_flight.remove();
    }

    /// Requests with this backend now, over all workers.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.traffic.in_flight.get()
    }

    /// What it is worth to a pick now.
    #[must_use]
    #[inline]
    pub fn standing(&self) -> Standing {
        self.traffic.standing.read()
    }

    /// Gives it another share and state; its circuit breaker stays as it is. Returns the standing before.
    pub fn stand(&self, standing: Standing) -> Standing {
        let before = self.traffic.standing.judge(standing);
        self.pool.changes.fetch_add(1, Ordering::Release);
        before
    }

    /// Takes the time an answer took.
    pub fn observe(&self, sample: Duration, now: Instant, how: LeastTime) {
        self.traffic.latency.observe(sample, self.pool.moment(now, how.into()));
    }

    /// How long answers take, as of now; `None` before the first [sample](Self::observe).
    #[must_use]
    pub fn estimate(&self, now: Instant, how: LeastTime) -> Option<Duration> {
        self.traffic.latency.estimate(self.pool.moment(now, how.into())).map(Duration::from_secs_f32)
    }

    /// Takes how a try ended. `true` if its failures in a row have just become `limit`: it should be judged at once.
    pub fn report(&self, report: Report, limit: u32) -> bool {
        let alarms = self.traffic.tally.report(report, limit);
        if alarms {
            self.pool.raise_alarm();
        }
        alarms
    }

    /// The answer to one of its requests has begun, and goes on for longer than its head.
    pub fn begin_answer(&self) {
        self.traffic.tally.begin_answer();
    }

    /// An answer that [went on](Self::begin_answer) has ended, however it did.
    pub fn end_answer(&self) {
        self.traffic.tally.end_answer();
    }

    /// Requests of which nothing was answered yet.
    pub(crate) fn awaited(&self) -> u32 {
        self.in_flight().saturating_sub(self.traffic.tally.answering())
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.traffic.tally
    }

    pub(crate) fn latency(&self) -> &Latency {
        &self.traffic.latency
    }

    /// How many requests it may have at a time.
    #[inline]
    pub(crate) fn limit(&self, max: MaxInFlight) -> u32 {
        match max {
            MaxInFlight::Fixed(max) => max,
            MaxInFlight::Adaptive(bounds) => bounds.hold(self.traffic.limit.load(Ordering::Relaxed)),
        }
    }

    /// Takes how a request ended for a limit that adapts: answered after this time, or as one of too many.
    pub(crate) fn adapt(&self, answered: Option<Duration>, bounds: Bounds, now: Instant) {
        if let Some(limit) = self.limiter.take(answered, self.in_flight(), bounds, now) {
            self.traffic.limit.store(limit, Ordering::Relaxed);
        }
    }

    /// Lets a request in that has picked it, if its circuit breaker does. What becomes of the request is said by
    /// [`outcome`](Self::outcome), or else [given back](Self::give_back).
    #[must_use]
    pub fn admit(&self, now: Instant) -> Option<Pass> {
        let pass = self.traffic.standing.admit(|| self.pool.millis(now));
        self.changed(pass.is_some_and(Pass::is_trial));
        pass
    }

    /// A request that was let in ended without an outcome: if it was on trial, the next one is.
    pub fn give_back(&self, pass: Pass) {
        self.changed(self.traffic.standing.give_back(pass));
    }

    /// Takes what became of a request for the circuit breaker. Only those on trial decide while it isn't closed.
    pub fn outcome(&self, failed: bool, pass: Pass, policy: &BreakerPolicy, now: Instant) -> Breaking {
        let standing = &self.traffic.standing;
        if pass.is_trial() && !failed {
            self.outcomes.forget();
            return if self.changed(standing.close(pass)) { Breaking::Closed } else { Breaking::Stays };
        }
        let opens = pass.is_trial() || standing.counts(pass) && self.outcomes.count(failed, policy, now);
        self.open_if(opens, pass, now)
    }

    /// A request of which the circuit breaker took that it is good has failed after all. It wasn't on trial.
    pub fn broke_off(&self, pass: Pass, policy: &BreakerPolicy, now: Instant) -> Breaking {
        let opens = self.traffic.standing.counts(pass) && self.outcomes.spoil(policy, now);
        self.open_if(opens, pass, now)
    }

    fn open_if(&self, opens: bool, pass: Pass, now: Instant) -> Breaking {
        let opened = if opens { self.traffic.standing.open(pass, self.pool.millis(now)) } else { None };
        self.changed(opened.is_some());
        opened.map_or(Breaking::Stays, Breaking::Opened)
    }

    /// Does what is due to a circuit breaker that opened with `phase`: half-opens it when it was open for the policy's time,
    /// and lets the next request in when a trial has lasted for so long. Returns after what time to come again; `None` when it
    /// has closed, or opened once more.
    pub fn tend(&self, phase: Phase, open: Duration, now: Instant) -> Option<Duration> {
        let span = millis(open).max(1);
        let (turned, again) = self.traffic.standing.tend(phase, span, self.pool.millis(now));
        self.changed(turned);
        again.map(|wait| Duration::from_millis(wait.into()))
    }

    /// It has no circuit breaker any more. `true` if that wasn't closed.
    pub fn drop_breaker(&self) -> bool {
        self.outcomes.forget();
        let was_closed = self.standing().breaker() == BreakerState::Closed;
        if !was_closed {
            self.traffic.standing.renew();
        }
        self.changed(!was_closed)
    }

    /// Has sums over the pool made anew, if something did change.
    fn changed(&self, did: bool) -> bool {
        if did {
            self.pool.changes.fetch_add(1, Ordering::Release);
        }
        did
    }

    /// One request has ended on `worker`, and who waits for room there or elsewhere is told: those first who can go nowhere
    /// else.
    #[inline]
    pub fn end_on(&self, worker: usize) {
        self.end();
        match self.line.get() {
            Some(line) if line.waiting() > 0 => line.freed(worker),
            _ => self.pool.queue.freed(worker),
        }
    }

    /// Where requests wait that are for this backend and no other.
    pub fn line(&self) -> &Queue {
        self.line.get_or_init(Box::default)
    }

    pub(crate) fn pool(&self) -> &Arc<PoolLive> {
        &self.pool
    }

    /// One idle connection more is kept for this backend, unless all workers together keep `max` already.
    #[must_use]
    pub fn try_keep_idle(&self, max: u32) -> bool {
        self.traffic.idle.try_add(max)
    }

    /// A kept connection is idle no longer: taken for a request, or closed.
    pub fn drop_idle(&self) {
        self.traffic.idle.remove();
    }

    /// Idle connections kept for this backend now, over all workers.
    #[must_use]
    pub fn idle(&self) -> u32 {
        self.traffic.idle.get()
    }
}
