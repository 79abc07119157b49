//! Least connections: exact in small pools, close in large ones.

mod support;

use fairlead_balance::{Algorithm::LeastConnections, Picker, Tried};
use proptest::prelude::*;
use support::{Worker, picker, picker_with_limits, tried};

fn load(picker: &Picker, in_flight: &[u32]) {
    for (member, &requests) in picker.members().iter().zip(in_flight) {
        for _ in 0..requests {
            member.live.begin();
        }
    }
}

proptest! {
    #[test]
    fn up_to_64_members_the_pick_has_the_lowest_score(
        members in prop::collection::vec((0_u32..=65_535, prop::option::weighted(0.3, 1_u32..20), 0_u32..20), 1..=64),
        already in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let limits: Vec<_> = members.iter().map(|&(weight, max, _)| (weight, max)).collect();
        let picker = picker_with_limits(LeastConnections, &limits);
        load(&picker, &members.iter().map(|member| member.2).collect::<Vec<_>>());
        let already: Vec<usize> = already.iter().map(|index| index.index(members.len())).collect();
        let usable = |member: usize| {
            let (weight, max, active) = members[member];
            weight > 0 && max.is_none_or(|max| active < max) && !already.contains(&member)
        };
        let score = |member: usize| (f64::from(members[member].2) + 1.0) / f64::from(members[member].0);
        let lowest = (0..members.len()).filter(|&m| usable(m)).map(score).fold(f64::INFINITY, f64::min);
        match Worker::new(&picker).pick(&tried(&already)) {
            Ok(member) => {
                prop_assert!(usable(member));
                // Correctly rounded quotients of equal fractions are equal.
                prop_assert!(score(member) <= lowest);
                prop_assert_eq!(picker.members()[member].live.in_flight(), members[member].2 + 1);
            }
            Err(_) => prop_assert!(lowest.is_infinite()),
        }
    }
}

#[test]
fn ties_go_round() {
    let picker = picker(LeastConnections, &[7; 5]);
    let mut worker = Worker::new(&picker);
    assert_eq!((0..7).map(|_| worker.serve()).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 0, 1]);
}

#[test]
fn ties_begin_elsewhere_in_each_worker() {
    let picker = picker(LeastConnections, &[1; 8]);
    assert_eq!((0..4).map(|w| Worker::of(&picker, w, 4).serve()).collect::<Vec<_>>(), [0, 2, 4, 6]);
}

#[test]
fn requests_that_stay_are_spread_by_weight() {
    let picker = picker(LeastConnections, &[3, 1, 0, 2]);
    let mut worker = Worker::new(&picker);
    for _ in 0..600 {
        worker.pick(&Tried::new()).unwrap();
    }
    let in_flight: Vec<u32> = picker.members().iter().map(|member| member.live.in_flight()).collect();
    assert_eq!(in_flight, [300, 100, 0, 200]);
}

#[test]
fn in_a_large_pool_no_member_is_far_above_the_others() {
    let picker = picker(LeastConnections, &[1; 1_000]);
    let mut worker = Worker::new(&picker);
    for _ in 0..20_000 {
        worker.pick(&Tried::new()).unwrap();
    }
    let most = picker.members().iter().map(|member| member.live.in_flight()).max().unwrap();
    assert!((20..=22).contains(&most), "20 each is even; the fullest has {most}");
}

#[test]
fn in_a_large_pool_a_heavy_member_gets_its_share() {
    let mut weights = vec![1; 1_000];
    weights[500] = 9_000;
    let picker = picker(LeastConnections, &weights);
    let mut worker = Worker::new(&picker);
    for _ in 0..50_000 {
        worker.pick(&Tried::new()).unwrap();
    }
    // Nine tenths of the weight.
    let heavy = picker.members()[500].live.in_flight();
    assert!((44_000..=46_000).contains(&heavy), "{heavy}");
}
