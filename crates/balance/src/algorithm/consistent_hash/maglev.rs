//! Maglev's table: D. E. Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, 3.4.
//!
//! Every member has a permutation of the slots and in its turns takes the first that is free. Weights are the frequency of
//! turns: of two members the one of half the weight takes a turn in every other round.

use super::super::ip_hash::by_name;
use super::super::seats::Seats;
use crate::hash::{hash_seeded, mix};

#[derive(Debug)]
pub(crate) struct Maglev {
    /// The seat of each slot.
    slots: Vec<u32>,
}

/// The paper's small table, a prime.
const LEAST_SLOTS: u64 = 65_537;

/// Slots for each member, so that one more or less is at most a hundredth of its load.
const SLOTS_EACH: u64 = 100;

/// A member's way through the slots: from `at` on by `skip`. As the number of slots is a prime, it comes to each.
#[derive(Clone, Copy, Debug)]
struct Permutation {
    at: u32,
    skip: u32,
}

impl Maglev {
    pub(in super::super) fn build(seats: &Seats, names: &[&str]) -> Self {
        let size = next_prime((seats.len() as u64 * SLOTS_EACH).max(LEAST_SLOTS));
        let order = by_name(names);
        let permutation = |&seat: &u32| {
            let name = names[seat as usize].as_bytes();
            Permutation {
                at: (hash_seeded(name, 1) % size) as u32,
                skip: (hash_seeded(name, 2) % (size - 1)) as u32 + 1,
            }
        };
        let permutations: Vec<_> = order.iter().map(permutation).collect();
        let weights: Vec<_> = order.iter().map(|&seat| seats.weight(seat as usize)).collect();
        let mut slots = populate(size as usize, permutations, &weights);
        for slot in &mut slots {
            *slot = order[*slot as usize];
        }
        Self { slots }
    }

    /// The slot of a key: its place among all keys, times the number of slots.
    pub(in super::super) fn start(&self, key: u64) -> usize {
        ((u128::from(key) * self.slots.len() as u128) >> 64) as usize
    }

    /// Who has the slot `at`, counted on from the last to the first.
    pub(in super::super) fn seat(&self, mut at: usize) -> usize {
        while at >= self.slots.len() {
            at -= self.slots.len();
        }
        self.slots[at] as usize
    }

    pub(in super::super) fn digest(&self, start: u64, name: impl Fn(usize) -> u64) -> u64 {
        self.slots.iter().fold(start, |digest, &seat| mix(digest, name(seat as usize)))
    }
}

/// The paper's `Populate`, giving each slot the index of its member.
///
/// The heaviest has a turn in every round, one of weight w its k-th (from 0) in round ⌈k × heaviest / w⌉; so each has at
/// least one slot. Who has a turn in a round is kept in a list for that round: walking all members in all rounds
/// would take minutes where one of ten thousand has nearly all the weight.
fn populate(size: usize, mut permutations: Vec<Permutation>, weights: &[u32]) -> Vec<u32> {
    let heaviest = weights.iter().copied().max().map_or(1, u64::from);
    let mut slots = vec![FREE; size];
    // A bit a slot: what is probed again and again then stays in the nearest cache.
    let mut taken = vec![0_u64; size.div_ceil(64)];
    let mut turns_taken = vec![0_u64; weights.len()];
    let mut rounds = Rounds::new(size, weights.len());
    let mut members = Vec::with_capacity(weights.len());
    let mut left = size;
    for round in 0.. {
        rounds.take(round, &mut members);
        for &member in &members {
            let Permutation { at, skip } = &mut permutations[member as usize];
            while taken[*at as usize / 64] >> (*at % 64) & 1 == 1 {
                *at = step(*at, *skip, size);
            }
            taken[*at as usize / 64] |= 1 << (*at % 64);
            slots[*at as usize] = member;
            left -= 1;
            if left == 0 {
                return slots;
            }
            turns_taken[member as usize] += 1;
            let next =
                (turns_taken[member as usize] * heaviest).div_ceil(u64::from(weights[member as usize]));
            rounds.enlist(next as usize, member);
        }
    }
    slots
}

