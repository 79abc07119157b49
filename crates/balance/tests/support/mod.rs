//! Pools to pick from, and randomness with a known seed.

#![allow(dead_code, reason = "each test file uses its part")]

use std::time::{Duration, Instant};

use fairlead_balance::{
    Algorithm, Ask, Average, Cursor, HashTable, LeastTime, Live, MaxInFlight, Member, NoBackend, Options,
    Picker, Pool, Random, Score, Tried,
};

pub(crate) const TIME: LeastTime = LeastTime { average: Average::PeakEwma, window: Duration::from_secs(10) };

pub(crate) const fn consistent(table: HashTable) -> Algorithm {
    Algorithm::ConsistentHash { table, bounded_load: None }
}

pub(crate) const fn bounded(table: HashTable) -> Algorithm {
    Algorithm::ConsistentHash { table, bounded_load: Some(1_250) }
}

pub(crate) const TABLES: [HashTable; 3] = [HashTable::Ring, HashTable::Maglev, HashTable::Rendezvous];

/// Those that go by a key.
pub(crate) const KEYED: [Algorithm; 7] = [
    Algorithm::IpHash { v6_prefix: 128 },
    consistent(HashTable::Ring),
    consistent(HashTable::Maglev),
    consistent(HashTable::Rendezvous),
    bounded(HashTable::Ring),
    bounded(HashTable::Maglev),
    bounded(HashTable::Rendezvous),
];

pub(crate) const ALL: [Algorithm; 15] = [
    Algorithm::RoundRobin,
    Algorithm::LeastConnections,
    Algorithm::LeastTime(TIME),
    Algorithm::TWO_CHOICES,
    Algorithm::Random { choices: 1, by: Score::LeastConnections },
    Algorithm::Random { choices: 5, by: Score::LeastConnections },
    Algorithm::Random { choices: 2, by: Score::LeastTime(TIME) },
    KEYED[0],
    KEYED[1],
    KEYED[2],
    KEYED[3],
    KEYED[4],
    KEYED[5],
    KEYED[6],
    Algorithm::First,
];

/// Sebastiano Vigna's splitmix64.
pub(crate) struct SplitMix(pub(crate) u64);

impl Random for SplitMix {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can't be made from nothing; its value plays no part"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn picker(algorithm: Algorithm, weights: &[u32]) -> Picker {
    picker_with_limits(algorithm, &weights.iter().map(|&weight| (weight, None)).collect::<Vec<_>>())
}

pub(crate) fn picker_with_limits(algorithm: Algorithm, members: &[(u32, Option<u32>)]) -> Picker {
    let live = Live::new();
    let sit = |(index, &(weight, max_in_flight)): (usize, &(u32, Option<u32>))| {
        let id = index.to_string();
        Member { weight, max_in_flight: max_in_flight.map(MaxInFlight::Fixed), ..member(&live, &id) }
    };
    Pool::build(algorithm, members.iter().enumerate().map(sit).collect(), &Options::default())
}

/// A member of weight 1 with nothing else said about it.
pub(crate) fn member(live: &Live, id: &str) -> Member {
    Member {
        id: id.into(),
        hash_name: id.into(),
        weight: 1,
        max_in_flight: None,
        zone: None,
        backup: false,
        live: live.backend("pool", id),
    }
}

/// A picker with one worker's cursor and randomness of its own.
pub(crate) struct Worker<'a> {
    pub(crate) picker: &'a Picker,
    pub(crate) cursor: Cursor,
    rng: SplitMix,
    pub(crate) now: Instant,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(picker: &'a Picker) -> Self {
        Self::of(picker, 0, 1)
    }

    pub(crate) fn of(picker: &'a Picker, worker: usize, workers: usize) -> Self {
        Self {
            picker,
            cursor: Cursor::new(picker, worker, workers),
            rng: SplitMix(worker as u64),
            now: now(),
        }
    }

    pub(crate) fn pick(&mut self, tried: &Tried) -> Result<usize, NoBackend> {
        self.pick_for(&Ask { tried, key: None })
    }

    pub(crate) fn pick_for(&mut self, ask: &Ask<'_>) -> Result<usize, NoBackend> {
        self.picker.pick(ask, &mut self.cursor, &mut self.rng, self.now)
    }

    /// The member of a key, for a request that is over before the next one comes.
    pub(crate) fn serve_key(&mut self, key: u64) -> usize {
        let member = self.pick_for(&Ask { tried: &Tried::new(), key: Some(key) });
        let member = member.expect("the pool has a usable member");
        self.picker.members()[member].live.end();
        member
    }

    /// A request that is over before the next one comes.
    pub(crate) fn serve(&mut self) -> usize {
        let member = self.pick(&Tried::new()).expect("the pool has a usable member");
        self.picker.members()[member].live.end();
        member
    }

    /// How many of `requests` each member gets.
    pub(crate) fn shares(&mut self, requests: u64) -> Vec<u64> {
        let mut shares = vec![0; self.picker.members().len()];
        for _ in 0..requests {
            shares[self.serve()] += 1;
        }
        shares
    }
}

pub(crate) fn tried(members: &[usize]) -> Tried {
    let mut tried = Tried::new();
    for &member in members {
        assert!(tried.insert(member));
    }
    tried
}
