//! How long one side of a body may keep the other waiting: the longest gap, and a lowest rate.

use std::time::{Duration, Instant};

use crate::clock::{self, Deadline, Phase};
use crate::io::Sink;

/// Slower than this for long isn't a slow network, but somebody who holds a connection on purpose (bytes a second).
const LOWEST_RATE: i64 = 240;

/// What anybody may wait before the rate counts, in nanoseconds as everything here.
const GRACE: i64 = 5_000_000_000;

/// What a fast start is worth at the most, so that it doesn't pay for an endless drip.
const MOST: i64 = 2 * GRACE;

/// For whom a peer has waited so long in all, he may be why that peer gave up.
pub(crate) const SLOW: Duration = Duration::from_secs(1);

/// Between two looks at the queue of a full socket.
const LOOK: Duration = Duration::from_secs(1);

/// A time limit on waiting for one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub phase: Phase,
    /// Without any byte.
    pub gap: Duration,
    /// Whether the lowest rate applies too: to clients, never to a stream of a backend.
    pub lowest_rate: bool,
}

/// One side's use of its [`Limit`]. Reads the clock only when it has to wait.
///
/// The rate is a purse of time: waiting spends it, bytes fill it at 240 to the second, and who comes to wait with less
/// than nothing in it is cut off. One silence is the gap's business: it spends no more than the grace, so whoever goes
/// on after it is judged by how he goes on.
pub(super) struct Pace {
    limit: Option<Limit>,
    purse: i64,
    /// In all, up to the wait that goes on.
    waited: Duration,
    waiting_since: Option<Instant>,
    taking: Taking,
}

/// How a sink takes what stands in its socket's queue. A socket says "writable" again only when a third of that queue is
/// gone, which may be a megabyte: a slow reader must not be taken for a silent one meanwhile.
#[derive(Default)]
struct Taking {
    /// What was in the queue at the last look.
    queued: usize,
    /// Taken since the wait began, and so paid for before it is sent in place of it.
    ahead: usize,
    looks: u32,
}

impl Pace {
    pub(super) fn new(limit: Option<Limit>) -> Self {
        Self { limit, purse: GRACE, waited: Duration::ZERO, waiting_since: None, taking: Taking::default() }
    }

    /// This side has to do something from now on.
    pub(super) fn wait(&mut self, deadline: &Deadline) {
        if self.limit.is_some() && self.waiting_since.is_none() {
            self.wait_from(clock::now(), deadline);
        }
    }

    /// [`Pace::wait`] for a sink whose socket is full; what it takes of that counts.
    pub(super) fn wait_for_taking(&mut self, to: &impl Sink, deadline: &Deadline) {
        let first = self.waiting_since.is_none();
        if self.limit.is_some() && (first || self.taking.looks != deadline.looks()) {
            self.look(clock::now(), to.queued(), deadline);
        }
    }

    /// It did: `bytes` moved.
    pub(super) fn moved(&mut self, bytes: usize, deadline: &Deadline) {
        let ahead = self.taking.ahead.min(bytes);
        self.taking.ahead -= ahead;
        if self.waiting_since.is_some() {
            self.moved_at(clock::now(), bytes - ahead, deadline);
        } else {
            self.fill(bytes - ahead);
        }
    }

