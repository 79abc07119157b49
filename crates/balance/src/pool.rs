//! From a list of members to something that picks one of them.
//!
//! As in gRPC's balancers, the work is split: [`Pool::build`] does everything that is slow, once, in one place;
//! the [`Picker`] it makes is immutable and shared by all workers, and picking never blocks. What changes lives
//! outside: counters in [`BackendLive`], a worker's place in its [`Cursor`].

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use foldhash::quality::FixedState;

use crate::algorithm::{Algorithm, Random, Seat, Seats, Table};
use crate::cursor::Cursor;
use crate::live::BackendLive;
use crate::tried::Tried;

/// A backend's place in a pool.
#[derive(Clone, Debug)]
pub struct Member {
    /// Stable over reloads and unique in the pool.
    pub id: String,
    /// Its share of the traffic, 0 to 65535. A member of weight 0 is never picked.
    pub weight: u32,
    /// Requests it takes at a time, over all workers; `None`: any number.
    pub max_in_flight: Option<u32>,
    /// Its counters.
    pub live: Arc<BackendLive>,
}

/// The builder of pickers.
#[derive(Clone, Copy, Debug)]
pub struct Pool;

impl Pool {
    /// Makes everything that picking needs: O(n log n) at most in the number of members.
    ///
    /// Weights above 65535 count as 65535: the arithmetic of the algorithms is exact up to there.
    #[must_use]
    pub fn build(algorithm: Algorithm, members: Vec<Member>) -> Picker {
        let seats = Seats::new(members.iter().enumerate().filter(|(_, member)| member.weight > 0).map(
            |(index, member)| Seat {
                live: Arc::clone(&member.live),
                weight: member.weight.min(MAX_WEIGHT),
                member: index as u32,
                limit: member.max_in_flight,
            },
        ));
        let table = Table::build(algorithm, &seats);
        let rotation = rotation(algorithm, &members);
        Picker { algorithm, members, seats, table, rotation }
    }
}

/// Picks a member for each request. Immutable, shared by all workers.
#[derive(Debug)]
pub struct Picker {
    algorithm: Algorithm,
    members: Vec<Member>,
    seats: Seats,
    table: Table,
    rotation: u64,
}

/// Why nobody could be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBackend {
    /// The pool has no member, or none with a weight.
    Empty,
    /// Every member that was not tried yet has its `max_in_flight` requests.
    AllFull,
    /// The request has been to every member.
    AllTried,
}

impl Picker {
    /// Picks a member that was not tried and has room, and takes the slot: its `in_flight` is one more on return.
    /// The caller ends it with `members()[index].live.end()`.
    ///
    /// `cursor` must be made for this picker or [fit](Cursor::fits) it. No algorithm of today asks for the time;
    /// `now` is what those that weigh by latency or age will go by.
    pub fn pick(
        &self,
        cursor: &mut Cursor,
        tried: &Tried,
        rng: &mut impl Random,
        _now: Instant,
    ) -> Result<usize, NoBackend> {
        debug_assert!(cursor.fits(self), "invariant: a cursor is used with the picker it was made for");
        match self.table.pick(&self.seats, cursor, tried, rng) {
            Some(seat) => Ok(self.seats.member(seat)),
            None => Err(self.why_none(tried)),
        }
    }

    /// The members, in the order they were given in; what [`pick`](Self::pick) returns is an index into them.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How members are chosen.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Stands for everything a cursor's place depends on: algorithm, and the members' ids and weights in order.
    pub(crate) fn rotation(&self) -> u64 {
        self.rotation
    }

    pub(crate) fn seats(&self) -> &Seats {
        &self.seats
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    #[cold]
    fn why_none(&self, tried: &Tried) -> NoBackend {
        if self.seats.is_empty() {
            NoBackend::Empty
        } else if (0..self.seats.len()).all(|seat| tried.contains(self.seats.member(seat))) {
            NoBackend::AllTried
        } else {
            NoBackend::AllFull
        }
    }
}

fn rotation(algorithm: Algorithm, members: &[Member]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    algorithm.hash(&mut hasher);
    for member in members {
        (member.id.as_str(), member.weight).hash(&mut hasher);
    }
    hasher.finish()
}

/// What the configuration allows, and what every sum and product of the algorithms has room for.
const MAX_WEIGHT: u32 = 65_535;
