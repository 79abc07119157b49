//! First: the first in order with a free slot. Made for pools whose members should fill one after the other.

use super::Seats;
use crate::tried::Tried;

/// Linear in the members that are full, of which a pool used this way has few: the point is to fill some and leave
/// the rest alone.
pub(super) fn pick(seats: &Seats, tried: &Tried) -> Option<usize> {
    (0..seats.len()).find(|&seat| seats.is_usable(seat, tried) && seats.take(seat))
}
