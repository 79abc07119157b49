//! Smooth weighted round robin against a model of nginx's.

mod support;

use fairlead_balance::{Algorithm::RoundRobin, Cursor, NoBackend};
use proptest::prelude::*;
use support::{Worker, picker, picker_with_limits, tried};

/// `ngx_http_upstream_get_peer`, as its C reads: peers that are skipped take no part in the sum.
struct Nginx {
    current: Vec<i64>,
    weights: Vec<u32>,
}

impl Nginx {
    fn new(weights: &[u32]) -> Self {
        Self { current: vec![0; weights.len()], weights: weights.to_vec() }
    }

    fn pick(&mut self, skip: impl Fn(usize) -> bool) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for peer in 0..self.weights.len() {
            if self.weights[peer] == 0 || skip(peer) {
                continue;
            }
            self.current[peer] += i64::from(self.weights[peer]);
            total += i64::from(self.weights[peer]);
            if best.is_none_or(|best| self.current[peer] > self.current[best]) {
                best = Some(peer);
            }
        }
        self.current[best?] -= total;
        best
    }
}

fn letters(weights: &[u32], picks: usize) -> String {
    let picker = picker(RoundRobin, weights);
    let mut worker = Worker::new(&picker);
    (0..picks).map(|_| char::from(b'a' + worker.serve() as u8)).collect()
}

#[test]
fn sequences_are_those_of_nginx() {
    for (weights, sequence) in [
        (&[5, 1, 1][..], "aabacaa"),
        (&[1, 1, 1], "abcabc"),
        (&[3, 1], "aaba"),
        (&[2, 1], "aba"),
        (&[4, 2, 1], "abacaba"),
        (&[10, 10], "abab"),
        (&[1], "aaa"),
        (&[0, 2, 1], "bcb"),
        (&[65535, 65535, 0], "abab"),
    ] {
        assert_eq!(letters(weights, sequence.len()), sequence, "{weights:?}");
    }
}

/// What happens before a pick: a request of a member ends (if it has one), and who was tried already.
type Step = (Option<prop::sample::Index>, Vec<prop::sample::Index>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let indices = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    prop::collection::vec((any::<Option<prop::sample::Index>>(), indices), 1..200)
}

proptest! {
    #[test]
    fn up_to_64_members_every_pick_is_that_of_nginx(
        members in prop::collection::vec((0_u32..100, prop::option::weighted(0.3, 1_u32..3)), 1..=64),
        steps in steps(),
    ) {
        let picker = picker_with_limits(RoundRobin, &members);
        let mut worker = Worker::new(&picker);
        let mut nginx = Nginx::new(&members.iter().map(|member| member.0).collect::<Vec<_>>());
        let mut in_flight = vec![0_u32; members.len()];
        for (ends, already) in steps {
            if let Some(member) = ends.map(|index| index.index(members.len()))
                && in_flight[member] > 0
            {
                in_flight[member] -= 1;
                picker.members()[member].live.end();
            }
            let already: Vec<usize> = already.iter().map(|index| index.index(members.len())).collect();
            let full = |member: usize| members[member].1.is_some_and(|max| in_flight[member] >= max);
            let expected = nginx.pick(|member| full(member) || already.contains(&member));
            let picked = worker.pick(&tried(&already));
            prop_assert_eq!(picked.ok(), expected);
            if let Ok(member) = picked {
                in_flight[member] += 1;
            }
        }
    }

    #[test]
    fn shares_are_exact_over_a_cycle_wherever_it_begins(
        weights in prop::collection::vec(0_u32..20, 1..400),
        before in 0_u64..5_000,
        factor in 1_u32..3_000,
    ) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        // A common factor of the weights changes nothing.
        let picker = picker(RoundRobin, &weights.iter().map(|weight| weight * factor).collect::<Vec<_>>());
        let mut worker = Worker::new(&picker);
        worker.shares(before);
        let shares = worker.shares(weights.iter().map(|&weight| u64::from(weight)).sum());
        prop_assert_eq!(shares, weights.iter().map(|&weight| u64::from(weight)).collect::<Vec<_>>());
    }

    #[test]
    fn no_member_is_ever_far_from_its_share(weights in prop::collection::vec(1_u32..1_000, 65..300)) {
        let picker = picker(RoundRobin, &weights);
        let mut worker = Worker::new(&picker);
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut served = vec![0_u64; weights.len()];
        for picks in 1..=2_000_u64 {
            served[worker.serve()] += 1;
            if picks % 97 == 0 {
                for (served, &weight) in served.iter().zip(&weights) {
                    // Two levels, each at most some picks off.
                    let off = (served * total).abs_diff(picks * u64::from(weight));
                    prop_assert!(off < 4 * total, "{served} of {picks} at {weight} of {total}");
                }
            }
        }
    }
}

