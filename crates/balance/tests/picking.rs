//! What holds for every algorithm.

mod support;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use fairlead_balance::{Algorithm, Ask, Known, NoBackend, Standing, State, Tried};
use proptest::prelude::*;
use support::{ALL, Worker, picker, picker_with_limits, tried};

fn standing() -> impl Strategy<Value = Standing> {
    let state = prop::sample::select(vec![State::Up, State::Degraded, State::Down, State::Draining]);
    let share = prop_oneof![3 => Just(Standing::WHOLE), 1 => Just(0), 1 => 1..Standing::WHOLE];
    (state, share).prop_map(|(state, share)| Standing::new(state, share))
}

proptest! {
    #[test]
    fn only_a_usable_member_is_picked_and_one_is_found_if_there_is_any(
        members in prop::collection::vec((0_u32..4, prop::option::weighted(0.8, 0_u32..3)), 0..150),
        standings in prop::collection::vec(standing(), 150),
        keys in prop::collection::vec(any::<Option<u64>>(), 200),
        already in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        picks in 1_usize..200,
    ) {
        for algorithm in ALL {
            let picker = picker_with_limits(algorithm, &members);
            let mut worker = Worker::new(&picker);
            let already: Vec<usize> = if members.is_empty() { Vec::new() } else {
                already.iter().map(|index| index.index(members.len())).collect()
            };
            let skipped = tried(&already);
            let mut in_flight = vec![0; members.len()];
            for (member, &standing) in picker.members().iter().zip(&standings) {
                member.live.stand(standing);
            }
            for &key in keys.iter().take(picks) {
                let weighted = || (0..members.len()).filter(|&m| members[m].0 > 0);
                let open = || weighted().filter(|&m| standings[m].is_open());
                let untried = || open().filter(|&m| !already.contains(&m));
                let usable: Vec<usize> =
                    untried().filter(|&m| members[m].1.is_none_or(|max| in_flight[m] < max)).collect();
                match worker.pick_for(&Ask { tried: &skipped, key }) {
                    Ok(member) => {
                        prop_assert!(usable.contains(&member), "{algorithm:?} picked {member}");
                        in_flight[member] += 1;
                    }
                    Err(none) => {
                        prop_assert!(usable.is_empty(), "{algorithm:?} missed {usable:?}");
                        let expected = match (weighted().next(), open().next(), untried().next()) {
                            (None, _, _) => NoBackend::Empty,
                            (_, None, _) => NoBackend::NoneUsable,
                            (_, _, None) => NoBackend::AllTried,
                            (_, _, Some(_)) => NoBackend::AllFull,
                        };
                        prop_assert_eq!(none, expected);
                    }
                }
                for (member, &requests) in picker.members().iter().zip(&in_flight) {
                    prop_assert_eq!(member.live.in_flight(), requests);
                }
            }
        }
    }
}

#[test]
fn workers_racing_for_slots_never_exceed_a_limit_and_use_every_slot() {
    const WORKERS: usize = 4;
    const MEMBERS: usize = 80;
    const MAX: u32 = 3;
    for algorithm in ALL {
        let picker = picker_with_limits(algorithm, &[(2, Some(MAX)); MEMBERS]);
        let highest: Vec<AtomicU32> = (0..MEMBERS).map(|_| AtomicU32::new(0)).collect();
        let held: usize = thread::scope(|scope| {
            let run = |index: usize| {
                let mut worker = Worker::of(&picker, index, WORKERS);
                let highest = &highest;
                move || {
                    for _ in 0..20_000 {
                        if let Ok(member) = worker.pick(&Tried::new()) {
                            let live = &worker.picker.members()[member].live;
                            highest[member].fetch_max(live.in_flight(), SeqCst);
                            live.end();
                        }
                    }
                    // In the end nobody gives back: together they must get every slot and no more.
                    std::iter::from_fn(|| worker.pick(&Tried::new()).ok()).count()
                }
            };
            let threads: Vec<_> = (0..WORKERS).map(|index| scope.spawn(run(index))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(highest.iter().all(|highest| highest.load(SeqCst) <= MAX), "{algorithm:?}");
        for member in picker.members() {
            assert!(member.live.in_flight() <= MAX);
        }
        // A worker that found all full has stopped for good, while another still held what it gave back; so
        // only the last to stop is sure to have found everything taken.
        assert!(held <= MEMBERS * MAX as usize, "{algorithm:?}");
        assert_eq!(Worker::new(&picker).pick(&Tried::new()), Err(NoBackend::AllFull), "{algorithm:?}");
    }
}

#[test]
fn first_fills_members_in_order() {
    let picker = picker_with_limits(Algorithm::First, &[(0, None), (1, Some(2)), (9, Some(1)), (1, None)]);
    let mut worker = Worker::new(&picker);
    let order: Vec<usize> = (0..5).map(|_| worker.pick(&Tried::new()).unwrap()).collect();
    assert_eq!(order, [1, 1, 2, 3, 3]);
    picker.members()[1].live.end();
    assert_eq!(worker.pick(&Tried::new()), Ok(1));
    assert_eq!(worker.pick(&tried(&[3])), Err(NoBackend::AllFull));
}

#[test]
fn a_member_that_affinity_names_is_taken_as_its_standing_and_limit_allow() {
    let picker = picker_with_limits(Algorithm::RoundRobin, &[(0, Some(1)), (1, None)]);
    assert_eq!(
        (picker.take(0), picker.take(0)),
        (Known::Taken, Known::Full),
        "weight 0 serves those it knows"
    );
    picker.members()[1].live.stand(Standing::new(State::Draining, 0));
    assert_eq!((picker.take(1), picker.members()[1].live.in_flight()), (Known::Taken, 1));
    picker.members()[1].live.stand(Standing::new(State::Down, 0));
    assert_eq!((picker.take(1), picker.take(2)), (Known::Gone, Known::Gone));
    assert_eq!(picker.members()[1].live.in_flight(), 1);
}

#[test]
fn a_pool_without_members_is_empty() {
    for algorithm in ALL {
        assert_eq!(Worker::new(&picker(algorithm, &[])).pick(&Tried::new()), Err(NoBackend::Empty));
        assert_eq!(Worker::new(&picker(algorithm, &[0, 0])).pick(&Tried::new()), Err(NoBackend::Empty));
    }
}

#[test]
fn tried_holds_32_members_and_no_more() {
    let mut tried = Tried::new();
    assert!((0..Tried::CAPACITY).all(|member| tried.insert(member)));
    assert!(tried.insert(5), "is in it already");
    assert!(!tried.insert(100));
    tried.remove(5);
    assert!(!tried.contains(5) && tried.contains(31) && tried.len() == 31);
    assert!(tried.insert(100) && tried.contains(100));
}
