//! The ways of choosing, one file each, and what they share: [`seats`] (who sits where), [`score`] (how two loads
//! compare), [`draw`] (randomness by weight).

mod bound;
mod by_key;
mod consistent_hash;
mod draw;
mod first;
mod ip_hash;
mod least;
mod random;
mod round_robin;
mod score;
pub(crate) mod seats;

use std::time::Instant;

use by_key::{ByKey, Lookup};
use consistent_hash::{Maglev, Ring};
pub use draw::Random;
use score::{Connections, Time};
use seats::Seats;

use crate::cursor::Place;
use crate::latency::{Decay, LeastTime};
use crate::live::PoolLive;
use crate::pool::Ask;

/// How a pool chooses. Each honours weights, except `First`, whose order is its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// nginx's smooth weighted round robin.
    RoundRobin,
    /// The lowest (active + 1) / weight, ties going round. Exact up to 64 members of non-zero weight, above that
    /// the lowest of 16 drawn by weight.
    LeastConnections,
    /// The lowest (active + 1) × time / weight, found in the same way. A member of which nothing is known gets one
    /// request, and until that is answered counts as one that takes a second.
    LeastTime(LeastTime),
    /// The best, by a score, of some drawn by weight.
    Random {
        /// How many are drawn; none counts as one.
        choices: u8,
        /// What the best is.
        by: Score,
    },
    /// The hash of the client's address modulo the weights.
    IpHash {
        /// The bits of an IPv6 address that count. Whoever makes the key goes by it.
        v6_prefix: u8,
    },
    /// The member that the request's key belongs to, so that a member that leaves moves no keys but its own.
    ConsistentHash {
        /// How it is found.
        table: HashTable,
        /// The most that a member takes, in thousandths of the mean load; `None`: whatever its keys bring.
        bounded_load: Option<u32>,
    },
    /// The first in order that has a free slot.
    First,
}

/// How consistent hashing finds the member of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashTable {
    /// The points of libketama.
    Ring,
    /// The table of Google's Maglev.
    Maglev,
    /// The highest number drawn from key and member. Every pick looks at every member.
    Rendezvous,
}

/// By what members are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Score {
    /// (active + 1) / weight.
    LeastConnections,
    /// (active + 1) × time / weight.
    LeastTime(LeastTime),
}

impl Algorithm {
    /// Two choices, by least connections.
    pub const TWO_CHOICES: Self = Self::Random { choices: 2, by: Score::LeastConnections };

    /// How it wants to know the time that answers took, if it does.
    #[must_use]
    pub fn timing(self) -> Option<LeastTime> {
        match self {
            Self::LeastTime(how) | Self::Random { by: Score::LeastTime(how), .. } => Some(how),
            _ => None,
        }
    }
}

/// What an algorithm made of the seats when the pool was built.
#[derive(Debug)]
pub(crate) enum Table {
    RoundRobin(round_robin::Tree),
    LeastConnections(least::Least),
    LeastTime(least::Least, Decay),
    Random { lots: draw::Lots, choices: u8, by_time: Option<Decay> },
    ByKey(ByKey),
    First,
}

/// One pick as a table sees it.
pub(crate) struct Pick<'a, R> {
    pub(crate) ask: &'a Ask<'a>,
    pub(crate) pool: &'a PoolLive,
    pub(crate) rng: &'a mut R,
    pub(crate) now: Instant,
}

impl Table {
    /// `names` are what hash tables know the seats by.
    pub(crate) fn build(algorithm: Algorithm, seats: &Seats, names: &[&str]) -> Self {
        match algorithm {
            Algorithm::RoundRobin => Self::RoundRobin(round_robin::Tree::build(seats)),
            Algorithm::LeastConnections => Self::LeastConnections(least::Least::build(seats)),
            Algorithm::LeastTime(how) => Self::LeastTime(least::Least::build(seats), how.into()),
            Algorithm::Random { choices, by } => {
                let by_time = match by {
                    Score::LeastConnections => None,
                    Score::LeastTime(how) => Some(how.into()),
                };
                Self::Random { lots: draw::Lots::build(seats), choices, by_time }
            }
            Algorithm::IpHash { .. } => Self::ByKey(ByKey::build(seats, names, None, |seats, names| {
                Lookup::Modulo(ip_hash::Modulo::build(seats, names))
            })),
            Algorithm::ConsistentHash { table, bounded_load } => {
                Self::ByKey(ByKey::build(seats, names, bounded_load, |seats, names| match table {
                    HashTable::Ring => Lookup::Ring(Ring::build(seats, names)),
                    HashTable::Maglev => Lookup::Maglev(Maglev::build(seats, names)),
                    HashTable::Rendezvous => Lookup::Rendezvous,
                }))
            }
            Algorithm::First => Self::First,
        }
    }

    /// Takes a slot of the seat it picks.
    pub(crate) fn pick<R: Random>(
        &self,
        seats: &Seats,
        place: &mut Place,
        pick: &mut Pick<'_, R>,
    ) -> Option<usize> {
        if seats.is_empty() {
            return None;
        }
        let (tried, rng) = (pick.ask.tried, &mut *pick.rng);
        let time = |decay| Time(pick.pool.moment(pick.now, decay));
        match *self {
            Self::RoundRobin(ref tree) => tree.pick(seats, &mut place.current, tried, rng),
            Self::LeastConnections(ref least) => least.pick(seats, &mut place.turn, tried, rng, Connections),
            Self::LeastTime(ref least, decay) => least.pick(seats, &mut place.turn, tried, rng, time(decay)),
            Self::Random { ref lots, choices, by_time: None } => {
                random::pick(lots, choices, seats, tried, rng, Connections)
            }
            Self::Random { ref lots, choices, by_time: Some(decay) } => {
                random::pick(lots, choices, seats, tried, rng, time(decay))
            }
            Self::ByKey(ref by_key) => by_key.pick(seats, place, pick),
            Self::First => first::pick(seats, tried, rng),
        }
    }

    /// Who has the key while nobody is left out, if that is all a pick goes by.
    pub(crate) fn owner(&self, key: u64) -> Option<usize> {
        match self {
            Self::ByKey(by_key) => by_key.owner(key),
            _ => None,
        }
    }

    /// Where this worker begins.
    pub(crate) fn start(&self, seats: &Seats, worker: usize, workers: usize) -> Place {
        let mut place = Place::default();
        match self {
            Self::RoundRobin(tree) => place.current = tree.start(worker, workers),
            Self::LeastConnections(_) | Self::LeastTime(..) => place.turn = worker * seats.len() / workers,
            Self::Random { .. } | Self::ByKey(_) | Self::First => {}
        }
        place
    }

    /// Stands for all that a pick depends on and that is the same on all nodes: `set` does for the members.
    pub(crate) fn digest(&self, set: u64) -> u64 {
        match self {
            Self::ByKey(by_key) => by_key.digest(set),
            _ => set,
        }
    }

    /// How many running weights a place in this table has.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Self::RoundRobin(tree) => tree.slots(),
            _ => 0,
        }
    }
}
