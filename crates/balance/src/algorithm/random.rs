//! Random: the best of a few.
//!
//! M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12 (2001): comparing two
//! takes the longest queue from log n / log log n to log log n, and a third choice adds next to nothing. Workers
//! that see slightly old counts don't herd onto the same member, as they would with an exact minimum.

use std::hint::select_unpredictable;

use super::draw::{Lots, Random};
use super::score::{Yardstick, take_least};
use super::seats::Seats;
use crate::tried::Tried;

pub(super) fn pick<Y: Yardstick>(
    lots: &Lots,
    choices: u8,
    seats: &Seats,
    tried: &Tried,
    rng: &mut impl Random,
    by: Y,
) -> Option<usize> {
    if let Some(one) = lots.draw_usable(seats, tried, None, rng) {
        let mut best = (one, by.load(seats.seat(one)));
        for _ in 1..choices {
            // Without another within a few draws (one member has nearly all the weight) what was drawn stands alone.
            let Some(other) = lots.draw_usable(seats, tried, Some(best.0), rng) else { break };
            let other = (other, by.load(seats.seat(other)));
            // Either is as likely: a branch would be mispredicted every other time.
            best = select_unpredictable(Y::is_below(other.1, best.1), other, best);
        }
        if Y::is_open(best.1) && seats.seat(best.0).take() {
            return Some(best.0);
        }
    }
    // Draws that keep hitting tried, full or thinned members say little about the others: look at all of them.
    let start = (rng.next_u64() % seats.len() as u64) as usize;
    take_least(seats, start, tried, by)
}
