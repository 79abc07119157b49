//! How two loads compare, and finding the least of them.

use std::hint::select_unpredictable;

use super::seats::{Seat, Seats};
use crate::latency::Moment;
use crate::tried::Tried;

/// Looks at all seats before a pick takes whoever has room: each is lost only to another worker's pick.
const LOOKS: usize = 4;

/// What load is measured by. A seat that isn't open has more of it than any that is.
pub(super) trait Yardstick: Copy {
    type Load: Copy;
    /// Of nobody, and above that of any seat.
    const MOST: Self::Load;
    fn load(self, seat: &Seat) -> Self::Load;
    fn is_below(one: Self::Load, other: Self::Load) -> bool;
    /// Whether it is the load of a seat that is open.
    fn is_open(load: Self::Load) -> bool;
}

/// (active + 1) / weight, as it would be after the pick. With the + 1 an idle pool sends to the heaviest first and no
/// load is ever zero, so weights count from the first request on.
#[derive(Clone, Copy)]
pub(super) struct Connections;

impl Yardstick for Connections {
    type Load = (u64, u32);
    const MOST: Self::Load = (1, 0);

    #[inline]
    fn load(self, seat: &Seat) -> Self::Load {
        (u64::from(seat.live.in_flight()) + 1, seat.effective_weight())
    }

    /// Exact: the fractions are compared by their cross products, at most 2³² × (2³² - 2¹⁶). One whose weight is nothing
    /// comes out as above all others.
    #[inline]
    fn is_below(one: Self::Load, other: Self::Load) -> bool {
        one.0 * u64::from(other.1) < other.0 * u64::from(one.1)
    }

    #[inline]
    fn is_open(load: Self::Load) -> bool {
        load.1 > 0
    }
}

/// (active + 1) × time / weight, as the bits of an `f32`: positive ones are in the order of their bits, and integers are
/// chosen among without branches. The time is the average of the answers so far.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) Moment);

/// The time of a backend that has answered nothing yet and has nothing to answer: less than anybody's, so that the next
/// request finds out.
const UNKNOWN: f32 = 1e-9;

/// The time of one that has its first requests and hasn't answered: a second, so that no more are sent there to find out
/// unless all others are worse.
const AWAITED: f32 = 1.0;

impl Yardstick for Time {
    type Load = u32;
    const MOST: Self::Load = u32::MAX;

    #[expect(clippy::cast_precision_loss, reason = "averages have 5 digits themselves")]
    #[inline]
    fn load(self, seat: &Seat) -> Self::Load {
        let active = seat.live.in_flight();
        let unknown = || if active == 0 { UNKNOWN } else { AWAITED };
        let time = seat.live.latency().estimate(self.0).unwrap_or_else(unknown);
        let load = (active as f32 + 1.0) * time * seat.inverse_weight();
        load.to_bits()
    }

    #[inline]
    fn is_below(one: Self::Load, other: Self::Load) -> bool {
        one < other
    }

    #[inline]
    fn is_open(load: Self::Load) -> bool {
        load < f32::INFINITY.to_bits()
    }
}

/// The lowest of all; among equals the first from `start` on, going round. Takes it.
pub(super) fn take_least<Y: Yardstick>(seats: &Seats, start: usize, tried: &Tried, by: Y) -> Option<usize> {
    let len = seats.len();
    let seat_at = |at: usize| if start + at < len { start + at } else { start + at - len };
    for _ in 0..LOOKS {
        let best = seat_at(lowest(seats, seats.round(start), tried, by)?);
        if seats.seat(best).take() {
            return Some(best);
        }
    }
    (0..len).map(seat_at).find(|&seat| seats.is_usable(seat, tried) && seats.seat(seat).take())
}

/// The place, in their order, of the lowest of these; of equals that of the first. `None` if none of them can be used.
pub(super) fn lowest<'a, Y: Yardstick>(
    seats: &Seats,
    among: impl Iterator<Item = &'a Seat>,
    tried: &Tried,
    by: Y,
) -> Option<usize> {
    let placed = among.enumerate();
    // Asked once for all: nearly always nobody has a limit and the request has been nowhere.
    if seats.none_taken(tried) {
        lowest_placed(placed, by)
    } else {
        lowest_placed(placed.filter(|(_, seat)| seat.has_room(tried)), by)
    }
}

/// Without branches where loads are compared, since any may be lower: 71 ns instead of 216 for 16 of 100.
#[inline]
fn lowest_placed<'a, Y: Yardstick>(placed: impl Iterator<Item = (usize, &'a Seat)>, by: Y) -> Option<usize> {
    let (place, load) = placed
        .map(|(place, seat)| (place, by.load(seat)))
        .fold((0, Y::MOST), |best, next| select_unpredictable(Y::is_below(next.1, best.1), next, best));
    Y::is_open(load).then_some(place)
}
