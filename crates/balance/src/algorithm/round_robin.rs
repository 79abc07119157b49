//! Smooth weighted round robin: nginx's, and a tree of it where members are many.
//!
//! nginx (commit 52327e0627f4, 2012) adds to each member's running weight its own weight, picks the highest, and
//! takes the sum of the weights off it: {5, 1, 1} gives a a b a c a a instead of a a a a a b c, and shares are
//! exact over every cycle of as many picks as the weights sum to. A pick looks at every member, though, which at
//! 10,000 is far too much. So no node has more than 64 children: up to 64 members there is one node, and the
//! sequence is nginx's to the pick; above, nodes of members are themselves picked by the same rule with the sum of
//! their weights. A node then gets exactly its weight of its parent's picks in a cycle and deals them out exactly,
//! so shares stay exact over a cycle, at a cost of some tens of slots a level (three levels at 10,000).
//!
//! A member that stands for a part of its weight gives the rest of its turns away: the turn counts as its own and the
//! rotation goes on.
//!
//! The members of a node are every g-th of the pool: equal weights still come in about the pool's order.

use super::draw::Random;
use super::seats::{Seats, keeps};
use crate::standing::Standing;
use crate::tried::Tried;

/// Children of a node at most: as many as a word has bits.
const FAN_OUT: usize = 64;

/// Picks that a cursor is moved ahead at most when it starts: under a millisecond at 10,000 members.
const MAX_HEAD_START: u64 = 4096;

/// The shape of the rotation. What moves is the cursor's running weights, one a slot.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The root last.
    nodes: Vec<Node>,
    /// Slots, those of a node side by side: weight, and the seat or the node below.
    weights: Vec<i64>,
    below: Vec<u32>,
    /// Picks after which everything repeats.
    cycle: u64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    start: u32,
    end: u32,
    total: i64,
    /// Whether what is below its slots are seats.
    leaf: bool,
}

/// Someone to pick from: the pool as a request finds it, or the bare rotation when a cursor is moved ahead.
trait Takes {
    /// The children of a leaf that can't be used, one bit each.
    fn blocked(&self, seats: &[u32]) -> u64;
    fn land(&mut self, seat: usize) -> Landing;
}

/// What comes of the rotation's turn to a seat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Landing {
    /// It has the request.
    Taken,
    /// Its turn is over, and the request goes on to the next.
    Passed,
    /// It isn't its turn: it can't be used.
    Blocked,
}

struct Request<'a, R> {
    seats: &'a Seats,
    tried: &'a Tried,
    rng: &'a mut R,
    /// Turns that may still be passed on.
    passes: u32,
}

/// Turns that members of little weight pass on before one of them takes the request. So many in a row mean that the
/// whole rotation has next to no weight, and then all are about as good.
const PASSES: u32 = 32;

impl<R: Random> Takes for Request<'_, R> {
    fn blocked(&self, seats: &[u32]) -> u64 {
        if self.seats.none_taken(self.tried) {
            return 0;
        }
        let usable = |seat: u32| self.seats.is_usable(seat as usize, self.tried);
        seats.iter().enumerate().filter(|&(_, &seat)| !usable(seat)).fold(0, |bits, (at, _)| bits | 1 << at)
    }

    fn land(&mut self, seat: usize) -> Landing {
        let seat = self.seats.seat(seat);
        let share = seat.share();
        if share == 0 {
            return Landing::Blocked;
        }
        if share < Standing::WHOLE && self.passes > 0 && !keeps(share, self.rng.next_u64()) {
            self.passes -= 1;
            return Landing::Passed;
        }
        if seat.take() { Landing::Taken } else { Landing::Blocked }
    }
}

struct HeadStart;

impl Takes for HeadStart {
    fn blocked(&self, _: &[u32]) -> u64 {
        0
    }

    fn land(&mut self, _: usize) -> Landing {
        Landing::Taken
    }
}

impl Tree {
    pub(super) fn build(seats: &Seats) -> Self {
        let mut tree =
            Self { nodes: Vec::new(), weights: Vec::new(), below: Vec::new(), cycle: cycle(seats) };
        let mut row: Vec<(u32, i64)> =
            (0..seats.len()).map(|seat| (seat as u32, i64::from(seats.weight(seat)))).collect();
        let fan_out = fan_out(row.len());
        let mut leaf = true;
        while row.len() > FAN_OUT {
            let groups = row.len().div_ceil(fan_out);
            row = (0..groups)
                .map(|group| tree.push_node(row.iter().copied().skip(group).step_by(groups), leaf))
                .collect();
            leaf = false;
        }
        tree.push_node(row.into_iter(), leaf);
        tree
    }

