//! Random: the better of two.
//!
//! M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12 (2001): comparing two
//! takes the longest queue from log n / log log n to log log n, and a third choice adds next to nothing. Workers
//! that see slightly old counts don't herd onto the same member, as they would with an exact minimum.

use std::hint::select_unpredictable;

use super::draw::{Lots, Random};
use super::{Seats, least_connections};
use crate::tried::Tried;

pub(super) fn pick(lots: &Lots, seats: &Seats, tried: &Tried, rng: &mut impl Random) -> Option<usize> {
    if let Some(one) = lots.draw_usable(seats, tried, None, rng) {
        // Without a second within a few draws (one member has nearly all the weight) the first stands alone.
        let other = lots.draw_usable(seats, tried, Some(one), rng).unwrap_or(one);
        // Either is as likely: a branch would be mispredicted every other time.
        let picked = select_unpredictable(seats.score(other).is_below(seats.score(one)), other, one);
        if seats.take(picked) {
            return Some(picked);
        }
    }
    // Draws that keep hitting tried or full members say little about the others: look at all of them.
    let start = (rng.next_u64() % seats.len() as u64) as usize;
    least_connections::take_least(seats, start, tried)
}
