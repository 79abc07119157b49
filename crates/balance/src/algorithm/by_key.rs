//! Picking by a key: the same key goes to the same member, as long as that can be used.
//!
//! Who comes next when it can't is settled by the key too, so that all requests of a key go on together. A member that
//! stands for a part of its weight loses a part of its keys, always the same ones; the others stay.

use super::Pick;
use super::bound::Bound;
use super::consistent_hash::{Maglev, Rendezvous, Ring};
use super::draw::{Lots, Random};
use super::ip_hash::Modulo;
use super::random;
use super::score::Connections;
use super::seats::{Seats, keeps};
use crate::cursor::Place;
use crate::hash::mix;
use crate::tried::Tried;

/// How the first member of a key is found.
#[derive(Debug)]
pub(crate) enum Lookup {
    Modulo(Modulo),
    Ring(Ring),
    Maglev(Maglev),
    Rendezvous,
}

#[derive(Debug)]
pub(crate) struct ByKey {
    lookup: Lookup,
    /// The order of members for a key, for when the lookup leads nowhere.
    order: Rendezvous,
    /// For requests without a key.
    lots: Lots,
    /// In thousandths of the mean.
    bounded_load: Option<u32>,
}

/// Members looked at in the order of the lookup, some of them several times. Whoever can be used is nearly always among
/// them; else all members are looked at.
const STEPS: usize = 64;

/// Draws from key and member what part of the weight takes the request, independently of who is looked up.
const THINNING: u64 = 0x7468_696e_0000;

impl ByKey {
    pub(super) fn build(
        seats: &Seats,
        names: &[&str],
        bounded_load: Option<u32>,
        lookup: impl FnOnce(&Seats, &[&str]) -> Lookup,
    ) -> Self {
        Self {
            lookup: lookup(seats, names),
            order: Rendezvous::build(seats, names),
            lots: Lots::build(seats),
            bounded_load,
        }
    }

    pub(super) fn pick<R: Random>(
        &self,
        seats: &Seats,
        place: &mut Place,
        pick: &mut Pick<'_, R>,
    ) -> Option<usize> {
        let tried = pick.ask.tried;
        let Some(key) = pick.ask.key else {
            return random::pick(&self.lots, 2, seats, tried, pick.rng, Connections);
        };
        let bound = self.bounded_load.map(|thousandths| Bound::new(seats, &mut place.load, thousandths));
        let look = Look { seats, order: &self.order, tried, key, bound };
        match &self.lookup {
            Lookup::Modulo(modulo) => look.along(
                (0..STEPS).map(|step| modulo.seat(if step == 0 { key } else { mix(key, step as u64) })),
            ),
            Lookup::Ring(ring) => {
                let start = ring.start(key);
                look.along((0..STEPS).map(|step| ring.seat(start + step)))
            }
            Lookup::Maglev(maglev) => {
                let start = maglev.start(key);
                look.along((0..STEPS).map(|step| maglev.seat(start + step)))
            }
            Lookup::Rendezvous => look.along(std::iter::once(self.order.first(key))),
        }
        .or_else(|| look.everywhere())
    }

    /// Who has the key while nobody is left out, where no table comes before the order.
    pub(super) fn owner(&self, key: u64) -> Option<usize> {
        matches!(self.lookup, Lookup::Rendezvous).then(|| self.order.first(key))
    }

    /// Stands for all that lookups depend on.
    pub(super) fn digest(&self, set: u64) -> u64 {
        let name = |seat: usize| self.order.name(seat);
        match &self.lookup {
            Lookup::Modulo(_) | Lookup::Rendezvous => set,
            Lookup::Ring(ring) => ring.digest(set, name),
            Lookup::Maglev(maglev) => maglev.digest(set, name),
        }
    }
}

/// One request looking for its member.
struct Look<'a> {
    seats: &'a Seats,
    order: &'a Rendezvous,
    tried: &'a Tried,
    key: u64,
    bound: Option<Bound>,
}

impl Look<'_> {
    fn along(&self, mut candidates: impl Iterator<Item = usize>) -> Option<usize> {
        candidates.find(|&seat| self.keeps(seat) && self.is_within_bound(seat) && self.take(seat))
    }

    /// First with all that is asked of a member, then with less: a bound that turns all away was summed too long ago, and
    /// where all members stand for little, all are about as good.
    #[cold]
    fn everywhere(&self) -> Option<usize> {
        let usable = |seat: usize| self.seats.is_usable(seat, self.tried);
        let best = self
            .order
            .best(self.key, |seat| usable(seat) && self.keeps(seat) && self.is_within_bound(seat))
            .or_else(|| self.order.best(self.key, |seat| usable(seat) && self.keeps(seat)))
            .or_else(|| self.order.best(self.key, usable));
        let taken = best.filter(|&seat| self.take(seat));
        // Another worker was quicker: whoever is left.
        taken.or_else(|| (0..self.seats.len()).find(|&seat| self.take(seat)))
    }

    fn keeps(&self, seat: usize) -> bool {
        keeps(self.seats.seat(seat).share(), mix(self.key ^ THINNING, self.order.name(seat)))
    }

    fn is_within_bound(&self, seat: usize) -> bool {
        self.bound.is_none_or(|bound| bound.admits(self.seats.seat(seat)))
    }

    fn take(&self, seat: usize) -> bool {
        self.seats.is_usable(seat, self.tried) && self.seats.seat(seat).take()
    }
}
