//! Bounded load: no member has more than so many times the mean, however popular its keys are.
//!
//! V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018: with m requests and a
//! factor c, a member of share w of the weight takes at most ⌈c × m × w⌉, the one that is being picked for counted;
//! beyond that its keys go on to the next. Removing a member still moves few keys.

use super::seats::{Seat, Seats};
use crate::cursor::Load;

/// The load that a group's members may have now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// c × (m + 1), in thousandths.
    load: u128,
    /// The open weight, in thousandths of 1 / 65,536.
    weight: u128,
}

/// Members summed in a pick, on average. Up to twice as many the sum is exact; in a pool of 10,000 it is up to 625 picks
/// old, with a worker's own picks counted, which is off by less than one request in twenty for each of its members.
const SUMMED: usize = 16;

impl Bound {
    pub(super) fn new(seats: &Seats, load: &mut Load, thousandths: u32) -> Self {
        if load.fresh_for == 0 {
            *load = sum(seats);
        } else {
            load.fresh_for -= 1;
            load.in_flight += 1;
        }
        Self {
            load: u128::from(thousandths) * u128::from(load.in_flight + 1),
            weight: u128::from(load.weight) * 1_000,
        }
    }

    /// Whether the request would still be within the seat's part. Exact, in integers: active < ⌈x⌉ is active < x.
    pub(super) fn admits(self, seat: &Seat) -> bool {
        u128::from(seat.live.in_flight()) * self.weight < self.load * u128::from(seat.effective_weight())
    }
}

fn sum(seats: &Seats) -> Load {
    let open = seats.iter().filter(|seat| seat.share() > 0);
    let (in_flight, weight) = open.fold((0, 0), |(in_flight, weight), seat| {
        (in_flight + u64::from(seat.live.in_flight()), weight + u64::from(seat.effective_weight()))
    });
    Load { in_flight, weight, fresh_for: (seats.len() / SUMMED).saturating_sub(1) }
}
