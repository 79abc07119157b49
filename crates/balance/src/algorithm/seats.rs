//! Who sits where: the members that can be picked at all, packed apart from what no pick reads.

use std::sync::Arc;

use crate::adaptive::MaxInFlight;
use crate::live::BackendLive;
use crate::standing::Standing;
use crate::tried::Tried;

/// A member that can be picked at all.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) live: Arc<BackendLive>,
    pub(crate) weight: u32,
    pub(crate) member: u32,
    pub(crate) limit: Option<MaxInFlight>,
    /// 1 / weight: multiplications take a third of the time of divisions.
    inverse: f32,
}

impl Seat {
    #[expect(clippy::cast_precision_loss, reason = "weights have 16 bits")]
    pub(crate) fn new(live: Arc<BackendLive>, weight: u32, member: u32, limit: Option<MaxInFlight>) -> Self {
        Self { live, weight, member, limit, inverse: 1.0 / weight as f32 }
    }

    /// What of its weight it stands for now, of 65,536; nothing while new clients aren't to be sent to it.
    #[inline]
    pub(crate) fn share(&self) -> u32 {
        let standing = self.live.standing();
        if standing.is_open() { standing.share() } else { 0 }
    }

    /// Weight × share. At most 65,535 × 65,536, so it fits.
    #[inline]
    pub(crate) fn effective_weight(&self) -> u32 {
        self.weight * self.share()
    }

    /// 1 / (weight × share), the share of 1; infinite where that is nothing.
    #[expect(clippy::cast_precision_loss, reason = "shares have 17 bits")]
    #[inline]
    pub(crate) fn inverse_weight(&self) -> f32 {
        let standing = self.live.standing();
        if standing.is_whole() {
            return self.inverse;
        }
        let share = if standing.is_open() { standing.share() } else { 0 };
        self.inverse * (Standing::WHOLE as f32 / share as f32)
    }

    /// Weight × [health](crate::Standing::health). Fits, as above.
    pub(crate) fn healthy_weight(&self) -> u32 {
        self.weight * self.live.standing().health()
    }

    /// Not tried, and not full as far as a look can tell.
    pub(crate) fn has_room(&self, tried: &Tried) -> bool {
        self.limit.is_none_or(|max| self.live.in_flight() < self.live.limit(max))
            && !tried.contains(self.member as usize)
    }

    /// Takes the slot. Fails only where there is a limit and another worker was quicker.
    pub(crate) fn take(&self) -> bool {
        take(&self.live, self.limit)
    }
}

/// Takes a slot at a backend, if there is one.
pub(crate) fn take(live: &BackendLive, limit: Option<MaxInFlight>) -> bool {
    match limit {
        None => {
            live.begin();
            true
        }
        Some(max) => live.try_begin(live.limit(max)),
    }
}

/// Whether a backend of this share takes a request that drew 16 of these bits. A whole share always does.
pub(crate) fn keeps(share: u32, bits: u64) -> bool {
    (bits >> 48) < u64::from(share)
}

/// The members of non-zero weight, in the pool's order. An index into them is a *seat*.
#[derive(Debug)]
pub(crate) struct Seats {
    seats: Vec<Seat>,
    /// Whether any has a limit; most pools have none, and then nobody can be full.
    limited: bool,
}

impl Seats {
    pub(crate) fn new(seats: impl Iterator<Item = Seat>) -> Self {
        let seats: Vec<Seat> = seats.collect();
        let limited = seats.iter().any(|seat| seat.limit.is_some());
        Self { seats, limited }
    }

    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter()
    }

    /// All of them, from `start` on, going round.
    pub(crate) fn round(&self, start: usize) -> impl Iterator<Item = &Seat> {
        let (before, from) = self.seats.split_at(start);
        from.iter().chain(before)
    }

    pub(crate) fn seat(&self, seat: usize) -> &Seat {
        &self.seats[seat]
    }

    pub(crate) fn member(&self, seat: usize) -> usize {
        self.seats[seat].member as usize
    }

    pub(crate) fn weight(&self, seat: usize) -> u32 {
        self.seats[seat].weight
    }

    /// Whether no seat can be full or tried; whether each is open has to be looked at still.
    pub(crate) fn none_taken(&self, tried: &Tried) -> bool {
        !self.limited && tried.is_empty()
    }

    /// Open, not tried, and not full as far as a look can tell.
    pub(crate) fn is_usable(&self, seat: usize, tried: &Tried) -> bool {
        let seat = &self.seats[seat];
        seat.share() > 0 && seat.has_room(tried)
    }
}