#[test]
fn weights_up_to_65535_are_exact() {
    let weights = [65_535, 1, 32_768, 7];
    let picker = picker(RoundRobin, &weights);
    assert_eq!(Worker::new(&picker).shares(98_311), [65_535, 1, 32_768, 7]);
}

#[test]
fn ten_thousand_equal_members_are_each_picked_once_a_round() {
    let picker = picker(RoundRobin, &vec![1; 10_000]);
    let mut worker = Worker::of(&picker, 3, 8);
    for _ in 0..3 {
        assert!(worker.shares(10_000).iter().all(|&served| served == 1));
    }
}

#[test]
fn a_lone_free_member_among_many_full_ones_is_found() {
    let picker = picker_with_limits(RoundRobin, &vec![(1, Some(1)); 5_000]);
    let mut worker = Worker::new(&picker);
    for _ in 0..5_000 {
        worker.pick(&tried(&[])).unwrap();
    }
    assert_eq!(worker.pick(&tried(&[])), Err(NoBackend::AllFull));
    picker.members()[3_456].live.end();
    assert_eq!(worker.pick(&tried(&[])), Ok(3_456));
}

#[test]
fn a_member_that_was_full_is_not_sent_what_it_missed() {
    let picker = picker_with_limits(RoundRobin, &[(1, None), (1, Some(1))]);
    let mut worker = Worker::new(&picker);
    assert!(picker.members()[1].live.try_begin(1));
    assert_eq!(worker.shares(1_000), [1_000, 0]);
    picker.members()[1].live.end();
    assert_eq!(worker.shares(10), [5, 5]);
}

#[test]
fn workers_begin_at_different_members() {
    for (weights, workers) in [(vec![1; 10], 4), (vec![3; 100], 16), (vec![2; 10_000], 64)] {
        let picker = picker(RoundRobin, &weights);
        let mut firsts: Vec<usize> = (0..workers).map(|w| Worker::of(&picker, w, workers).serve()).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), workers);
    }
}

#[test]
fn over_all_workers_shares_are_exact_within_workers_times_members() {
    let weights = [5, 1, 3, 9, 2];
    let picker = picker(RoundRobin, &weights);
    let mut served = [0_u64; 5];
    for worker in 0..4 {
        // Stopped in mid-cycle, each elsewhere.
        for (sum, share) in
            served.iter_mut().zip(Worker::of(&picker, worker, 4).shares(1_003 + worker as u64))
        {
            *sum += share;
        }
    }
    let picks: u64 = served.iter().sum();
    for (&served, weight) in served.iter().zip(weights) {
        let off = (served * 20).abs_diff(picks * u64::from(weight));
        assert!(off <= 4 * 5 * 20, "{served} of {picks} at {weight} of 20");
    }
}

#[test]
fn a_cursor_kept_over_a_rebuild_goes_on_where_it_was() {
    let before = picker(RoundRobin, &[5, 1, 1]);
    let mut worker = Worker::new(&before);
    worker.shares(2);
    let after = picker_with_limits(RoundRobin, &[(5, Some(100)), (1, None), (1, None)]);
    assert!(worker.cursor.fits(&after));
    let mut kept = Worker::new(&after);
    kept.cursor = worker.cursor.clone();
    assert_eq!((0..5).map(|_| kept.serve()).collect::<Vec<_>>(), [1, 0, 2, 0, 0]);
}

#[test]
fn a_cursor_fits_no_other_set() {
    let cursor = Cursor::new(&picker(RoundRobin, &[5, 1, 1]), 0, 2);
    for other in [&[5, 1, 2][..], &[5, 1], &[5, 1, 1, 1], &[1, 5, 1], &[5, 1, 1, 0]] {
        assert!(!cursor.fits(&picker(RoundRobin, other)), "{other:?}");
    }
    assert!(!cursor.fits(&picker(fairlead_balance::Algorithm::First, &[5, 1, 1])));
}
