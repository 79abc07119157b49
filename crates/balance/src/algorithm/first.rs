//! First: the first in order with a free slot. Made for pools whose members should fill one after the other.

use super::draw::Random;
use super::seats::{Seats, keeps};
use crate::tried::Tried;

/// Linear in the members that are full, of which a pool used this way has few: the point is to fill some and leave
/// the rest alone. One that has a part of its weight is passed over for the other part of requests, as long as there
/// is another.
pub(super) fn pick(seats: &Seats, tried: &Tried, rng: &mut impl Random) -> Option<usize> {
    let mut passed_over = None;
    for seat in (0..seats.len()).filter(|&seat| seats.is_usable(seat, tried)) {
        if !keeps(seats.seat(seat).share(), rng.next_u64()) {
            passed_over = passed_over.or(Some(seat));
        } else if seats.seat(seat).take() {
            return Some(seat);
        }
    }
    passed_over.filter(|&seat| seats.seat(seat).take())
}
