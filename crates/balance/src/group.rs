//! Who is picked among first: members of our own zone before others, and backups only when nobody else is left.

use crate::algorithm::seats::{Seat, Seats, keeps};
use crate::algorithm::{Algorithm, Pick, Random, Table};
use crate::cursor::Place;
use crate::hash::{hash, mix};
use crate::pool::Member;
use crate::standing::Standing;
use crate::tried::Tried;

use std::sync::Arc;

/// Members that are picked among by one table.
#[derive(Debug)]
pub(crate) struct Group {
    seats: Seats,
    table: Table,
    digest: u64,
}

/// Members that serve at the same time: those near by and, if there are others, those further away.
#[derive(Debug)]
pub(crate) struct Tier {
    groups: Vec<Group>,
    /// The sum of the weights near by.
    near_weight: u64,
}

/// Near members take everything until less than 1 / 1.4 of their weight is healthy: until then the others of them are
/// trusted with the load of the lost. Below that the rest spills. The figure is Envoy's overprovisioning factor.
const OVERPROVISIONED: (u64, u64) = (14, 10);

impl Group {
    fn build(algorithm: Algorithm, members: &[(usize, &Member)]) -> Self {
        let seats = Seats::new(members.iter().map(|&(index, member)| {
            let weight = member.weight.min(MAX_WEIGHT);
            Seat::new(Arc::clone(&member.live), weight, index as u32, member.max_in_flight)
        }));
        let names: Vec<&str> = members.iter().map(|(_, member)| member.hash_name.as_str()).collect();
        let table = Table::build(algorithm, &seats, &names);
        let digest = table.digest(set_digest(&seats, &names));
        Self { seats, table, digest }
    }

    /// Stands for all that a pick depends on and that nodes with the same configuration have in common.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn start(&self, worker: usize, workers: usize) -> Place {
        self.table.start(&self.seats, worker, workers)
    }

    pub(crate) fn slots(&self) -> usize {
        self.table.slots()
    }

    /// The member that has the key while nobody is left out.
    pub(crate) fn owner(&self, key: u64) -> Option<usize> {
        self.table.owner(key).map(|seat| self.seats.member(seat))
    }

    fn pick<R: Random>(&self, place: &mut Place, pick: &mut Pick<'_, R>) -> Option<usize> {
        let seat = self.table.pick(&self.seats, place, pick)?;
        Some(self.seats.member(seat))
    }

    /// The weight that isn't lost to illness now × 65,536. Summed again only after a standing has changed.
    fn healthy_weight(&self, place: &mut Place, changes: u32) -> u64 {
        match place.healthy {
            Some((as_of, weight)) if as_of == changes => weight,
            _ => {
                let weight = self.seats.iter().map(|seat| u64::from(seat.healthy_weight())).sum();
                place.healthy = Some((changes, weight));
                weight
            }
        }
    }
}

impl Tier {
    /// Of the `members` that are `among` it. Without anybody in our `zone`, all are equally near.
    pub(crate) fn build(
        algorithm: Algorithm,
        members: &[Member],
        among: impl Fn(&Member) -> bool,
        zone: Option<&str>,
    ) -> Self {
        let is_near = |member: &Member| zone.is_some() && member.zone.as_deref() == zone;
        let (near, far): (Vec<_>, Vec<_>) = members
            .iter()
            .enumerate()
            .filter(|(_, member)| among(member))
            .partition(|(_, member)| is_near(member));
        let near_weight = near.iter().map(|(_, member)| u64::from(member.weight.min(MAX_WEIGHT))).sum();
        let groups = [near, far]
            .iter()
            .filter(|members| !members.is_empty())
            .map(|members| Group::build(algorithm, members))
            .collect();
        Self { groups, near_weight }
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(crate) fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.groups.iter().flat_map(|group| group.seats.iter())
    }

    /// Whether anybody who takes new clients hasn't been tried.
    #[cold]
    pub(crate) fn has_untried(&self, tried: &Tried) -> bool {
        self.seats().any(|seat| seat.share() > 0 && !tried.contains(seat.member as usize))
    }

    #[inline]
    pub(crate) fn pick<R: Random>(&self, places: &mut [Place], pick: &mut Pick<'_, R>) -> Option<usize> {
        match (&self.groups[..], places) {
            ([all], [place]) => all.pick(place, pick),
            ([near, far], [at_near, at_far]) => {
                if self.stays_near(near, at_near, pick) {
                    near.pick(at_near, pick).or_else(|| far.pick(at_far, pick))
                } else {
                    far.pick(at_far, pick).or_else(|| near.pick(at_near, pick))
                }
            }
            _ => None,
        }
    }

    /// With a key it is the key that decides, so that the same ones spill.
    fn stays_near<R: Random>(&self, near: &Group, place: &mut Place, pick: &mut Pick<'_, R>) -> bool {
        let (factor, by) = OVERPROVISIONED;
        // At most 2³² × 14 for each of fewer than 2²⁸ members.
        let healthy = near.healthy_weight(place, pick.pool.changes()) * factor;
        let share = healthy / (by * self.near_weight);
        share >= u64::from(Standing::WHOLE) || {
            let bits = pick.ask.key.map_or_else(|| pick.rng.next_u64(), |key| mix(key, SPILL));
            keeps(share as u32, bits)
        }
    }
}

/// The same for the same names and weights, in whatever order.
fn set_digest(seats: &Seats, names: &[&str]) -> u64 {
    seats.iter().zip(names).fold(0, |digest, (seat, name)| {
        digest.wrapping_add(mix(hash(name.as_bytes()), u64::from(seat.weight)))
    })
}

/// What the algorithms' sums and products have room for.
const MAX_WEIGHT: u32 = 65_535;

/// Draws, from a key, whether it spills, independently of everything else that is drawn from it.
const SPILL: u64 = 0x7370_696c_6c00;
