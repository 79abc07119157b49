//! Rendezvous: every member draws a number from the key, and the highest has it.
//!
//! D. G. Thaler and C. V. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM Trans. Networking 6 (1998); with
//! weights, J. Schindelhauer and G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005: the lowest -ln(u) / weight
//! of uniform u. No table at all, exact shares, and only the keys of who leaves move, in return for a look at every
//! member in every pick.

use std::hint::select_unpredictable;

use super::super::seats::Seats;
use crate::hash::{finalise_folded, fold, hash, spread};

#[derive(Debug)]
pub(crate) struct Rendezvous {
    names: Vec<u64>,
    /// The names as [`mix`](crate::hash::mix) spreads and folds them.
    salts: Vec<u64>,
    /// 1 / weight, if they aren't all equal.
    inverses: Option<Vec<f64>>,
}

impl Rendezvous {
    pub(in super::super) fn build(seats: &Seats, names: &[&str]) -> Self {
        let names: Vec<u64> = names.iter().map(|name| hash(name.as_bytes())).collect();
        let salts = names.iter().map(|&name| fold(spread(name))).collect();
        let equal = seats.iter().all(|seat| seat.weight == seats.weight(0));
        let inverses = (!equal).then(|| seats.iter().map(|seat| 1.0 / f64::from(seat.weight)).collect());
        Self { names, salts, inverses }
    }

    /// What a member's name is as a number.
    pub(in super::super) fn name(&self, seat: usize) -> u64 {
        self.names[seat]
    }

    /// Who has the key when nobody is left out.
    pub(in super::super) fn first(&self, key: u64) -> usize {
        if let Some(inverses) = &self.inverses {
            return self.first_by_weight(key, inverses);
        }
        let folded = fold(key);
        let mut best = (0, 0);
        for (seat, &salt) in self.salts.iter().enumerate() {
            let drawn = finalise_folded(folded ^ salt);
            best = select_unpredictable(drawn > best.1, (seat, drawn), best);
        }
        best.0
    }

    /// 1 - u is never above -ln(u), and close to it for a winner. So who is least by that is the winner, unless the second
    /// is so close that only the logarithm can tell.
    fn first_by_weight(&self, key: u64, inverses: &[f64]) -> usize {
        let folded = fold(key);
        let (mut best, mut least, mut second) = (0, u64::MAX, u64::MAX);
        for (seat, (&salt, &inverse)) in self.salts.iter().zip(inverses).enumerate() {
            // Positive floats are in the order of their bits.
            let below = (unit(!finalise_folded(folded ^ salt)) * inverse).to_bits();
            second = second.min(below.max(least));
            best = select_unpredictable(below < least, seat, best);
            least = least.min(below);
        }
        let exact = exponential(unit(!finalise_folded(folded ^ self.salts[best]))) * inverses[best];
        if f64::from_bits(second) >= exact { best } else { self.best(key, |_| true).unwrap_or(best) }
    }

    /// Who has the key among those that are accepted; asked only about members that would have it.
    pub(in super::super) fn best(&self, key: u64, accepts: impl Fn(usize) -> bool) -> Option<usize> {
        let folded = fold(key);
        let mut lowest = f64::INFINITY;
        let mut best = None;
        for (seat, &salt) in self.salts.iter().enumerate() {
            let inverse = self.inverses.as_ref().map_or(1.0, |inverses| inverses[seat]);
            // 1 - u. Its product is below that of -ln(u), which few members are left to compute.
            let drawn = unit(!finalise_folded(folded ^ salt));
            if drawn * inverse < lowest {
                let exact = exponential(drawn) * inverse;
                if exact < lowest && accepts(seat) {
                    lowest = exact;
                    best = Some(seat);
                }
            }
        }
        best
    }
}

/// -ln(1 - v): exponentially distributed, if v is uniform.
fn exponential(v: f64) -> f64 {
    -(-v).ln_1p()
}

/// A number in [0, 1) of the upper 53 bits.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(bits: u64) -> f64 {
    // Signed, they convert in one instruction.
    (bits >> 11).cast_signed() as f64 * (1.0 / (1_u64 << 53) as f64)
}
