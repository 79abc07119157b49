//! What further tries of a pool may cost: a share of its requests, counted over the last ten seconds.
//!
//! A fixed number of tries multiplies the load of a pool exactly when it can bear least. A budget adds the same share
//! at any load, so a pool that fails whole gets a fifth more, not twice as much. The floor lets a quiet pool try again
//! at all.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Seconds that are looked back, the one under way included.
const WINDOW: u64 = 10;

/// Tries that are always granted within the window: ten a second.
const FLOOR: u64 = 10 * WINDOW;

/// Requests and the further tries they were granted, second by second, shared by all workers.
///
/// Exact for whoever agrees on the second. Where the second turns while several workers draw, each of them may draw one
/// more than it should.
#[derive(Debug, Default)]
pub struct Budget {
    /// What seconds are counted from: the first time anybody asked.
    epoch: OnceLock<Instant>,
    requests: [Bucket; WINDOW as usize],
    granted: [Bucket; WINDOW as usize],
}

/// The count of one second: the second in the upper half, so that an old one is known to be old.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

impl Bucket {
    fn word(second: u64, count: u64) -> u64 {
        second << 32 | count.min(u64::from(u32::MAX))
    }

    /// What `word` counts in `second`.
    fn count(word: u64, second: u64) -> u64 {
        if word >> 32 == second & u64::from(u32::MAX) { word & u64::from(u32::MAX) } else { 0 }
    }

    /// What was counted in the window's seconds before `second`.
    fn before(buckets: &[Self; WINDOW as usize], second: u64) -> u64 {
        (second.saturating_sub(WINDOW - 1)..second)
            .map(|at| Self::count(buckets[(at % WINDOW) as usize].0.load(Relaxed), at))
            .sum()
    }
}

impl Budget {
    /// A request was made, its first try.
    pub fn request(&self, now: Instant) {
        let second = self.second(now);
        // `fetch_update` fails only if told to.
        let _ = self.requests[(second % WINDOW) as usize].0.fetch_update(Relaxed, Relaxed, |word| {
            Some(Bucket::word(second, Bucket::count(word, second) + 1))
        });
    }

    /// Takes one further try, if `thousandths` of the window's requests or the floor have one left.
    #[must_use]
    pub fn draw(&self, thousandths: u32, now: Instant) -> bool {
        self.draw_above(FLOOR, thousandths, now)
    }

    /// The same with another floor: so many in the window are always granted.
    pub(crate) fn draw_above(&self, floor: u64, thousandths: u32, now: Instant) -> bool {
        let second = self.second(now);
        let at = (second % WINDOW) as usize;
        let requests =
            Bucket::before(&self.requests, second) + Bucket::count(self.requests[at].0.load(Relaxed), second);
        let most = (requests * u64::from(thousandths) / 1_000).max(floor);
        let earlier = Bucket::before(&self.granted, second);
        // Only this second's bucket still grows, so who has drawn in between makes the exchange fail and is counted.
        let drawn = self.granted[at].0.fetch_update(Relaxed, Relaxed, |word| {
            let here = Bucket::count(word, second);
            (earlier + here < most).then(|| Bucket::word(second, here + 1))
        });
        drawn.is_ok()
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(*self.epoch.get_or_init(|| now)).as_secs()
    }
}
