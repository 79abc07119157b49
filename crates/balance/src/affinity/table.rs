//! Which backend a client went to: a table of fixed size, for all workers, without a lock.
//!
//! **Words.** An entry is one atomic word: 24 bits of the key's hash, 14 of the backend's [ordinal](super::Names), 26 of the
//! second it was last used in. So it is always read and written whole. Two keys that share their bits and a bucket share an
//! entry: for a key that is looked up in a full table a chance of 16 in 2²⁴, and then its client is bound to some backend,
//! as it would be by any pick.
//!
//! **Places.** Buckets are cache lines of eight words; a key belongs to two of them (two choices: Y. Azar et al., "Balanced
//! Allocations", SIAM J. Comput. 29, 1999), and a new one goes to the emptier. So until the table is nine tenths full not one
//! in a hundred has to give way: then it is whoever of the sixteen was not used for the longest time. Nothing ever grows.
//!
//! **Two workers, one new key.** Both may make an entry. Each looks at all sixteen words afterwards: of two entries the one
//! that is found first counts, and the other is struck out by whoever sees both.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::hash::mix;

/// Entries of a fixed number, made now and never grown.
#[derive(Debug)]
pub struct Table {
    buckets: Box<[Bucket]>,
    /// What seconds are counted from: the first that anybody asked about.
    start: OnceLock<Instant>,
    used: AtomicU32,
    evicted: AtomicU64,
    /// Entries that were last used up to this second are due when they are used again.
    due: AtomicU64,
    /// The bucket that is swept next, if counting went on from the first one behind the last one.
    swept: AtomicUsize,
}

/// An entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of its backend.
    pub ordinal: u16,
    /// It was used, and for the first time in this quarter of its time, or since [`Table::renew`].
    pub due: bool,
}

/// What became of an entry that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was written.
    Written,
    /// There is another one, which stays.
    Kept(u16),
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; SLOTS]);

/// Eight words are a cache line.
const SLOTS: usize = 8;

// A word: tag, ordinal, second. Seconds begin with 1, so zero is a free slot.
const SECOND_BITS: u32 = 26;
const ORDINAL_BITS: u32 = 14;
const SECOND: u64 = (1 << SECOND_BITS) - 1;
const TAG: u64 = !((1 << (SECOND_BITS + ORDINAL_BITS)) - 1);

/// There are fewer ordinals than this.
pub(super) const ORDINALS: usize = 1 << ORDINAL_BITS;

/// A worker's clock may be behind another's by so many seconds, and not more.
const AHEAD: u64 = 3_600;

/// All of a table is swept in as many sweeps; one a second makes it a day.
const SWEEPS: usize = 86_400;

/// A few rounds against other workers are lost at the most; who loses more goes without an entry.
const ROUNDS: usize = 8;

/// What a key comes down to.
#[derive(Clone, Copy)]
struct Place {
    tag: u64,
    buckets: [usize; 2],
}

/// Now, and how long an entry lasts, in seconds.
#[derive(Clone, Copy)]
struct Moment {
    second: u64,
    ttl: u64,
}

impl Moment {
    /// How long ago a word was used. A second that is still to come, which another worker has already seen begin, is now.
    fn age(self, word: u64) -> u64 {
        let age = self.second.wrapping_sub(word) & SECOND;
        if age > SECOND - AHEAD { 0 } else { age }
    }

    fn is_fresh(self, word: u64) -> bool {
        word != 0 && self.age(word) <= self.ttl
    }
}

fn ordinal(word: u64) -> u16 {
    (word >> SECOND_BITS) as u16 & (ORDINALS - 1) as u16
}

