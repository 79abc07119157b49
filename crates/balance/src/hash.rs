//! Hashes that are the same in every process, on every machine and in every version, so that all nodes send a key to
//! the same backend: XXH64, and a mixer to draw from its values.
//!
//! They are no secret and need not be: whoever can choose keys can choose one backend's keys with any hash that nodes
//! agree on. Bounded load is the answer to that.

use std::net::IpAddr;

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// The hash of a request's key: XXH64 with seed 0 (Y. Collet, xxHash specification 0.1.1).
#[must_use]
pub fn hash(key: &[u8]) -> u64 {
    hash_seeded(key, 0)
}

/// The hash of a client's address: of its network order bytes, an IPv4-mapped address as IPv4 and an IPv6 address
/// cut to `v6_prefix` bits, since whoever has one of a /64 has all of it.
#[must_use]
pub fn hash_address(address: IpAddr, v6_prefix: u8) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => hash(&address.octets()),
        IpAddr::V6(address) => {
            let host_bits = 128 - u32::from(v6_prefix.min(128));
            let network = u128::MAX.checked_shl(host_bits).unwrap_or(0) & address.to_bits();
            hash(&network.to_be_bytes())
        }
    }
}

/// XXH64. Different seeds make independent hashes of the same bytes.
pub(crate) fn hash_seeded(bytes: &[u8], seed: u64) -> u64 {
    let [p1, p2, _, p4, p5] = PRIMES;
    let (stripes, tail) = bytes.as_chunks::<32>();
    let mut state = if stripes.is_empty() {
        seed.wrapping_add(p5)
    } else {
        let mut lanes =
            [seed.wrapping_add(p1).wrapping_add(p2), seed.wrapping_add(p2), seed, seed.wrapping_sub(p1)];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
                *lane = round(*lane, u64::from_le_bytes(*word));
            }
        }
        let joined = lanes
            .iter()
            .zip([1, 7, 12, 18])
            .fold(0_u64, |sum, (lane, turn)| sum.wrapping_add(lane.rotate_left(turn)));
        lanes.iter().fold(joined, |state, &lane| (state ^ round(0, lane)).wrapping_mul(p1).wrapping_add(p4))
    };
    state = state.wrapping_add(bytes.len() as u64);
    avalanche(finish(state, tail))
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

fn finish(mut state: u64, tail: &[u8]) -> u64 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let (words, tail) = tail.as_chunks::<8>();
    for word in words {
        state =
            (state ^ round(0, u64::from_le_bytes(*word))).rotate_left(27).wrapping_mul(p1).wrapping_add(p4);
    }
    let (halves, tail) = tail.as_chunks::<4>();
    for half in halves {
        let half = u64::from(u32::from_le_bytes(*half));
        state = (state ^ half.wrapping_mul(p1)).rotate_left(23).wrapping_mul(p2).wrapping_add(p3);
    }
    for &byte in tail {
        state = (state ^ u64::from(byte).wrapping_mul(p5)).rotate_left(11).wrapping_mul(p1);
    }
    state
}

fn avalanche(mut state: u64) -> u64 {
    state = (state ^ (state >> 33)).wrapping_mul(PRIMES[1]);
    state = (state ^ (state >> 29)).wrapping_mul(PRIMES[2]);
    state ^ (state >> 32)
}

/// Makes one well-mixed value of two that may be close to others, in this order: for keys of several parts too.
#[must_use]
pub fn mix(one: u64, other: u64) -> u64 {
    finalise(one ^ spread(other))
}

/// The part of [`mix`] that is the same for every `one`.
pub(crate) fn spread(other: u64) -> u64 {
    other.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The finaliser of splitmix64 (S. Vigna).
fn finalise(z: u64) -> u64 {
    finalise_folded(fold(z))
}

/// Its first step. The fold of `a ^ b` is `fold(a) ^ fold(b)`, so who mixes one with many folds each only once.
pub(crate) fn fold(z: u64) -> u64 {
    z ^ (z >> 30)
}

/// The other steps.
#[inline]
pub(crate) fn finalise_folded(mut z: u64) -> u64 {
    z = z.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with the reference implementation (xxHash 0.8, by way of Python's `xxhash`).
    #[test]
    fn values_are_those_of_the_reference_implementation() {
        for (length, seed, expected) in REFERENCE {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + 3) as u8).collect();
            assert_eq!(hash_seeded(&bytes, seed), expected, "{length} bytes, seed {seed}");
        }
        assert_eq!(hash(b"abc"), 0x44bc_2cf5_ad77_0999);
    }

    #[test]
    fn an_address_counts_as_its_network() {
        let hashed = |address: &str, prefix| hash_address(address.parse().expect("it is an address"), prefix);
        assert_eq!(hashed("2001:db8::1", 64), hashed("2001:db8::ffff:0:2", 64));
        assert_ne!(hashed("2001:db8::1", 128), hashed("2001:db8::2", 128));
        assert_ne!(hashed("2001:db8::1", 64), hashed("2001:db8:0:1::1", 64));
        assert_eq!(hashed("::ffff:192.0.2.1", 64), hashed("192.0.2.1", 64));
        assert_ne!(hashed("192.0.2.1", 0), hashed("192.0.2.2", 0));
        assert_eq!(hashed("2001:db8::1", 0), hashed("::", 0));
    }

    const REFERENCE: [(u32, u64, u64); 12] = [
        (0, 0, 0xef46_db37_51d8_e999),
        (1, 0, 0x1f25_c8d0_bc1f_4bb6),
        (3, 0, 0x31d2_363f_52e5_64c9),
        (4, 0, 0x9bb6_4b7d_66ee_9fda),
        (7, 1, 0xd8b4_a941_715f_ee31),
        (8, 0, 0xdab9_9d95_c6f9_0092),
        (15, 0x9e37_79b9_7f4a_7c15, 0xe2ec_50a5_44fa_ec61),
        (31, 0, 0xa2aa_5f33_cc4a_6119),
        (32, 0, 0x23c3_c17e_f790_fd97),
        (33, 7, 0x97e8_c137_0713_6565),
        (64, 0, 0x0eb6_4b3e_f6ee_b01f),
        (201, 0xffff_ffff_ffff_ffff, 0xd061_156b_071b_cdc5),
    ];
}
