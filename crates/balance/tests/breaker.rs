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
    Live::new().backend("app", "a", "127.0.0.1:1")
}

/// A request that is let in and answered.
fn request(live: &BackendLive, failed: bool, now: Instant) -> Breaking {
    live.outcome(failed, live.admit().expect("it is let in"), &POLICY, now)
}

/// Fails until the breaker opens.
fn open(live: &BackendLive, now: Instant) -> Phase {
    let opened = (0..20).map(|_| request(live, true, now)).last();
    let Some(Breaking::Opened(phase)) = opened else { panic!("twenty errors gave {opened:?}") };
    phase
}

#[test]
fn it_opens_at_its_share_of_enough_requests() {
    let live = backend();
    let now = Instant::now();
    let late = live.admit().expect("closed");
    for _ in 0..19 {
        assert_eq!(request(&live, true, now), Breaking::Stays);
    }
    assert!(live.standing().is_open());
    assert!(matches!(request(&live, true, now), Breaking::Opened(_)));
    assert!(!live.standing().is_open());
    assert_eq!(live.admit(), None);
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
fn half_open_it_takes_one_trial_that_decides() {
    let now = Instant::now();
    for failed in [false, true] {
        let live = backend();
        live.half_open(open(&live, now));
        assert_eq!(live.standing().breaker(), BreakerState::HalfOpen);
        let trial = live.admit().expect("one trial");
        assert!(trial.is_trial() && live.admit().is_none() && !live.standing().is_open());
        let breaking = live.outcome(failed, trial, &POLICY, now);
        assert_eq!(matches!(breaking, Breaking::Opened(_)), failed, "{breaking:?}");
        assert_eq!(breaking == Breaking::Closed, !failed, "{breaking:?}");
        assert_eq!(live.standing().is_open(), !failed);
    }
}

#[test]
fn a_trial_without_an_outcome_is_had_by_the_next() {
    let live = backend();
    live.half_open(open(&live, Instant::now()));
    live.give_back(live.admit().expect("a trial"));
    assert!(live.admit().is_some_and(Pass::is_trial));
}

#[test]
fn after_it_closed_it_counts_anew() {
    let now = Instant::now();
    let live = backend();
    live.half_open(open(&live, now));
    assert_eq!(request(&live, false, now), Breaking::Closed);
    for _ in 0..19 {
        assert_eq!(request(&live, true, now), Breaking::Stays);
    }
}

#[test]
fn what_an_earlier_phase_let_in_moves_nothing() {
    let now = Instant::now();
    let known = Live::new();
    let live = known.backend("app", "a", "127.0.0.1:1");
    let first = open(&live, now);
    live.half_open(first);
    let late = live.admit().expect("a trial");
    let moved = known.backend("app", "a", "127.0.0.1:2");
    assert_eq!(moved.standing().breaker(), BreakerState::Closed, "what moved begins anew");
    let second = open(&moved, now);
    moved.half_open(first);
    assert_eq!(moved.standing().breaker(), BreakerState::Open, "the timer of another opening");
    moved.half_open(second);
    let present = moved.admit().expect("a trial");
    assert_eq!(moved.outcome(false, late, &POLICY, now), Breaking::Stays);
    moved.give_back(late);
    assert_eq!(moved.admit(), None, "the trial is still the present one's");
    assert_eq!(moved.outcome(false, present, &POLICY, now), Breaking::Closed);
}

#[test]
fn judging_and_breaking_leave_each_other_alone() {
    let live = backend();
    let phase = open(&live, Instant::now());
    live.stand(Standing::new(State::Degraded, 100));
    assert!(!live.standing().is_open());
    live.half_open(phase);
    assert_eq!((live.standing().state(), live.standing().share()), (State::Degraded, 100));
}

/// What happens next, and to which of those under way.
#[derive(Debug, Clone, Copy)]
enum Step {
    Arrives,
    Answered { which: prop::sample::Index, failed: bool },
    Leaves(prop::sample::Index),
    TimerOf(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    let step = prop_oneof![
        4 => Just(Step::Arrives),
        4 => (any::<prop::sample::Index>(), prop::bool::weighted(0.8))
            .prop_map(|(which, failed)| Step::Answered { which, failed }),
        1 => any::<prop::sample::Index>().prop_map(Step::Leaves),
        1 => any::<prop::sample::Index>().prop_map(Step::TimerOf),
    ];
    prop::collection::vec((step, 0_u64..200), 0..400)
}

proptest! {
    #[test]
    fn whatever_happens_there_is_one_trial_at_a_time_and_a_way_back(steps in steps()) {
        let policy = BreakerPolicy { min_requests: 5, ..POLICY };
        let live = backend();
        let mut now = Instant::now();
        let mut under_way: Vec<Pass> = Vec::new();
        let mut phases: Vec<Phase> = Vec::new();
        // Those that the breaker may count, since it closed last.
        let mut counted = 0;
        for (step, pause) in steps {
            now += Duration::from_millis(pause);
            let mut take = |which: prop::sample::Index| (!under_way.is_empty()).then(|| under_way.remove(which.index(under_way.len())));
            match step {
                Step::Arrives => {
                    let before = live.standing().breaker();
                    if let Some(pass) = live.admit() {
                        prop_assert_ne!(before, BreakerState::Open);
                        prop_assert_eq!(pass.is_trial(), before == BreakerState::HalfOpen);
                        prop_assert!(!pass.is_trial() || !under_way.iter().any(|one| one.is_trial()), "one trial at a time");
                        under_way.push(pass);
                    }
                }
                Step::Answered { which, failed } => {
                    let Some(pass) = take(which) else { continue };
                    let closed = live.standing().breaker() == BreakerState::Closed;
                    counted += u32::from(closed);
                    match live.outcome(failed, pass, &policy, now) {
                        Breaking::Stays => {}
                        Breaking::Closed => counted = 0,
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
                Step::TimerOf(which) if !phases.is_empty() => {
                    let phase = phases[which.index(phases.len())];
                    let before = live.standing().breaker();
                    live.half_open(phase);
                    let opens = before == BreakerState::Open && phases.last() == Some(&phase);
                    prop_assert_eq!(live.standing().breaker() == BreakerState::HalfOpen, opens || before == BreakerState::HalfOpen);
                }
                Step::TimerOf(_) => {}
            }
        }
        // Everybody leaves and the last timer runs out: then a request that is answered well closes it.
        under_way.drain(..).for_each(|pass| live.give_back(pass));
        if let Some(&phase) = phases.last() {
            live.half_open(phase);
        }
        prop_assert!(live.standing().is_open());
        let pass = live.admit().expect("let in");
        live.outcome(false, pass, &policy, now);
        prop_assert_eq!(live.standing().breaker(), BreakerState::Closed);
    }
}