    /// Whether this side is waited for now.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting_since.is_some()
    }

    /// Whether this side was waited for so long that the other may have given up because of it.
    pub(super) fn is_slow(&self) -> bool {
        let now = self.waiting_since.map(|since| clock::now().saturating_duration_since(since));
        self.waited + now.unwrap_or_default() >= SLOW
    }

    /// No limit from now on.
    pub(super) fn lift(&mut self, deadline: &Deadline) {
        if let Some(limit) = self.limit.take()
            && self.waiting_since.take().is_some()
        {
            deadline.clear(limit.phase);
        }
    }

    fn look(&mut self, now: Instant, queued: usize, deadline: &Deadline) {
        let Some(limit) = self.limit else { return };
        let taken = self.taking.queued.saturating_sub(queued);
        if self.waiting_since.is_none() {
            self.wait_from(now, deadline);
        } else if taken > 0 {
            self.taking.ahead += taken;
            self.moved_at(now, taken, deadline);
            self.wait_from(now, deadline);
        }
        self.taking.queued = queued;
        self.taking.looks = deadline.looks();
        deadline.look_at(now + LOOK.min(limit.gap / 4));
    }

    fn wait_from(&mut self, now: Instant, deadline: &Deadline) {
        let Some(limit) = self.limit else { return };
        self.waiting_since = Some(now);
        let overdrawn = limit.lowest_rate && self.purse < 0;
        deadline.set(limit.phase, if overdrawn { now } else { now + limit.gap });
    }

    fn moved_at(&mut self, now: Instant, bytes: usize, deadline: &Deadline) {
        let Some(limit) = self.limit else { return };
        if let Some(since) = self.waiting_since.take() {
            deadline.clear(limit.phase);
            let waited = now.saturating_duration_since(since);
            self.waited += waited;
            self.purse -= i64::try_from(waited.as_nanos()).unwrap_or(GRACE).min(GRACE);
        }
        self.fill(bytes);
    }

    fn fill(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let earned = bytes.saturating_mul(1_000_000_000 / LOWEST_RATE);
        self.purse = self.purse.saturating_add(earned).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wheel;

    const GAP: Duration = Duration::from_secs(30);
    const LIMIT: Limit = Limit { phase: Phase::Body, gap: GAP, lowest_rate: true };

    /// Waits `each` before every one of `bytes`; the time at which it was enough, if it was.
    fn drip(bytes: &[usize], each: Duration) -> Option<Duration> {
        let start = clock::now();
        let wheel = Wheel::new(start);
        let deadline = wheel.deadline();
        let mut pace = Pace::new(Some(LIMIT));
        let mut time = Duration::ZERO;
        for &count in bytes {
            pace.wait_from(start + time, &deadline);
            time += each;
            wheel.advance(start + time);
            if deadline.expired().is_some() {
                return Some(time);
            }
            pace.moved_at(start + time, count, &deadline);
        }
        None
    }

    #[test]
    fn a_drip_ends_after_the_grace_however_short_its_gaps() {
        assert_eq!(drip(&[1; 100], Duration::from_secs(1)), Some(Duration::from_secs(7)));
        assert!(drip(&[20; 1_000], Duration::from_millis(100)).is_some(), "200 B/s in small steps");
    }

    #[test]
    fn a_drip_with_gaps_just_within_the_limit_ends_too() {
        assert_eq!(drip(&[1; 100], Duration::from_secs(29)), Some(Duration::from_secs(87)));
    }

    #[test]
    fn the_lowest_rate_may_go_on_for_ever() {
        assert_eq!(drip(&[241; 1_000], Duration::from_secs(1)), None);
        assert!(drip(&[200; 1_000], Duration::from_secs(1)).is_some());
    }

    #[test]
    fn a_fast_start_doesnt_pay_for_a_drip() {
        let mut bytes = vec![1 << 20];
        bytes.extend([1; 100]);
        assert_eq!(drip(&bytes, Duration::from_secs(1)), Some(Duration::from_secs(13)));
    }

    #[test]
    fn a_pause_within_the_gap_is_forgiven_to_who_goes_on_at_a_fair_rate() {
        assert_eq!(drip(&[1_400; 100], Duration::from_secs(29)), None);
    }

    #[test]
    fn who_is_waited_for_often_is_as_slow_as_who_is_waited_for_long() {
        let start = clock::now();
        let deadline = Wheel::new(start).deadline();
        let mut pace = Pace::new(Some(LIMIT));
        for tenth in 0..10 {
            assert!(!pace.is_slow(), "after {tenth} tenths of a second");
            let time = start + Duration::from_millis(200 * tenth);
            pace.wait_from(time, &deadline);
            assert!(pace.is_awaited());
            pace.moved_at(time + Duration::from_millis(100), 1_000, &deadline);
        }
        assert!(pace.is_slow() && !pace.is_awaited());
    }

    #[test]
    fn silence_is_ended_by_the_gap() {
        assert_eq!(drip(&[1], Duration::from_secs(29)), None);
        assert_eq!(drip(&[1], GAP), Some(GAP));
    }

    #[test]
    fn without_a_rate_only_the_gap_counts() {
        let start = clock::now();
        let wheel = Wheel::new(start);
        let deadline = wheel.deadline();
        let mut pace = Pace::new(Some(Limit { lowest_rate: false, ..LIMIT }));
        for minute in 0..60 {
            let time = start + GAP * minute;
            pace.wait_from(time, &deadline);
            wheel.advance(time + (GAP.saturating_sub(Duration::from_millis(100))));
            assert_eq!(deadline.expired(), None);
            pace.moved_at(time + GAP, 1, &deadline);
        }
    }

    /// Lets a sink with 100 kB in its queue take `each` of them a second; how long that was enough.
    fn take(each: usize, seconds: usize) -> Option<Duration> {
        let start = clock::now();
        let wheel = Wheel::new(start);
        let deadline = wheel.deadline();
        let mut pace = Pace::new(Some(LIMIT));
        for second in 0..seconds {
            let time = start + Duration::from_secs(second as u64);
            wheel.advance(time);
            if deadline.expired().is_some() {
                return Some(Duration::from_secs(second as u64));
            }
            assert_eq!(deadline.looks() as usize, second, "it wasn't woken to look");
            pace.look(time, 100_000 - each * second, &deadline);
        }
        None
    }

    #[test]
    fn who_reads_slowly_out_of_a_full_queue_is_not_silent() {
        assert_eq!(take(300, 120), None);
    }

    #[test]
    fn who_drips_out_of_a_full_queue_or_stops_is_ended() {
        assert_eq!(take(1, 120), Some(Duration::from_secs(7)));
        assert_eq!(take(0, 120), Some(GAP));
    }

    #[test]
    fn what_was_taken_is_not_paid_for_again_when_it_is_replaced() {
        let deadline = Wheel::new(clock::now()).deadline();
        let mut pace = Pace::new(Some(LIMIT));
        let start = clock::now();
        pace.look(start, 1_000, &deadline);
        pace.look(start, 900, &deadline);
        let purse = pace.purse;
        pace.waiting_since = None;
        pace.moved(100, &deadline);
        assert_eq!(pace.purse, purse);
        pace.moved(1, &deadline);
        assert!(pace.purse > purse);
    }
}
