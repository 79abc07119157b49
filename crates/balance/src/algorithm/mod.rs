//! The ways of choosing, one file each, and what they share: who sits where, and how two loads compare.

mod draw;
mod first;
mod least_connections;
mod random;
mod round_robin;

use std::sync::Arc;

pub use draw::Random;

use crate::cursor::Cursor;
use crate::live::BackendLive;
use crate::tried::Tried;

/// How a pool chooses. Each honours weights, except `First`, whose order is its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// nginx's smooth weighted round robin.
    RoundRobin,
    /// The lowest (active + 1) / weight, ties going round. Exact up to 64 members of non-zero weight, above that
    /// the lowest of 16 drawn by weight.
    LeastConnections,
    /// The better, by that score, of two drawn by weight.
    Random,
    /// The first in order that has a free slot.
    First,
}

/// A member that can be picked at all. Packed apart from `Member`, whose id no pick reads.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) live: Arc<BackendLive>,
    pub(crate) weight: u32,
    pub(crate) member: u32,
    pub(crate) limit: Option<u32>,
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

    pub(crate) fn member(&self, seat: usize) -> usize {
        self.seats[seat].member as usize
    }

    fn weight(&self, seat: usize) -> u32 {
        self.seats[seat].weight
    }

    /// Whether every seat is usable for this request without looking.
    fn all_usable(&self, tried: &Tried) -> bool {
        !self.limited && tried.is_empty()
    }

    /// Not tried, and not full as far as a look can tell.
    fn is_usable(&self, seat: usize, tried: &Tried) -> bool {
        let seat = &self.seats[seat];
        seat.limit.is_none_or(|max| seat.live.in_flight() < max) && !tried.contains(seat.member as usize)
    }

    /// Takes the slot. Fails only where there is a limit and another worker was quicker.
    fn take(&self, seat: usize) -> bool {
        let seat = &self.seats[seat];
        match seat.limit {
            None => {
                seat.live.begin();
                true
            }
            Some(max) => seat.live.try_begin(max),
        }
    }

    fn score(&self, seat: usize) -> Score {
        let seat = &self.seats[seat];
        Score { requests: u64::from(seat.live.in_flight()) + 1, weight: u64::from(seat.weight) }
    }
}

/// (active + 1) / weight, as it would be after the pick.
#[derive(Clone, Copy)]
struct Score {
    requests: u64,
    weight: u64,
}

impl Score {
    /// Exact: the fractions are compared by their cross products, which fit 49 bits.
    fn is_below(self, other: Score) -> bool {
        self.requests * other.weight < other.requests * self.weight
    }
}

/// What an algorithm made of the seats when the pool was built.
#[derive(Debug)]
pub(crate) enum Table {
    RoundRobin(round_robin::Tree),
    LeastConnections(least_connections::LeastConnections),
    Random(draw::Lots),
    First,
}

impl Table {
    pub(crate) fn build(algorithm: Algorithm, seats: &Seats) -> Self {
        match algorithm {
            Algorithm::RoundRobin => Self::RoundRobin(round_robin::Tree::build(seats)),
            Algorithm::LeastConnections => {
                Self::LeastConnections(least_connections::LeastConnections::build(seats))
            }
            Algorithm::Random => Self::Random(draw::Lots::build(seats)),
            Algorithm::First => Self::First,
        }
    }

    pub(crate) fn pick(
        &self,
        seats: &Seats,
        cursor: &mut Cursor,
        tried: &Tried,
        rng: &mut impl Random,
    ) -> Option<usize> {
        if seats.is_empty() {
            return None;
        }
        match self {
            Self::RoundRobin(tree) => tree.pick(seats, &mut cursor.current, tried),
            Self::LeastConnections(table) => table.pick(seats, &mut cursor.turn, tried, rng),
            Self::Random(lots) => random::pick(lots, seats, tried, rng),
            Self::First => first::pick(seats, tried),
        }
    }

    /// Sets `cursor` to where this worker begins.
    pub(crate) fn start(&self, seats: &Seats, cursor: &mut Cursor, worker: usize, workers: usize) {
        match self {
            Self::RoundRobin(tree) => cursor.current = tree.start(worker, workers),
            Self::LeastConnections(_) => cursor.turn = worker * seats.len() / workers,
            Self::Random(_) | Self::First => {}
        }
    }

    /// How many running weights a cursor of this table has.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Self::RoundRobin(tree) => tree.slots(),
            _ => 0,
        }
    }
}
