//! Random: the better of two.

mod support;

use fairlead_balance::{Algorithm, Tried};
use support::{Worker, picker};

#[test]
fn of_two_members_the_less_loaded_is_picked() {
    let picker = picker(Algorithm::TWO_CHOICES, &[1, 1]);
    picker.members()[0].live.begin();
    let shares = Worker::new(&picker).shares(1_000);
    assert!(shares[1] >= 990, "{shares:?}");
}

#[test]
fn idle_equal_members_get_equal_shares() {
    let picker = picker(Algorithm::TWO_CHOICES, &[4; 10]);
    for share in Worker::new(&picker).shares(100_000) {
        // Six standard deviations of a binomial with p = 0.1.
        assert!(share.abs_diff(10_000) < 570, "{share}");
    }
}

#[test]
fn the_fullest_of_a_thousand_is_log_log_above_the_mean() {
    let picker = picker(Algorithm::TWO_CHOICES, &[1; 1_000]);
    let mut worker = Worker::new(&picker);
    for _ in 0..20_000 {
        worker.pick(&Tried::new()).unwrap();
    }
    let most = picker.members().iter().map(|member| member.live.in_flight()).max().unwrap();
    // One choice would put about 36 on the fullest.
    assert!((21..=24).contains(&most), "{most}");
}

#[test]
fn requests_that_stay_are_spread_by_weight() {
    let picker = picker(Algorithm::TWO_CHOICES, &[3, 1, 0, 2]);
    let mut worker = Worker::new(&picker);
    for _ in 0..6_000 {
        worker.pick(&Tried::new()).unwrap();
    }
    for (member, fair) in picker.members().iter().zip([3_000, 1_000, 0, 2_000_u32]) {
        assert!(member.live.in_flight().abs_diff(fair) <= 30, "{} of {fair}", member.live.in_flight());
    }
}
