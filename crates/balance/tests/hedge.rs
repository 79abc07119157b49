//! Second tries beside a first one.
#![expect(clippy::disallowed_methods, reason = "time has to start somewhere")]

use std::time::{Duration, Instant};

use fairlead_balance::{
    Action, Attempts, Budget, HedgeAfter, HedgeCounts, HedgePolicy, Hedging, Means, Outcome, RetryPolicy,
};
use proptest::prelude::*;

const P95: HedgePolicy = HedgePolicy { after: HedgeAfter::Percentile(95), budget: 50 };

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// 1 to 100 ms, each as often.
fn spread(hedging: &Hedging, times: u64) {
    (0..times).for_each(|number| hedging.observe(millis(1 + number % 100)));
}

#[test]
fn the_delay_is_the_pools_percentile() {
    let hedging = Hedging::default();
    spread(&hedging, 1_000);
    let now = Instant::now();
    for percentile in [50, 90, 95, 99] {
        let policy = HedgePolicy { after: HedgeAfter::Percentile(percentile), ..P95 };
        let exact = millis(u64::from(percentile));
        let delay = hedging.delay(&policy, now).expect("enough is known");
        assert!(exact <= delay && delay <= exact.mul_f64(1.13), "p{percentile}: {delay:?}");
    }
}

#[test]
fn without_a_hundred_answers_nothing_is_hedged() {
    let hedging = Hedging::default();
    let now = Instant::now();
    spread(&hedging, 99);
    assert_eq!(hedging.delay(&P95, now), None);
    spread(&hedging, 1);
    assert_eq!(hedging.delay(&P95, now), None, "it is looked once a second");
    spread(&hedging, 10);
    assert!(hedging.delay(&P95, now + millis(1_000)).is_some());
    assert_eq!(hedging.delay(&P95, now + millis(60_000)), None, "what was long ago is forgotten");
}

#[test]
fn a_fixed_time_needs_no_answers() {
    let policy = HedgePolicy { after: HedgeAfter::Time(millis(50)), budget: 50 };
    assert_eq!(Hedging::default().delay(&policy, Instant::now()), Some(millis(50)));
}

#[test]
fn a_pool_that_becomes_slower_is_followed() {
    let hedging = Hedging::default();
    let mut now = Instant::now();
    for second in 0..120 {
        let slower = if second < 30 { 1 } else { 10 };
        (0..100).for_each(|number| hedging.observe(millis(slower * (1 + number))));
        let _ = hedging.delay(&P95, now);
        now += Duration::from_secs(1);
    }
    let delay = hedging.delay(&P95, now).expect("enough is known");
    assert!(delay >= millis(900), "{delay:?}");
}

fn retry() -> RetryPolicy {
    RetryPolicy::default()
}

#[test]
fn a_request_is_hedged_once_and_only_if_it_may_be_repeated() {
    let (hedging, now, policy) = (Hedging::default(), Instant::now(), retry());
    let mut attempts = Attempts::new(&policy, true);
    assert_eq!(attempts.slow(3, &P95, &hedging, now), Action::Hedge);
    attempts.beside(5);
    assert!(attempts.tried().contains(3) && attempts.tried().contains(5));
    assert_eq!(attempts.slow(5, &P95, &hedging, now + millis(60_000)), Action::Keep);
    let mut unsafe_ = Attempts::new(&policy, false);
    assert_eq!(unsafe_.slow(3, &P95, &Hedging::default(), now), Action::Keep);
}

#[test]
fn a_hedged_request_whose_tries_fail_is_tried_again_elsewhere() {
    let (hedging, budget, now, policy) = (Hedging::default(), Budget::default(), Instant::now(), retry());
    let mut attempts = Attempts::new(&policy, true);
    assert_eq!(attempts.slow(0, &P95, &hedging, now), Action::Hedge);
    attempts.beside(1);
    let means = Means { budget: &budget, now, random: 0, queues: false };
    let reset = Outcome::Reset { member: 0, reused: false, answer_begun: false, request_replayable: true };
    assert_eq!(attempts.next(reset, &means), Action::Send);
    assert!(attempts.tried().contains(0) && attempts.tried().contains(1));
}

#[test]
fn counts_are_kept() {
    let hedging = Hedging::default();
    hedging.sent();
    hedging.sent();
    hedging.won();
    assert_eq!(hedging.counts(), HedgeCounts { sent: 2, won: 1 });
}

proptest! {
    #[test]
    fn second_tries_never_exceed_their_budget(
        requests in prop::collection::vec((0_u64..300, any::<bool>()), 1..2_000),
        thousandths in 0_u32..=200,
    ) {
        let policy = HedgePolicy { budget: thousandths, ..P95 };
        let (hedging, retry) = (Hedging::default(), retry());
        let begin = Instant::now();
        let mut now = begin;
        // Its clock starts here.
        hedging.request(begin);
        let mut made: Vec<(u64, bool)> = vec![(0, false)];
        for (pause, slow) in requests {
            now += millis(pause);
            hedging.request(now);
            let hedged = slow && Attempts::new(&retry, true).slow(0, &policy, &hedging, now) == Action::Hedge;
            made.push(((now - begin).as_secs(), hedged));
            let second = (now - begin).as_secs();
            let window = || made.iter().filter(|(at, _)| at + 10 > second);
            let most = (window().count() as u64 * u64::from(thousandths) / 1_000).max(1);
            // Within a window no more are granted than its requests allow at the end of it.
            if hedged {
                prop_assert!(window().filter(|(_, hedged)| *hedged).count() as u64 <= most);
            }
        }
    }
}