const FREE: u32 = u32::MAX;

fn step(at: u32, skip: u32, size: usize) -> u32 {
    let next = at as usize + skip as usize;
    (if next >= size { next - size } else { next }) as u32
}

/// The members that have a turn in each round, as a linked list for each.
struct Rounds {
    first: Vec<u32>,
    next: Vec<u32>,
}

impl Rounds {
    /// All have a turn in round 0.
    fn new(rounds: usize, members: usize) -> Self {
        let mut all = Self { first: vec![FREE; rounds], next: vec![FREE; members] };
        for member in (0..members as u32).rev() {
            all.enlist(0, member);
        }
        all
    }

    /// Rounds beyond the last never come: the heaviest alone fills the table before.
    fn enlist(&mut self, round: usize, member: u32) {
        if let Some(first) = self.first.get_mut(round) {
            self.next[member as usize] = std::mem::replace(first, member);
        }
    }

    /// Who has a turn in `round`, in the order of the members.
    fn take(&mut self, round: usize, members: &mut Vec<u32>) {
        members.clear();
        let mut member = self.first[round];
        while member != FREE {
            members.push(member);
            member = self.next[member as usize];
        }
        members.sort_unstable();
    }
}

/// Trial division: at most some thousand steps for a table of a million slots. There is always one below twice `from`
/// (Bertrand).
fn next_prime(from: u64) -> u64 {
    let is_prime = |n: u64| (2..=n.isqrt()).all(|divisor| !n.is_multiple_of(divisor));
    (from..2 * from).find(|&n| is_prime(n)).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule itself: in each round all members are looked at, in their order.
    fn by_the_rule(size: usize, mut ways: Vec<Permutation>, weights: &[u32]) -> Vec<u32> {
        let heaviest = weights.iter().max().copied().map_or(1, u64::from);
        let mut slots = vec![FREE; size];
        let mut turns = vec![0_u64; weights.len()];
        for round in 0.. {
            for member in 0..weights.len() {
                if round * u64::from(weights[member]) < turns[member] * heaviest {
                    continue;
                }
                let way = &mut ways[member];
                while slots[way.at as usize] != FREE {
                    way.at = (way.at + way.skip) % size as u32;
                }
                slots[way.at as usize] = member as u32;
                turns[member] += 1;
                if !slots.contains(&FREE) {
                    return slots;
                }
            }
        }
        slots
    }

    proptest! {
        #[test]
        fn tables_are_those_of_the_rule(
            members in prop::collection::vec((0_u32..211, 1_u32..211, 1_u32..1_000), 1..12),
        ) {
            let ways: Vec<_> = members.iter().map(|&(at, skip, _)| Permutation { at, skip }).collect();
            let weights: Vec<_> = members.iter().map(|member| member.2).collect();
            prop_assert_eq!(populate(211, ways.clone(), &weights), by_the_rule(211, ways, &weights));
        }
    }

    /// Table 1 of the paper.
    #[test]
    fn table_is_that_of_the_paper() {
        let ways = |ways: &[(u32, u32)]| ways.iter().map(|&(at, skip)| Permutation { at, skip }).collect();
        let all = populate(7, ways(&[(3, 4), (0, 2), (3, 1)]), &[1, 1, 1]);
        assert_eq!(all, [1, 0, 1, 0, 2, 2, 0]);
        let without_b1 = populate(7, ways(&[(3, 4), (3, 1)]), &[1, 1]);
        assert_eq!(without_b1, [0, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn slots_follow_weights() {
        let ways = [(3, 4), (5, 11), (40, 77)].map(|(at, skip)| Permutation { at, skip });
        let slots = populate(65_537, ways.to_vec(), &[1, 20, 300]);
        for (member, expected) in [(0, 204), (1, 4_083), (2, 61_250)] {
            let count = slots.iter().filter(|&&slot| slot == member).count();
            assert!(count.abs_diff(expected) <= 2, "{member}: {count}");
        }
    }

    #[test]
    fn sizes_are_the_next_primes() {
        assert_eq!([7, 65_537, 65_538, 100_000].map(next_prime), [7, 65_537, 65_539, 100_003]);
    }
}
