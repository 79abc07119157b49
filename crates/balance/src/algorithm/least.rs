//! The least loaded: exact in small pools, close in large ones. Least connections and least time differ in what load is.

use super::draw::{Lots, Random};
use super::score::{Yardstick, lowest, take_least};
use super::seats::Seats;
use crate::tried::Tried;

/// Up to here the minimum is exact. It costs a cache miss or so for each member that another worker wrote since.
const EXACT_UP_TO: usize = 64;

/// Seats compared in a larger pool. The chance that all of 16 are among the worse half is 1 in 65,536.
const SAMPLES: usize = 16;

#[derive(Debug)]
pub(crate) struct Least {
    /// Only for pools above [`EXACT_UP_TO`].
    lots: Option<Lots>,
}

impl Least {
    pub(super) fn build(seats: &Seats) -> Self {
        Self { lots: (seats.len() > EXACT_UP_TO).then(|| Lots::build(seats)) }
    }

    pub(super) fn pick<Y: Yardstick>(
        &self,
        seats: &Seats,
        turn: &mut usize,
        tried: &Tried,
        rng: &mut impl Random,
        by: Y,
    ) -> Option<usize> {
        let sampled = self.lots.as_ref().and_then(|lots| take_sampled(lots, seats, tried, rng, by));
        let picked = sampled.or_else(|| take_least(seats, *turn, tried, by))?;
        *turn = if picked + 1 == seats.len() { 0 } else { picked + 1 };
        Some(picked)
    }
}

/// The lowest of a few drawn by weight; ties go to the first drawn. None if none of them can be used.
fn take_sampled<Y: Yardstick>(
    lots: &Lots,
    seats: &Seats,
    tried: &Tried,
    rng: &mut impl Random,
    by: Y,
) -> Option<usize> {
    let drawn: [usize; SAMPLES] = std::array::from_fn(|_| lots.draw(rng));
    let best = drawn[lowest(seats, drawn.iter().map(|&seat| seats.seat(seat)), tried, by)?];
    seats.seat(best).take().then_some(best)
}
