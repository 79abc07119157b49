//! What further tries may cost, and when they are made.
#![expect(clippy::disallowed_methods, reason = "time has to start somewhere")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fairlead_balance::{Budget, backoff};
use proptest::prelude::*;

fn drawn(budget: &Budget, share: u32, now: Instant) -> u32 {
    std::iter::from_fn(|| budget.draw(share, now).then_some(())).count() as u32
}

#[test]
fn a_quiet_pool_has_ten_a_second() {
    let budget = Budget::default();
    let start = Instant::now();
    assert_eq!(drawn(&budget, 200, start), 100);
    assert_eq!(drawn(&budget, 200, start + Duration::from_secs(9)), 0);
    assert_eq!(drawn(&budget, 200, start + Duration::from_secs(10)), 100);
}

#[test]
fn a_busy_pool_has_its_share_of_the_last_ten_seconds() {
    let budget = Budget::default();
    let start = Instant::now();
    for request in 0..2_000 {
        budget.request(start + Duration::from_millis(request));
    }
    assert_eq!(drawn(&budget, 200, start + Duration::from_secs(2)), 400);
    assert_eq!(drawn(&budget, 200, start + Duration::from_secs(30)), 100, "what is long ago counts no more");
}

#[test]
fn threads_together_draw_no_more_than_one() {
    let budget = Budget::default();
    let granted = AtomicU32::new(0);
    let now = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| granted.fetch_add(drawn(&budget, 200, now), Ordering::Relaxed));
        }
    });
    assert_eq!(granted.into_inner(), 100);
}

#[test]
fn waits_are_below_a_ceiling_that_doubles_to_a_second() {
    let base = Duration::from_millis(25);
    for (nth, ceiling) in [(0, 25), (1, 50), (2, 100), (5, 800), (6, 1_000), (60, 1_000)] {
        let ceiling = Duration::from_millis(ceiling);
        assert_eq!(backoff(base, nth, 0), Duration::ZERO);
        assert_eq!(backoff(base, nth, 1 << 63), ceiling / 2);
        assert!(backoff(base, nth, u64::MAX) < ceiling);
    }
    assert_eq!(backoff(Duration::ZERO, 3, u64::MAX), Duration::ZERO);
    assert!(backoff(Duration::from_secs(3), 3, u64::MAX) > Duration::from_secs(2), "a longer base stays");
}

proptest! {
    #[test]
    fn no_ten_seconds_grant_more_than_their_share_or_the_floor(
        steps in prop::collection::vec((0_u64..3_000, 0_usize..300, 0_usize..300), 1..40),
        share in 0_u32..=1_000,
    ) {
        let budget = Budget::default();
        let start = Instant::now();
        let mut at = 0;
        // Second, requests, granted.
        let mut history: Vec<(u64, u64, u64)> = Vec::new();
        for (pause, requests, tries) in steps {
            at += pause;
            let now = start + Duration::from_millis(at);
            if history.is_empty() {
                prop_assert!(budget.draw(0, start), "its clock starts here");
                history.push((0, 0, 1));
            }
            (0..requests).for_each(|_| budget.request(now));
            let granted = (0..tries).filter(|_| budget.draw(share, now)).count() as u64;
            history.push((at / 1_000, requests as u64, granted));
            let window = history.iter().filter(|(second, ..)| second + 10 > at / 1_000);
            let (asked, given) = window.fold((0, 0), |sum, one| (sum.0 + one.1, sum.1 + one.2));
            // What a second granted was within its share then; the requests it was a share of may be gone since.
            if granted > 0 {
                prop_assert!(given <= (asked * u64::from(share) / 1_000).max(100));
            }
        }
    }
}
