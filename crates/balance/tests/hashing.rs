//! Picking by a key: who has which keys, and whose move.

mod support;

use fairlead_balance::{
    Algorithm, Ask, HashTable, Live, Member, Options, Picker, Pool, Standing, State, Tried, hash, mix,
};
use proptest::prelude::*;
use support::{KEYED, TABLES, Worker, bounded, consistent, member};

fn pool(algorithm: Algorithm, members: &[(usize, u32)]) -> Picker {
    let live = Live::new();
    let sit = |&(index, weight): &(usize, u32)| Member { weight, ..member(&live, &name(index)) };
    Pool::build(algorithm, members.iter().map(sit).collect(), &Options::default())
}

fn name(index: usize) -> String {
    format!("10.0.{}.{}:8080", index / 250, index % 250)
}

fn keys(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(|key| hash(&key.to_le_bytes()))
}

/// The name of who has each key.
fn owners(picker: &Picker, count: u64) -> Vec<&str> {
    let mut worker = Worker::new(picker);
    keys(count).map(|key| picker.members()[worker.serve_key(key)].id.as_str()).collect()
}

fn equal(count: usize) -> Vec<(usize, u32)> {
    (0..count).map(|index| (index, 1)).collect()
}

proptest! {
    #[test]
    fn ip_hash_is_the_hash_modulo_the_weights_in_the_order_of_names(
        weights in prop::collection::vec(0_u32..1_000, 1..50),
        keys in prop::collection::vec(any::<u64>(), 20),
    ) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let members: Vec<_> = weights.iter().copied().enumerate().collect();
        let picker = pool(Algorithm::IpHash { v6_prefix: 128 }, &members);
        let mut by_name = members.clone();
        by_name.sort_by_key(|&(index, _)| name(index));
        let line: Vec<usize> =
            by_name.iter().flat_map(|&(index, weight)| std::iter::repeat_n(index, weight as usize)).collect();
        for key in keys {
            let expected = line[(key % line.len() as u64) as usize];
            prop_assert_eq!(Worker::new(&picker).serve_key(key), expected);
        }
    }

    /// By the formula of the paper, logarithm and all, for every member.
    #[test]
    fn rendezvous_is_the_lowest_weighted_logarithm(
        weights in prop::collection::vec(1_u32..=65_535, 1..100),
        equal in any::<bool>(),
        keys in prop::collection::vec(any::<u64>(), 20),
    ) {
        let weight = |weight| if equal { 7 } else { weight };
        let members: Vec<_> = weights.iter().map(|&each| weight(each)).enumerate().collect();
        let picker = pool(consistent(HashTable::Rendezvous), &members);
        for key in keys {
            let drawn = |index: usize| {
                let bits = mix(key, hash(name(index).as_bytes())) >> 11;
                // (0, 1], the 53 bits in two parts so that each is exact.
                (f64::from((bits >> 21) as u32) * 2_097_152.0 + f64::from(bits as u32 & 0x1f_ffff) + 1.0)
                    / 9_007_199_254_740_992.0
            };
            let score = |&(index, weight): &(usize, u32)| -drawn(index).ln() / f64::from(weight);
            let lowest = members.iter().map(score).fold(f64::INFINITY, f64::min);
            let picked = Worker::new(&picker).serve_key(key);
            prop_assert!(score(&members[picked]) <= lowest * (1.0 + 1e-9));
        }
    }
}

#[test]
fn keys_stick_and_depend_on_the_set_alone() {
    for algorithm in KEYED {
        let members: Vec<_> = (0..20).map(|index| (index, 1 + index as u32 % 3)).collect();
        let turned: Vec<_> = members.iter().rev().copied().collect();
        let (one, other) = (pool(algorithm, &members), pool(algorithm, &turned));
        assert_eq!(owners(&one, 2_000), owners(&other, 2_000), "{algorithm:?}");
        assert_eq!(owners(&one, 500), owners(&one, 500));
        assert_eq!(one.digest(), other.digest(), "{algorithm:?}");
        let heavier: Vec<_> =
            members.iter().map(|&(index, weight)| (index, weight + u32::from(index == 7))).collect();
        assert_ne!(one.digest(), pool(algorithm, &heavier).digest());
    }
}