impl Table {
    /// A table for at most `entries`, at 8 bytes each.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        let buckets = (entries / SLOTS).clamp(1, 1 << 28);
        Self {
            buckets: std::iter::repeat_with(Bucket::default).take(buckets).collect(),
            start: OnceLock::new(),
            used: AtomicU32::new(0),
            evicted: AtomicU64::new(0),
            due: AtomicU64::new(0),
            swept: AtomicUsize::new(0),
        }
    }

    /// Whatever is used from now on is due once.
    pub fn renew(&self, now: Instant) {
        self.due.store(self.moment(now, Duration::ZERO).second, Relaxed);
    }

    /// The entry of a key, if it was used within `ttl`; now it was used again. Times are kept in whole seconds, so that an
    /// entry may last up to a second longer.
    #[must_use]
    pub fn find(&self, key: u64, now: Instant, ttl: Duration) -> Option<Entry> {
        let (place, moment) = (self.place(key), self.moment(now, ttl));
        let is_it = |word: u64| word & TAG == place.tag && moment.is_fresh(word);
        let (slot, word) =
            self.slots(place).map(|slot| (slot, slot.load(Relaxed))).find(|&(_, word)| is_it(word))?;
        let due = moment.age(word) > 0 && {
            let used = word & !SECOND | moment.second;
            // Who loses here leaves it to who was faster.
            let first = slot.compare_exchange(word, used, Relaxed, Relaxed).is_ok();
            let quarter = (moment.ttl / 4).max(1);
            let (before, due) = (word & SECOND, self.due.load(Relaxed));
            let in_another_quarter = before / quarter != moment.second / quarter;
            first && (in_another_quarter || (before <= due && due < moment.second))
        };
        Some(Entry { ordinal: ordinal(word), due })
    }

    /// Writes that the key belongs to `to`, unless by now it belongs to somebody else than `from`.
    pub fn settle(&self, key: u64, from: Option<u16>, to: u16, now: Instant, ttl: Duration) -> Settled {
        self.write(key, to, self.moment(now, ttl), |other| from != Some(other))
    }

    /// Writes that the key belongs to `to`, whoever it belonged to.
    pub fn set(&self, key: u64, to: u16, now: Instant, ttl: Duration) {
        self.write(key, to, self.moment(now, ttl), |_| false);
    }

    /// Frees the places of those whose time is over, in a part of the table: once a second, so that none is there for
    /// so long (two years) that the bits of its second begin anew and it seems to have been used just now.
    pub fn sweep(&self, now: Instant, ttl: Duration) {
        let moment = self.moment(now, ttl);
        let (all, part) = (self.buckets.len(), self.buckets.len().div_ceil(SWEEPS));
        let from = self.swept.fetch_add(part, Relaxed);
        for slot in (0..part).flat_map(|at| &self.buckets[from.wrapping_add(at) % all].0) {
            let word = slot.load(Relaxed);
            let is_over = word != 0 && !moment.is_fresh(word);
            if is_over && slot.compare_exchange(word, 0, SeqCst, SeqCst).is_ok() {
                self.used.fetch_sub(1, Relaxed);
            }
        }
    }

    /// The most entries that it has.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buckets.len() * SLOTS
    }

    /// Entries that it has, those among them whose time is over and who were not swept yet.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }

    /// Entries that gave way to others before their time was over.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    fn write(&self, key: u64, to: u16, moment: Moment, keeps: impl Fn(u16) -> bool) -> Settled {
        let place = self.place(key);
        let new = place.tag | u64::from(to) << SECOND_BITS | moment.second;
        for _ in 0..ROUNDS {
            let own = self.own(place);
            if let Some((_, word)) = own
                && moment.is_fresh(word)
                && ordinal(word) != to
                && keeps(ordinal(word))
            {
                return Settled::Kept(ordinal(word));
            }
            let (slot, word) = own.unwrap_or_else(|| self.victim(place, moment));
            if slot.compare_exchange(word, new, SeqCst, SeqCst).is_err() {
                continue;
            }
            if own.is_some() {
                return Settled::Written;
            }
            if word == 0 {
                self.used.fetch_add(1, Relaxed);
            } else if moment.is_fresh(word) {
                self.evicted.fetch_add(1, Relaxed);
            }
            return self.deduplicate(place, new);
        }
        Settled::Written
    }

    /// The first slot that has the key.
    fn own(&self, place: Place) -> Option<(&AtomicU64, u64)> {
        let mut words = self.slots(place).map(|slot| (slot, slot.load(SeqCst)));
        words.find(|&(_, word)| word != 0 && word & TAG == place.tag)
    }

    /// Where a new key goes: a free slot of the emptier bucket, else whichever was not used for the longest time.
    fn victim(&self, place: Place, moment: Moment) -> (&AtomicU64, u64) {
        let free = |bucket: usize| {
            let words = self.buckets[bucket].0.iter().map(|slot| (slot, slot.load(SeqCst)));
            let mut free = words.filter(|&(_, word)| word == 0);
            let first = free.next();
            (usize::from(first.is_some()) + free.count(), first)
        };
        let [(one, first), (other, second)] = place.buckets.map(free);
        let emptier = if other > one { second } else { first };
        emptier.unwrap_or_else(|| {
            let words = self.slots(place).map(|slot| (slot, slot.load(SeqCst)));
            words
                .max_by_key(|&(_, word)| if word == 0 { u64::MAX } else { moment.age(word) })
                .expect("invariant: a bucket has slots")
        })
    }

    /// After `new` was written as a further entry: of several of its key only the first stays.
    fn deduplicate(&self, place: Place, new: u64) -> Settled {
        let mut first: Option<u64> = None;
        for slot in self.slots(place) {
            let word = slot.load(SeqCst);
            if word == 0 || word & TAG != place.tag {
                continue;
            }
            match first {
                None => first = Some(word),
                Some(_) if slot.compare_exchange(word, 0, SeqCst, SeqCst).is_ok() => {
                    self.used.fetch_sub(1, Relaxed);
                }
                Some(_) => {}
            }
        }
        match first {
            Some(word) if ordinal(word) != ordinal(new) => Settled::Kept(ordinal(word)),
            _ => Settled::Written,
        }
    }

    fn slots(&self, place: Place) -> impl Iterator<Item = &AtomicU64> {
        let [one, other] = place.buckets;
        // A key's two buckets may be one: then it is looked at once.
        let other = if one == other { &[][..] } else { &self.buckets[other].0[..] };
        self.buckets[one].0.iter().chain(other)
    }

    fn place(&self, key: u64) -> Place {
        let bucket = |hash: u64| ((u128::from(hash) * self.buckets.len() as u128) >> 64) as usize;
        // Independent of each other and of the tag, whatever of the key's bits its maker mixed well.
        let tag = mix(key, TAGGING) & TAG;
        Place { tag, buckets: [bucket(mix(key, ONE)), bucket(mix(key, OTHER))] }
    }

    fn moment(&self, now: Instant, ttl: Duration) -> Moment {
        let second = now.saturating_duration_since(*self.start.get_or_init(|| now)).as_secs() + 1;
        // All of the bits may be zero once in two years: a second late is better than no entry.
        let second = (second & SECOND).max(1);
        Moment { second, ttl: ttl.as_secs().min(SECOND / 2 + SECOND / 4) }
    }
}

