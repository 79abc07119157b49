//! Shares of weight: each algorithm spreads by weight × share.

mod support;

use fairlead_balance::{Algorithm, Live, NoBackend, Picker, Standing, State, Tried};
use support::{TIME, Worker, picker};

/// Those that spread by chance or in turn, so that requests which end at once show their shares.
const SPREADING: [Algorithm; 2] =
    [Algorithm::RoundRobin, Algorithm::Random { choices: 1, by: fairlead_balance::Score::LeastConnections }];

#[expect(clippy::cast_sign_loss, reason = "shares are 0 to 1")]
fn stand(picker: &Picker, shares: &[f64]) {
    for (member, share) in picker.members().iter().zip(shares) {
        let share = (share * f64::from(Standing::WHOLE)) as u32;
        member.live.stand(Standing::new(State::Degraded, share));
    }
}

#[test]
fn requests_are_spread_by_weight_and_share() {
    let weights = [4, 2, 1, 1, 8];
    let shares = [1.0, 0.3, 0.05, 0.0, 0.5];
    for algorithm in SPREADING {
        let picker = picker(algorithm, &weights);
        stand(&picker, &shares);
        let served = Worker::new(&picker).shares(100_000);
        let effective: Vec<f64> =
            weights.iter().zip(shares).map(|(&weight, share)| f64::from(weight) * share).collect();
        let total: f64 = effective.iter().sum();
        for (member, (&served, effective)) in served.iter().zip(effective).enumerate() {
            let expected = 100_000.0 * effective / total;
            // Six standard deviations at most.
            let off = (f64::from(served as u32) - expected).abs();
            assert!(
                off <= 6.0 * expected.sqrt(),
                "{algorithm:?}, {member}: {served} instead of {expected:.0}"
            );
        }
    }
}

#[test]
fn where_all_have_the_same_small_share_nothing_changes() {
    for algorithm in SPREADING {
        let picker = picker(algorithm, &[1; 10]);
        stand(&picker, &[0.01; 10]);
        for served in Worker::new(&picker).shares(50_000) {
            assert!(served.abs_diff(5_000) < 450, "{algorithm:?}: {served}");
        }
    }
}

#[test]
fn those_that_are_left_take_exact_turns_while_another_is_down() {
    let picker = picker(Algorithm::RoundRobin, &[1, 1, 1, 1]);
    picker.members()[2].live.stand(Standing::new(State::Down, 0));
    let mut worker = Worker::new(&picker);
    // It is noticed when its turn comes.
    worker.shares(3);
    for _ in 0..10 {
        assert_eq!(worker.shares(3), [1, 1, 0, 1]);
    }
}

#[test]
fn requests_that_stay_are_spread_by_share() {
    for algorithm in [Algorithm::LeastConnections, Algorithm::LeastTime(TIME), Algorithm::TWO_CHOICES] {
        let picker = picker(algorithm, &[1, 1, 2]);
        stand(&picker, &[1.0, 0.5, 0.25]);
        let mut worker = Worker::new(&picker);
        for member in picker.members() {
            member.live.observe(std::time::Duration::from_millis(5), worker.now, TIME);
        }
        for _ in 0..800 {
            worker.pick(&Tried::new()).expect("there is no limit");
        }
        let in_flight: Vec<u32> = picker.members().iter().map(|member| member.live.in_flight()).collect();
        for (got, expected) in in_flight.into_iter().zip([400, 200, 200]) {
            assert!(u32::abs_diff(got, expected) <= 8, "{algorithm:?}: {got} instead of {expected}");
        }
    }
}

#[test]
fn first_passes_over_a_member_for_the_missing_part_of_its_share() {
    let picker = picker(Algorithm::First, &[1, 1]);
    stand(&picker, &[0.25, 1.0]);
    let served = Worker::new(&picker).shares(10_000);
    assert!(served[0].abs_diff(2_500) < 260, "{served:?}");
    stand(&picker, &[0.001, 0.0]);
    assert_eq!(Worker::new(&picker).shares(1_000), [1_000, 0], "there is no other");
}

#[test]
fn a_pool_in_which_nobody_is_open_says_so() {
    for algorithm in support::ALL {
        let picker = picker(algorithm, &[1; 100]);
        stand(&picker, &[0.0; 100]);
        assert_eq!(Worker::new(&picker).pick(&Tried::new()), Err(NoBackend::NoneUsable), "{algorithm:?}");
    }
}

#[test]
fn latency_is_forgotten_with_the_address() {
    let live = Live::new();
    let now = support::now();
    let backend = live.backend("app", "a");
    backend.move_to("192.0.2.1:80");
    backend.observe(std::time::Duration::from_millis(250), now, TIME);
    let estimate = backend.estimate(now, TIME).expect("a sample was taken");
    assert!(estimate.abs_diff(std::time::Duration::from_millis(250)).as_micros() < 10, "{estimate:?}");
    backend.move_to("192.0.2.2:80");
    assert_eq!(backend.estimate(now, TIME), None);
}