#[test]
fn shares_follow_weights() {
    const KEYS: u64 = 100_000;
    let members = [(0, 1), (1, 2), (2, 3), (3, 10)];
    for algorithm in KEYED {
        let picker = pool(algorithm, &members);
        let shares = owners(&picker, KEYS);
        // Ketama's few points are uneven by themselves: 640 points for 4 members.
        let ring = matches!(algorithm, Algorithm::ConsistentHash { table: HashTable::Ring, .. });
        for (index, weight) in members {
            let got = shares.iter().filter(|&&owner| owner == name(index)).count() as u64;
            let expected = KEYS * u64::from(weight) / 16;
            let allowed = if ring { expected / 4 } else { 6 * expected.isqrt() };
            assert!(got.abs_diff(expected) <= allowed, "{algorithm:?}, {index}: {got} instead of {expected}");
        }
    }
}

#[test]
fn maglev_is_even_to_a_hundredth_at_100_members() {
    // A key in the middle of each slot: the table itself, without the chance of keys.
    const SLOTS: u128 = 65_537;
    let picker = pool(consistent(HashTable::Maglev), &equal(100));
    let mut worker = Worker::new(&picker);
    let mut slots = [0_u32; 100];
    for slot in 0..SLOTS {
        slots[worker.serve_key((((2 * slot + 1) << 63) / SLOTS) as u64)] += 1;
    }
    assert_eq!(slots.iter().sum::<u32>(), 65_537);
    assert!(slots.iter().all(|&slots| (649..=661).contains(&slots)), "{slots:?}");
}

/// Keys that moved though their owner stays, and all that moved, of 20,000.
fn moved(before: &[&str], after: &[&str], gone: &str) -> (usize, usize) {
    let moved = || before.iter().zip(after).filter(|(before, after)| before != after);
    (moved().filter(|(before, _)| **before != gone).count(), moved().count())
}

#[test]
fn removing_a_member_moves_only_its_keys() {
    const KEYS: u64 = 20_000;
    for count in [10, 100] {
        for table in TABLES {
            let all = pool(consistent(table), &equal(count));
            let rest: Vec<_> = equal(count).into_iter().filter(|&(index, _)| index != 3).collect();
            let rest = pool(consistent(table), &rest);
            let (others, together) = moved(&owners(&all, KEYS), &owners(&rest, KEYS), &name(3));
            match table {
                // 1 / N and 1 % of the keys.
                HashTable::Maglev => {
                    assert!(together <= KEYS as usize / count + 200, "{together} of {count}");
                }
                HashTable::Ring | HashTable::Rendezvous => assert_eq!(others, 0, "{table:?} of {count}"),
            }
        }
    }
}

#[test]
fn a_member_that_is_down_moves_only_its_keys_and_gets_them_back() {
    for algorithm in KEYED {
        let picker = pool(algorithm, &equal(10));
        let before = owners(&picker, 5_000);
        picker.members()[3].live.stand(Standing::new(State::Down, 0));
        let (others, _) = moved(&before, &owners(&picker, 5_000), &name(3));
        assert_eq!(others, 0, "{algorithm:?}");
        picker.members()[3].live.stand(Standing::UP);
        assert_eq!(owners(&picker, 5_000), before);
    }
}

#[test]
fn the_keys_of_a_member_that_is_down_are_spread_over_the_others() {
    for algorithm in KEYED {
        let picker = pool(algorithm, &equal(10));
        let before = owners(&picker, 50_000);
        picker.members()[3].live.stand(Standing::new(State::Down, 0));
        let after = owners(&picker, 50_000);
        for heir in (0..10).filter(|&heir| heir != 3) {
            let got = (before.iter().zip(&after)).filter(|&(&b, &a)| b != a && a == name(heir)).count();
            assert!((200..1_200).contains(&got), "{algorithm:?}, {heir}: {got} of about 5,000");
        }
    }
}

