//! Least connections: the lowest (active + 1) / weight, as it would be after the pick.
//!
//! With the + 1 an idle pool sends to the heaviest first and no score is ever zero, so weights count from the
//! first request on.

use std::hint::select_unpredictable;

use super::Seats;
use super::draw::{Lots, Random};
use crate::tried::Tried;

/// Up to here the minimum is exact. It costs a cache miss or so for each member that another worker wrote since.
const EXACT_UP_TO: usize = 64;

/// Seats compared in a larger pool. The chance that all of 16 are among the worse half is 1 in 65,536.
const SAMPLES: usize = 16;

/// Looks at all seats before a pick takes whoever has room: each is lost only to another worker's pick.
const LOOKS: usize = 4;

#[derive(Debug)]
pub(crate) struct LeastConnections {
    /// Only for pools above [`EXACT_UP_TO`].
    lots: Option<Lots>,
}

impl LeastConnections {
    pub(super) fn build(seats: &Seats) -> Self {
        Self { lots: (seats.len() > EXACT_UP_TO).then(|| Lots::build(seats)) }
    }

    pub(super) fn pick(
        &self,
        seats: &Seats,
        turn: &mut usize,
        tried: &Tried,
        rng: &mut impl Random,
    ) -> Option<usize> {
        let sampled = self.lots.as_ref().and_then(|lots| take_sampled(lots, seats, tried, rng));
        let picked = sampled.or_else(|| take_least(seats, *turn, tried))?;
        *turn = if picked + 1 == seats.len() { 0 } else { picked + 1 };
        Some(picked)
    }
}

/// The lowest of a few drawn by weight; ties go to the first drawn. None if none of them can be used.
fn take_sampled(lots: &Lots, seats: &Seats, tried: &Tried, rng: &mut impl Random) -> Option<usize> {
    let drawn: [usize; SAMPLES] = std::array::from_fn(|_| lots.draw(rng));
    let best = lowest(seats, drawn.into_iter(), tried)?;
    seats.take(best).then_some(best)
}

/// The lowest of all; among equals the first from `start` on, going round. Takes it.
pub(super) fn take_least(seats: &Seats, start: usize, tried: &Tried) -> Option<usize> {
    let round = || (start..seats.len()).chain(0..start);
    for _ in 0..LOOKS {
        let best = lowest(seats, round(), tried)?;
        if seats.take(best) {
            return Some(best);
        }
    }
    round().find(|&seat| seats.is_usable(seat, tried) && seats.take(seat))
}

/// Without branches where scores are compared, since any may be lower: 71 ns instead of 216 for 16 of 100.
fn lowest(seats: &Seats, among: impl Iterator<Item = usize>, tried: &Tried) -> Option<usize> {
    let all_usable = seats.all_usable(tried);
    let mut usable = among
        .filter(|&seat| all_usable || seats.is_usable(seat, tried))
        .map(|seat| (seat, seats.score(seat)));
    let first = usable.next()?;
    let (seat, _) =
        usable.fold(first, |best, next| select_unpredictable(next.1.is_below(best.1), next, best));
    Some(seat)
}
