//! Circuit breakers of backends.
#![expect(clippy::disallowed_methods, reason = "time has to start somewhere")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_balance::{
    BackendLive, BreakerPolicy, BreakerState, Breaking, Live, Pass, Phase, Standing, State,
};
use proptest::prelude::*;

const POLICY: BreakerPolicy = BreakerPolicy {
    error_thousandths: 500,
    window: Duration::from_secs(10),
    min_requests: 20,
    open: Duration::from_secs(5),
};

fn backend() -> Arc<BackendLive> {
    Live::new().backend("app", "a")
}

/// A request that is let in and answered.
fn request(live: &BackendLive, failed: bool, now: Instant) -> Breaking {
    live.outcome(failed, live.admit(now).expect("it is let in"), &POLICY, now)
}

/// Fails until the breaker opens.
fn open(live: &BackendLive, now: Instant) -> Phase {
    let opened = (0..20).map(|_| request(live, true, now)).last();
    let Some(Breaking::Opened(phase)) = opened else { panic!("twenty errors gave {opened:?}") };
    phase
}

/// Opens at `now`, and half-opens at the time that is returned.
fn half_open(live: &BackendLive, now: Instant) -> (Phase, Instant) {
    let phase = open(live, now);
    let later = now + POLICY.open;
    assert_eq!(live.tend(phase, POLICY.open, later), Some(POLICY.open));
    assert_eq!(live.standing().breaker(), BreakerState::HalfOpen);
    (phase, later)
}

#[test]
fn it_opens_at_its_share_of_enough_requests() {
    let live = backend();
    let now = Instant::now();
    let late = live.admit(now).expect("closed");
    for _ in 0..19 {
        assert_eq!(request(&live, true, now), Breaking::Stays);
    }
    assert!(live.standing().is_open());
    assert!(matches!(request(&live, true, now), Breaking::Opened(_)));
    assert!(!live.standing().is_open());
    assert_eq!(live.admit(now), None);
    assert_eq!(live.outcome(true, late, &POLICY, now), Breaking::Stays, "what comes late changes nothing");
}

#[test]
fn fewer_errors_or_older_ones_leave_it_closed() {
    let live = backend();
    let now = Instant::now();
    for number in 0..400 {
        assert_eq!(request(&live, number % 5 < 2, now), Breaking::Stays);
    }
    let live = backend();
    for number in 0..60 {
        let at = now + Duration::from_secs(number);
        assert_eq!(request(&live, true, at), Breaking::Stays, "ten in ten seconds");
    }
}

#[test]
fn it_half_opens_when_its_time_is_over_and_not_before() {
    let now = Instant::now();
    let live = backend();
    let phase = open(&live, now);
    let nearly = now + POLICY.open.saturating_sub(Duration::from_millis(1));
    assert_eq!(live.tend(phase, POLICY.open, nearly), Some(Duration::from_millis(1)));
    assert_eq!(live.standing().breaker(), BreakerState::Open);
    assert_eq!(live.tend(phase, Duration::from_secs(1), nearly), Some(Duration::from_secs(1)));
    assert_eq!(live.standing().breaker(), BreakerState::HalfOpen, "a shorter time holds at once");
}

#[test]
fn half_open_it_takes_one_trial_that_decides() {
    for failed in [false, true] {
        let live = backend();
        let (_, now) = half_open(&live, Instant::now());
        let trial = live.admit(now).expect("one trial");
        assert!(trial.is_trial() && live.admit(now).is_none() && !live.standing().is_open());
        let breaking = live.outcome(failed, trial, &POLICY, now);
        assert_eq!(matches!(breaking, Breaking::Opened(_)), failed, "{breaking:?}");
        assert_eq!(breaking == Breaking::Closed, !failed, "{breaking:?}");
        assert_eq!(live.standing().is_open(), !failed);
    }
}

#[test]
fn a_trial_without_an_outcome_is_had_by_the_next() {
    let live = backend();
    let (_, now) = half_open(&live, Instant::now());
    live.give_back(live.admit(now).expect("a trial"));
    assert!(live.admit(now).is_some_and(Pass::is_trial));
}

#[test]
fn a_trial_that_doesnt_end_is_had_by_the_next_after_a_while() {
    let live = backend();
    let (phase, now) = half_open(&live, Instant::now());
    let endless = live.admit(now).expect("a trial");
    let nearly = now + POLICY.open.saturating_sub(Duration::from_millis(1));
    assert_eq!(live.tend(phase, POLICY.open, nearly), Some(Duration::from_millis(1)));
    assert_eq!(live.admit(nearly), None);
    let later = now + POLICY.open;
    assert_eq!(live.tend(phase, POLICY.open, later), Some(POLICY.open));
    let next = live.admit(later).expect("the next trial");
    live.give_back(endless);
    assert_eq!(live.admit(later), None, "the trial is the next one's now");
    assert_eq!(live.outcome(false, next, &POLICY, later), Breaking::Closed);
}

#[test]
fn an_answer_that_takes_longer_than_a_trial_may_decides_nevertheless() {
    for failed in [false, true] {
        let live = backend();
        let (phase, now) = half_open(&live, Instant::now());
        let slow = live.admit(now).expect("a trial");
        let later = now + POLICY.open;
        let _ = live.tend(phase, POLICY.open, later);
        let next = live.admit(later).expect("the next trial");
        assert_eq!(matches!(live.outcome(failed, slow, &POLICY, later), Breaking::Opened(_)), failed);
        assert_eq!(live.standing().is_open(), !failed);
        assert_eq!(live.outcome(!failed, next, &POLICY, later), Breaking::Stays, "it was decided before");
    }
}