#[test]
fn a_member_of_part_of_its_weight_keeps_that_part_of_its_keys() {
    for algorithm in KEYED {
        let picker = pool(algorithm, &equal(10));
        let before = owners(&picker, 20_000);
        let had = before.iter().filter(|&&owner| owner == name(3)).count();
        let mut kept = vec![false; 20_000];
        for share in [3_277, 19_661, 58_982] {
            picker.members()[3].live.stand(Standing::new(State::Degraded, share));
            let after = owners(&picker, 20_000);
            assert_eq!(moved(&before, &after, &name(3)).0, 0, "{algorithm:?}");
            let has = after.iter().filter(|&&owner| owner == name(3)).count();
            let expected = had * share as usize / 65_536;
            assert!(has.abs_diff(expected) < had / 20, "{algorithm:?}: {has} of {had} at {share}");
            // With a larger share it keeps all it kept with a smaller one.
            for (kept, owner) in kept.iter_mut().zip(&after) {
                assert!(!*kept || *owner == name(3));
                *kept = *owner == name(3);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against the paper's rule, computed from the counts of the moment.
    #[test]
    fn bounded_load_is_never_exceeded_and_keys_stay_while_it_allows(
        weights in prop::collection::vec(1_u32..5, 1..32),
        requests in prop::collection::vec((0_u64..20, any::<bool>()), 1..300),
    ) {
        let members: Vec<_> = weights.iter().copied().enumerate().collect();
        for table in TABLES {
            let free = pool(consistent(table), &members);
            let picker = pool(bounded(table), &members);
            let (mut free_worker, mut worker) = (Worker::new(&free), Worker::new(&picker));
            let total_weight: u32 = weights.iter().sum();
            let mut open = Vec::new();
            for &(key, ends) in &requests {
                let key = hash(&key.to_le_bytes());
                let total = open.len() as u64 + 1;
                let capacity = |member: usize| {
                    (1_250 * total * u64::from(weights[member])).div_ceil(1_000 * u64::from(total_weight))
                };
                let home = free_worker.serve_key(key);
                let room = u64::from(picker.members()[home].live.in_flight()) < capacity(home);
                let picked = worker.pick_for(&Ask { tried: &Tried::new(), key: Some(key) }).unwrap();
                prop_assert!(u64::from(picker.members()[picked].live.in_flight()) <= capacity(picked));
                prop_assert!(!room || picked == home, "{table:?} left its member with room");
                open.push(picked);
                if ends {
                    picker.members()[open.swap_remove(key as usize % open.len())].live.end();
                }
            }
        }
    }
}

#[test]
fn a_popular_key_does_not_overload_its_member() {
    let picker = pool(bounded(HashTable::Maglev), &equal(200));
    let mut worker = Worker::new(&picker);
    for request in 0..10_000_u64 {
        let key = hash(&(if request % 2 == 0 { request } else { 1 }).to_le_bytes());
        worker.pick_for(&Ask { tried: &Tried::new(), key: Some(key) }).unwrap();
    }
    let most = picker.members().iter().map(|member| member.live.in_flight()).max().unwrap();
    // 1.25 × 50, and what the sum of a large pool may be old.
    assert!((62..=66).contains(&most), "{most}");
}

#[test]
fn without_a_key_requests_are_spread_at_random() {
    for algorithm in KEYED {
        for share in Worker::new(&pool(algorithm, &equal(10))).shares(20_000) {
            assert!(share.abs_diff(2_000) < 260, "{algorithm:?}: {share}");
        }
    }
}

#[test]
fn the_last_usable_of_many_is_found_by_every_key() {
    for algorithm in KEYED {
        let picker = pool(algorithm, &equal(900));
        for (index, member) in picker.members().iter().enumerate() {
            if index != 600 {
                member.live.stand(Standing::new(State::Down, 0));
            }
        }
        assert!(owners(&picker, 200).iter().all(|owner| *owner == name(600)), "{algorithm:?}");
    }
}