    fn push_node(&mut self, children: impl Iterator<Item = (u32, i64)>, leaf: bool) -> (u32, i64) {
        let start = self.weights.len() as u32;
        for (below, weight) in children {
            self.below.push(below);
            self.weights.push(weight);
        }
        let total = self.weights[start as usize..].iter().sum();
        self.nodes.push(Node { start, end: self.weights.len() as u32, total, leaf });
        (self.nodes.len() as u32 - 1, total)
    }

    pub(super) fn slots(&self) -> usize {
        self.weights.len()
    }

    /// The running weights a worker starts with: moved ahead by its part of the cycle.
    pub(super) fn start(&self, worker: usize, workers: usize) -> Vec<i64> {
        let mut current = vec![0; self.slots()];
        let picks = self.cycle.min(MAX_HEAD_START) * worker as u64 / workers as u64;
        for _ in 0..picks {
            self.pick_below(self.nodes.len() - 1, &mut current, &mut HeadStart);
        }
        current
    }

    pub(super) fn pick(
        &self,
        seats: &Seats,
        current: &mut [i64],
        tried: &Tried,
        rng: &mut impl Random,
    ) -> Option<usize> {
        let mut request = Request { seats, tried, rng, passes: PASSES };
        loop {
            let (seat, landing) = self.pick_below(self.nodes.len() - 1, current, &mut request)?;
            if landing == Landing::Taken {
                return Some(seat);
            }
        }
    }

    /// A child that turns out to have nobody usable is left out and the next best asked, so a pick finds whoever
    /// is usable, and only a pool that is full throughout is walked throughout.
    fn pick_below(
        &self,
        node: usize,
        current: &mut [i64],
        from: &mut impl Takes,
    ) -> Option<(usize, Landing)> {
        let Node { start, end, total, leaf } = self.nodes[node];
        let (start, end) = (start as usize, end as usize);
        let mut blocked = if leaf { from.blocked(&self.below[start..end]) } else { 0 };
        loop {
            let best = highest(&current[start..end], &self.weights[start..end], blocked)?;
            let below = self.below[start + best] as usize;
            let landed = if leaf {
                Some((below, from.land(below))).filter(|landed| landed.1 != Landing::Blocked)
            } else {
                self.pick_below(below, current, from)
            };
            if landed.is_some() {
                turn(&mut current[start..end], &self.weights[start..end], blocked, total, best);
                return landed;
            }
            blocked |= 1 << best;
        }
    }
}

/// The slot that would be highest once each had its weight added; the first among equals, as in nginx.
/// Branches on purpose: 15 ns instead of 23 without them at 10 members, 62 instead of 107 at 1,000 of equal weight;
/// only many mixed weights lose a little by them (120 instead of 111 at 1,000).
fn highest(current: &[i64], weights: &[i64], blocked: u64) -> Option<usize> {
    let mut best = None;
    let mut most = i64::MIN;
    for (at, (&current, &weight)) in current.iter().zip(weights).enumerate() {
        if blocked >> at & 1 == 0 && current + weight > most {
            most = current + weight;
            best = Some(at);
        }
    }
    best
}

/// Makes the pick of `best` count. Blocked slots take no part, neither gaining nor being paid from, so that one
/// that was full for an hour doesn't get an hour's requests at once when it has room again.
fn turn(current: &mut [i64], weights: &[i64], blocked: u64, total: i64, best: usize) {
    if blocked == 0 {
        for (current, &weight) in current.iter_mut().zip(weights) {
            *current += weight;
        }
        current[best] -= total;
        return;
    }
    let mut paid = 0;
    for (at, (current, &weight)) in current.iter_mut().zip(weights).enumerate() {
        if blocked >> at & 1 == 0 {
            *current += weight;
            paid += weight;
        }
    }
    current[best] -= paid;
}

/// The even fan-out that needs the fewest levels: 22 at 10,000, not 64 twice and then 3.
fn fan_out(members: usize) -> usize {
    let mut levels = 1;
    while FAN_OUT.pow(levels) < members {
        levels += 1;
    }
    (1..=FAN_OUT).find(|&fan_out| fan_out.pow(levels) >= members).unwrap_or(FAN_OUT)
}

/// Sum of the weights over their greatest common divisor.
fn cycle(seats: &Seats) -> u64 {
    let weights = || (0..seats.len()).map(|seat| u64::from(seats.weight(seat)));
    let common = weights().fold(0, greatest_common_divisor);
    weights().sum::<u64>() / common.max(1)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