#[test]
fn after_it_closed_it_counts_anew() {
    let live = backend();
    let (_, now) = half_open(&live, Instant::now());
    assert_eq!(request(&live, false, now), Breaking::Closed);
    for _ in 0..19 {
        assert_eq!(request(&live, true, now), Breaking::Stays);
    }
}

#[test]
fn what_an_earlier_phase_let_in_moves_nothing() {
    let live = backend();
    live.move_to("127.0.0.1:1");
    let (first, now) = half_open(&live, Instant::now());
    let late = live.admit(now).expect("a trial");
    live.move_to("127.0.0.1:2");
    assert_eq!(live.standing().breaker(), BreakerState::Closed, "what moved begins anew");
    let (_, now) = half_open(&live, now);
    assert_eq!(live.tend(first, POLICY.open, now), None, "another opening");
    let present = live.admit(now).expect("a trial");
    assert_eq!(live.outcome(false, late, &POLICY, now), Breaking::Stays);
    live.give_back(late);
    assert_eq!(live.admit(now), None, "the trial is still the present one's");
    assert_eq!(live.outcome(false, present, &POLICY, now), Breaking::Closed);
}

#[test]
fn without_a_breaker_nobody_is_shut_out_by_the_one_it_had() {
    let live = backend();
    let now = Instant::now();
    let phase = open(&live, now);
    assert!(live.drop_breaker() && live.standing().is_open());
    assert!(!live.drop_breaker(), "there is none any more");
    assert_eq!(live.tend(phase, POLICY.open, now + POLICY.open), None);
    for _ in 0..19 {
        assert_eq!(request(&live, true, now), Breaking::Stays, "another one counts anew");
    }
}

#[test]
fn judging_and_breaking_leave_each_other_alone() {
    let live = backend();
    let now = Instant::now();
    let phase = open(&live, now);
    live.stand(Standing::new(State::Degraded, 100));
    assert!(!live.standing().is_open());
    let _ = live.tend(phase, POLICY.open, now + POLICY.open);
    assert!(live.standing().is_open());
    assert_eq!((live.standing().state(), live.standing().share()), (State::Degraded, 100));
}

/// What happens next, and to which of those under way.
#[derive(Debug, Clone, Copy)]
enum Step {
    Arrives,
    Answered {
        which: prop::sample::Index,
        failed: bool,
    },
    Leaves(prop::sample::Index),
    /// Somebody looks after the breaker that opened so.
    Tended(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    let step = prop_oneof![
        4 => Just(Step::Arrives),
        4 => (any::<prop::sample::Index>(), prop::bool::weighted(0.8))
            .prop_map(|(which, failed)| Step::Answered { which, failed }),
        1 => any::<prop::sample::Index>().prop_map(Step::Leaves),
        1 => any::<prop::sample::Index>().prop_map(Step::Tended),
    ];
    prop::collection::vec((step, 0_u64..200), 0..400)
}

proptest! {
    #[test]
    fn whatever_happens_trials_come_one_after_another_and_there_is_a_way_back(steps in steps()) {
        let policy = BreakerPolicy { min_requests: 5, open: Duration::from_secs(1), ..POLICY };
        let live = backend();
        let mut now = Instant::now();
        let mut under_way: Vec<(Pass, Instant)> = Vec::new();
        let mut phases: Vec<Phase> = Vec::new();
        // Those that the breaker may count, since it closed last.
        let mut counted = 0;
        for (step, pause) in steps {
            now += Duration::from_millis(pause);
            let before = live.standing().breaker();
            let mut take = |which: prop::sample::Index| (!under_way.is_empty()).then(|| under_way.remove(which.index(under_way.len())).0);
            match step {
                Step::Arrives => {
                    if let Some(pass) = live.admit(now) {
                        prop_assert_ne!(before, BreakerState::Open);
                        prop_assert_eq!(pass.is_trial(), before == BreakerState::HalfOpen);
                        let is_in_time = |(one, since): &(Pass, Instant)| one.is_trial() && now - *since < policy.open;
                        prop_assert!(!pass.is_trial() || !under_way.iter().any(is_in_time), "one trial at a time");
                        under_way.push((pass, now));
                    }
                }
                Step::Answered { which, failed } => {
                    let Some(pass) = take(which) else { continue };
                    counted += u32::from(before == BreakerState::Closed);
                    match live.outcome(failed, pass, &policy, now) {
                        Breaking::Stays => {}
                        Breaking::Closed => {
                            prop_assert!(pass.is_trial() && !failed);
                            counted = 0;
                        }
                        Breaking::Opened(phase) => {
                            prop_assert!(failed);
                            prop_assert!(pass.is_trial() || counted >= policy.min_requests, "after {counted}");
                            phases.push(phase);
                        }
                    }
                }
                Step::Leaves(which) => {
                    if let Some(pass) = take(which) {
                        live.give_back(pass);
                    }
                }
                Step::Tended(which) if !phases.is_empty() => {
                    let phase = phases[which.index(phases.len())];
                    let again = live.tend(phase, policy.open, now);
                    prop_assert!(again.is_none_or(|wait| !wait.is_zero() && wait <= policy.open));
                    prop_assert_eq!(again.is_some(), before != BreakerState::Closed && phases.last() == Some(&phase));
                }
                Step::Tended(_) => {}
            }
        }
        // Nobody leaves and nobody is answered any more. Whoever looks after it comes when he said he would.
        let mut looks = 0;
        while !live.standing().is_open() {
            let phase = *phases.last().expect("it has opened");
            now += live.tend(phase, policy.open, now).expect("it isn't closed");
            looks += 1;
            prop_assert!(looks <= 2, "it is stuck");
        }
        let pass = live.admit(now).expect("let in");
        live.outcome(false, pass, &policy, now);
        prop_assert_eq!(live.standing().breaker(), BreakerState::Closed);
    }
}
