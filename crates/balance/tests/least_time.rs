//! Least time: (active + 1) × time / weight.

mod support;

use std::time::Duration;

use fairlead_balance::{Algorithm, Picker, Score, Tried};
use proptest::prelude::*;
use support::{TIME, Worker, picker, tried};

const LEAST_TIME: Algorithm = Algorithm::LeastTime(TIME);

fn learn(picker: &Picker, worker: &Worker<'_>, micros: &[u64]) {
    for (member, &micros) in micros.iter().enumerate() {
        picker.observe(member, Duration::from_micros(micros), worker.now);
    }
}

proptest! {
    #[test]
    fn up_to_64_members_the_pick_has_the_lowest_score(
        members in prop::collection::vec((0_u32..=65_535, 1_u64..10_000_000, 0_u32..20), 1..=64),
        already in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let picker = picker(LEAST_TIME, &members.iter().map(|member| member.0).collect::<Vec<_>>());
        let mut worker = Worker::new(&picker);
        learn(&picker, &worker, &members.iter().map(|member| member.1).collect::<Vec<_>>());
        for (member, &(_, _, active)) in picker.members().iter().zip(&members) {
            (0..active).for_each(|_| member.live.begin());
        }
        let already: Vec<usize> = already.iter().map(|index| index.index(members.len())).collect();
        let score = |member: usize| {
            let (weight, micros, active) = members[member];
            (f64::from(active) + 1.0) * Duration::from_micros(micros).as_secs_f64() / f64::from(weight)
        };
        let usable = |&member: &usize| members[member].0 > 0 && !already.contains(&member);
        let lowest = (0..members.len()).filter(usable).map(score).fold(f64::INFINITY, f64::min);
        match worker.pick(&tried(&already)) {
            // Averages are kept to 5 digits.
            Ok(member) => prop_assert!(usable(&member) && score(member) <= lowest * 1.0001),
            Err(_) => prop_assert!(lowest.is_infinite()),
        }
    }
}

#[test]
fn a_new_member_gets_one_request_and_no_more_until_it_has_answered() {
    let picker = picker(LEAST_TIME, &[1, 1, 1]);
    let mut worker = Worker::new(&picker);
    learn(&picker, &worker, &[10_000, 10_000]);
    assert_eq!(worker.pick(&Tried::new()), Ok(2));
    for _ in 0..50 {
        assert_ne!(worker.pick(&Tried::new()), Ok(2));
    }
    picker.members()[2].live.end();
    picker.observe(2, Duration::from_millis(10), worker.now);
    assert_eq!(worker.pick(&Tried::new()), Ok(2));
}

#[test]
fn a_new_member_that_fails_is_not_asked_first_again() {
    let picker = picker(LEAST_TIME, &[1, 1]);
    let mut worker = Worker::new(&picker);
    learn(&picker, &worker, &[10_000]);
    assert_eq!(worker.serve(), 1);
    picker.failed(1, worker.now);
    assert_eq!(worker.shares(50), [50, 0]);
}

#[test]
fn a_pool_in_which_nothing_is_known_is_tried_all_round() {
    let picker = picker(LEAST_TIME, &[1; 5]);
    let mut worker = Worker::new(&picker);
    let picks: Vec<_> = (0..10).map(|_| worker.pick(&Tried::new()).expect("there is no limit")).collect();
    assert_eq!(picks, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

#[test]
fn a_member_that_was_slow_is_asked_again_some_day() {
    let picker = picker(LEAST_TIME, &[1, 1]);
    let mut worker = Worker::new(&picker);
    learn(&picker, &worker, &[10_000, 1_000_000]);
    let begun = worker.now;
    let mut waited = 0;
    while worker.serve() != 1 {
        waited += 1;
        worker.now = begun + Duration::from_secs(waited);
        picker.observe(0, Duration::from_millis(10), worker.now);
    }
    // ln(100) windows of 10 s.
    assert!((46..=47).contains(&waited), "{waited}");
}

#[test]
fn requests_in_flight_are_spread_inversely_to_time() {
    for algorithm in [LEAST_TIME, Algorithm::Random { choices: 2, by: Score::LeastTime(TIME) }] {
        let picker = picker(algorithm, &[1, 1, 2]);
        let mut worker = Worker::new(&picker);
        learn(&picker, &worker, &[10_000, 20_000, 20_000]);
        for _ in 0..1_000 {
            worker.pick(&Tried::new()).expect("there is no limit");
        }
        for (member, expected) in picker.members().iter().zip([400, 200, 400_u32]) {
            assert!(member.live.in_flight().abs_diff(expected) <= 12, "{algorithm:?}");
        }
    }
}

#[test]
fn algorithms_that_do_not_go_by_time_keep_none() {
    let picker = picker(Algorithm::LeastConnections, &[1]);
    let now = support::now();
    picker.observe(0, Duration::from_secs(1), now);
    assert_eq!(picker.members()[0].live.estimate(now, TIME), None);
}
