//! Open connections of each client: a fixed table of atomics, for all workers, without a lock.
//!
//! **Keys.** A client is an IPv4 address, or the /64 of an IPv6 address: that is what one subscriber is given
//! (RFC 6177, RFC 7421), and within it addresses are free to change. Keys are hashed with a seed, so nobody outside
//! can aim at a place. A slot keeps 40 bits of the hash; two clients that share them and a bucket would share a
//! count, which for a client is a chance of 16 in 2⁴⁰ in a full table.
//!
//! **Places.** Buckets are cache lines of eight slots; a client belongs to two of them (two choices: Y. Azar et
//! al., "Balanced Allocations", SIAM J. Comput. 29, 1999) and a new one goes to the emptier. With both full it is
//! refused by name, and nothing grows. An entry never moves, and its slot is free the moment its count is zero:
//! lookups always read both buckets, so there is nothing for a tombstone to hold together.
//!
//! **Two workers, one new client.** They must not make an entry each, or the client would have two counts. As in
//! C. Purcell and T. Harris, "Non-blocking Hashtables with Open Addressing" (DISC 2005), an entry is written as a
//! *claim* first; its maker then reads both buckets, withdraws in favour of an entry, strikes out other claims of
//! the same client, and only then turns its own into an entry, which fails if that was struck out meanwhile. Claims
//! are written before the reading (all sequentially consistent), so of two makers at least one sees the other.
//! A claim carries a number of its own: without it, one struck out and written anew by a third worker could be
//! mistaken for the first.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use crossbeam_utils::CachePadded;
use foldhash::quality::FixedState;

/// Counts the open connections of each client against a maximum.
#[derive(Debug)]
pub struct PerClient {
    buckets: Box<[Bucket]>,
    hash: FixedState,
    claims: CachePadded<AtomicU32>,
}

/// A counted connection, to be [given back](PerClient::give) once.
#[must_use = "the client's count stays up until this is given back"]
#[derive(Debug)]
pub struct Held {
    slot: u32,
}

/// Why a connection isn't counted, and so isn't served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The client has as many open connections as it may have.
    ClientLimit,
    /// The client is new and the table has no room for it.
    TableFull,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; SLOTS]);

/// What a client's key comes down to.
#[derive(Clone, Copy)]
struct Place {
    /// The upper 40 bits of a word.
    tag: u64,
    buckets: [usize; 2],
}

/// What both buckets of a client hold for it.
enum Found {
    Entry {
        slot: usize,
        word: u64,
    },
    Claim {
        slot: usize,
        word: u64,
    },
    /// The emptiest place for it.
    Free {
        slot: usize,
    },
    Full,
}

// A slot's word: 40 bits tag, 1 bit claim, 23 bits count (of an entry, never zero) or number (of a claim).
// Zero is a free slot.
const CLAIM: u64 = 1 << 23;
const COUNT: u64 = CLAIM - 1;
const TAG: u64 = !(CLAIM | COUNT);

/// Eight words are a cache line.
const SLOTS: usize = 8;

/// Buckets are about half full with as many clients as were asked for. Two choices of eight slots overflow
/// noticeably only above nine tenths.
const SPARE: usize = 2;

/// Looks at another's claim before striking it out: it is on its way to becoming an entry and needs some
/// nanoseconds, unless its thread was stopped in between.
const PATIENCE: u32 = 64;

impl PerClient {
    /// A table for about `clients` at a time, at 16 to 32 bytes each, made now and never grown. `seed` should be
    /// random, so that nobody can choose addresses that share a bucket.
    #[must_use]
    pub fn new(clients: usize, seed: u64) -> Self {
        let buckets = clients.saturating_mul(SPARE).div_ceil(SLOTS).clamp(2, 1 << 24).next_power_of_two();
        Self {
            buckets: std::iter::repeat_with(Bucket::default).take(buckets).collect(),
            hash: FixedState::with_seed(seed),
            claims: CachePadded::default(),
        }
    }

    /// Counts one connection more of `client`, unless it has `max` open. However many threads call, `max` is
    /// never exceeded.
    pub fn try_take(&self, client: IpAddr, max: u32) -> Result<Held, Refused> {
        let max = u64::from(max).min(COUNT);
        if max == 0 {
            return Err(Refused::ClientLimit);
        }
        let place = self.place(client);
        let mut patience = PATIENCE;
        loop {
            let slot = match self.find(place) {
                Found::Entry { word, .. } if word & COUNT >= max => return Err(Refused::ClientLimit),
                Found::Entry { slot, word } => {
                    if self.replace(slot, word, word + 1) {
                        return Ok(Held { slot: slot as u32 });
                    }
                    continue;
                }
                Found::Claim { slot, word } => {
                    patience = self.wait_or_strike(slot, word, patience);
                    continue;
                }
                Found::Full => return Err(Refused::TableFull),
                Found::Free { slot } => slot,
            };
            if self.claim(place, slot) {
                return Ok(Held { slot: slot as u32 });
            }
        }
    }