const TAGGING: u64 = 0x7461_6700;
const ONE: u64 = 0x6f6e_6500;
const OTHER: u64 = 0x6f74_6865_7200;

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_mins(1);

    #[expect(clippy::disallowed_methods, reason = "time has to start somewhere")]
    fn start() -> Instant {
        Instant::now()
    }

    fn found(table: &Table, key: u64, now: Instant) -> Option<u16> {
        table.find(key, now, TTL).map(|entry| entry.ordinal)
    }

    #[test]
    fn an_entry_lasts_for_its_time_after_its_last_use() {
        let start = start();
        let table = Table::new(1_000);
        let at = |seconds| start + Duration::from_secs(seconds);
        table.set(7, 3, at(0), TTL);
        assert_eq!(found(&table, 7, at(50)), Some(3));
        assert_eq!(found(&table, 7, at(110)), Some(3));
        assert_eq!(found(&table, 7, at(172)), None);
        assert_eq!(found(&table, 8, at(0)), None);
        assert_eq!((table.used(), table.evicted()), (1, 0));
        // Its place is taken again, by its own key as by any.
        assert_eq!(table.settle(7, None, 4, at(172), TTL), Settled::Written);
        assert_eq!((found(&table, 7, at(172)), table.used()), (Some(4), 1));
    }

    #[test]
    fn a_use_is_due_once_a_quarter_of_the_time() {
        let start = start();
        let table = Table::new(1_000);
        table.set(7, 3, start, TTL);
        let uses = (0..120).filter(|&second| {
            let now = start + Duration::from_secs(second);
            // Twice in each second: the second one sees nothing new.
            let due = table.find(7, now, TTL).expect("it is in use").due;
            assert!(!table.find(7, now, TTL).expect("it is in use").due);
            due
        });
        assert_eq!(uses.count(), 8);
    }

    #[test]
    fn everything_is_due_once_after_a_renewal() {
        let start = start();
        let table = Table::new(1_000);
        let ttl = Duration::from_secs(4_000);
        let due = |second| table.find(7, start + Duration::from_secs(second), ttl).expect("it is in use").due;
        table.set(7, 3, start + Duration::from_secs(10), ttl);
        assert!(!due(11));
        table.renew(start + Duration::from_secs(11));
        assert_eq!([11, 12, 12, 13].map(due), [false, true, false, false]);
        table.renew(start + Duration::from_secs(50));
        assert_eq!([50, 51, 52].map(due), [false, true, false]);
    }

    #[test]
    fn who_settled_first_stays_unless_it_was_known_to_be_left() {
        let now = start();
        let table = Table::new(1_000);
        assert_eq!(table.settle(7, None, 1, now, TTL), Settled::Written);
        assert_eq!(table.settle(7, None, 2, now, TTL), Settled::Kept(1));
        assert_eq!(table.settle(7, Some(1), 3, now, TTL), Settled::Written);
        assert_eq!(table.settle(7, Some(1), 2, now, TTL), Settled::Kept(3));
        assert_eq!(table.settle(7, Some(1), 3, now, TTL), Settled::Written);
        table.set(7, 5, now, TTL);
        assert_eq!((found(&table, 7, now), table.used()), (Some(5), 1));
    }

    #[test]
    fn the_longest_times_are_kept_to_the_second() {
        let start = start();
        let table = Table::new(1_000);
        let ttl = Duration::from_hours(400 * 24);
        let at = |days: u64| start + Duration::from_hours(days * 24);
        let find = |days| table.find(7, at(days), ttl).is_some();
        table.set(7, 3, start, ttl);
        table.set(8, 3, start, TTL);
        assert!(find(399));
        assert!(find(399 + 399));
        assert!(!find(399 + 399 + 401));
        for days in [1, 387, 389, 500, 700, 775] {
            assert_eq!(found(&table, 8, at(days)), None, "{days} days later");
        }
    }

    #[test]
    fn what_is_swept_in_time_never_comes_back() {
        let start = start();
        let table = Table::new(1_000);
        let at = |seconds| start + Duration::from_secs(seconds);
        for key in 0..900 {
            table.set(key, 3, at(0), TTL);
        }
        table.set(1_000, 3, at(3_600), TTL);
        for _ in 0..table.capacity() / SLOTS {
            table.sweep(at(3_600), TTL);
        }
        assert_eq!((table.used(), found(&table, 1_000, at(3_601))), (1, Some(3)));
        let anew = SECOND + 10;
        assert!((0..900).all(|key| found(&table, key, at(anew)).is_none()));
    }

    #[test]
    fn a_second_that_another_worker_has_already_seen_is_now() {
        let start = start();
        let table = Table::new(8);
        table.set(1, 1, start + Duration::from_secs(10), TTL);
        assert_eq!(found(&table, 1, start + Duration::from_secs(9)), Some(1));
    }

    #[test]
    fn hardly_anybody_gives_way_before_a_table_is_nine_tenths_full() {
        let now = start();
        let table = Table::new(80_000);
        for key in 0..64_000 {
            table.set(key, 1, now, TTL);
        }
        assert!(table.evicted() < 32, "{} gave way at eight tenths", table.evicted());
        for key in 64_000..72_000 {
            table.set(key, 1, now, TTL);
        }
        assert_eq!(table.capacity(), 80_000);
        assert!(table.evicted() < 720, "{} gave way at nine tenths", table.evicted());
    }
}