    /// The connection is closed.
    #[expect(clippy::needless_pass_by_value, reason = "consuming it is what keeps it from being given twice")]
    pub fn give(&self, held: Held) {
        let Held { slot } = held;
        // The entry stays where it is while any connection of it is held, this one included.
        let _ = self
            .slot(slot as usize)
            .fetch_update(SeqCst, SeqCst, |word| Some(if word & COUNT <= 1 { 0 } else { word - 1 }));
    }

    /// How many connections of `client` are counted now.
    #[must_use]
    pub fn open(&self, client: IpAddr) -> u32 {
        match self.find(self.place(client)) {
            Found::Entry { word, .. } => (word & COUNT) as u32,
            _ => 0,
        }
    }

    /// How many slots there are; each holds a client.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buckets.len() * SLOTS
    }

    /// Makes the entry of a new client, with a count of one; false if another was quicker anywhere on the way.
    fn claim(&self, place: Place, slot: usize) -> bool {
        let number = u64::from(self.claims.fetch_add(1, Relaxed)) & COUNT;
        let claim = place.tag | CLAIM | number;
        if !self.replace(slot, 0, claim) {
            return false;
        }
        for other in place.slots().filter(|&other| other != slot) {
            loop {
                let word = self.slot(other).load(SeqCst);
                if word & TAG != place.tag || word == 0 {
                    break;
                }
                if word & CLAIM == 0 {
                    self.replace(slot, claim, 0);
                    return false;
                }
                if self.replace(other, word, 0) {
                    break;
                }
            }
        }
        self.replace(slot, claim, place.tag | 1)
    }

    fn wait_or_strike(&self, slot: usize, word: u64, patience: u32) -> u32 {
        if patience > 0 {
            std::hint::spin_loop();
            return patience - 1;
        }
        self.replace(slot, word, 0);
        PATIENCE
    }

    fn find(&self, place: Place) -> Found {
        let mut claim = None;
        let mut free: [(usize, Option<usize>); 2] = [(0, None); 2];
        for slot in place.slots() {
            let word = self.slot(slot).load(SeqCst);
            if word == 0 {
                let side = usize::from(slot / SLOTS != place.buckets[0]);
                free[side].0 += 1;
                free[side].1 = free[side].1.or(Some(slot));
            } else if word & TAG == place.tag {
                if word & CLAIM == 0 {
                    return Found::Entry { slot, word };
                }
                claim = Some((slot, word));
            }
        }
        if let Some((slot, word)) = claim {
            return Found::Claim { slot, word };
        }
        let [(in_first, first), (in_second, second)] = free;
        match if in_second > in_first { second } else { first } {
            Some(slot) => Found::Free { slot },
            None => Found::Full,
        }
    }

    fn place(&self, client: IpAddr) -> Place {
        let hash = self.hash.hash_one(match client.to_canonical() {
            IpAddr::V4(address) => (4_u8, u64::from(u32::from(address))),
            IpAddr::V6(address) => (6_u8, (u128::from(address) >> 64) as u64),
        });
        let tag = hash & TAG;
        let mask = self.buckets.len() - 1;
        let first = hash as usize & mask;
        // An odd step is never zero, whatever the mask: the two buckets differ.
        let step = (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize | 1;
        Place { tag, buckets: [first, (first ^ step) & mask] }
    }

    fn slot(&self, slot: usize) -> &AtomicU64 {
        &self.buckets[slot / SLOTS].0[slot % SLOTS]
    }

    fn replace(&self, slot: usize, old: u64, new: u64) -> bool {
        self.slot(slot).compare_exchange(old, new, SeqCst, SeqCst).is_ok()
    }
}

impl Place {
    fn slots(self) -> impl Iterator<Item = usize> {
        self.buckets.into_iter().flat_map(|bucket| bucket * SLOTS..(bucket + 1) * SLOTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_claim_whose_thread_was_stopped_holds_nobody_up() {
        let table = PerClient::new(8, 1);
        let place = table.place(CLIENT);
        let stopped = place.slots().nth(9).expect("there are 16");
        let claim = place.tag | CLAIM | 0x3039;
        assert!(table.replace(stopped, 0, claim));
        let held = table.try_take(CLIENT, 1).expect("the only one");
        assert_eq!(table.open(CLIENT), 1);
        assert!(!table.replace(stopped, claim, place.tag | 1), "it was struck out and finds that out");
        table.give(held);
    }

    #[test]
    fn a_claim_gives_way_to_an_entry_that_was_quicker() {
        let table = PerClient::new(8, 1);
        let place = table.place(CLIENT);
        let held = table.try_take(CLIENT, 9).expect("the first");
        let free = place.slots().find(|&slot| slot != held.slot as usize).expect("there are 16");
        assert!(!table.claim(place, free));
        assert_eq!(table.slot(free).load(SeqCst), 0);
        assert_eq!(table.open(CLIENT), 1);
        table.give(held);
    }

    #[test]
    fn the_two_buckets_of_a_client_differ() {
        for clients in [1, 100, 10_000] {
            let table = PerClient::new(clients, 1);
            for client in 0..1_000_u32 {
                let [first, second] = table.place(IpAddr::V4(client.into())).buckets;
                assert!(first != second && first.max(second) < table.buckets.len());
            }
        }
    }
}
