//! Randomness as an argument, and drawing seats by weight with it.

use std::hint::select_unpredictable;

use super::seats::{Seats, keeps};
use crate::standing::Standing;
use crate::tried::Tried;

/// Where random numbers come from. The engine has a generator in each worker; a test has one with a known seed.
pub trait Random {
    /// 64 uniform bits. They choose backends, nothing secret: speed matters, prediction doesn't.
    fn next_u64(&mut self) -> u64;
}

/// Draws a seat with a chance of weight / sum of weights, in constant time.
///
/// Walker's alias method, with the tables made as in M. D. Vose, "A linear algorithm for generating random numbers
/// with a given distribution", IEEE Trans. Software Eng. 17 (1991). Drawing by weight matters even though the
/// drawn are then compared by a weighted score: a member that has nine tenths of the weight among a thousand
/// must be among nearly all draws, or it could never get its share.
#[derive(Debug)]
pub(crate) struct Lots {
    lots: Vec<Lot>,
}

/// A column of the alias table: itself below `threshold` of 2³², `alias` from there on.
#[derive(Clone, Copy, Debug)]
struct Lot {
    threshold: u32,
    alias: u32,
}

/// Draws that hit a tried, full or closed seat, or one that has less than its weight just then, before a draw gives up.
const REDRAWS: usize = 8;

impl Lots {
    /// Exact integers until the last division, so the chances are right to 2⁻³².
    pub(super) fn build(seats: &Seats) -> Self {
        let len = seats.len() as u64;
        let total: u64 = (0..seats.len()).map(|seat| u64::from(seats.weight(seat))).sum();
        // Every column holds `total`; seat i brings weight × len of it.
        let mut mass: Vec<u64> = (0..seats.len()).map(|seat| u64::from(seats.weight(seat)) * len).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..len as u32).partition(|&seat| mass[seat as usize] < total);
        let mut lots: Vec<Lot> =
            (0..len as u32).map(|seat| Lot { threshold: u32::MAX, alias: seat }).collect();
        while let (Some(needy), Some(&giver)) = (small.pop(), large.last()) {
            let has = mass[needy as usize];
            let threshold = ((u128::from(has) << 32) / u128::from(total)) as u32;
            lots[needy as usize] = Lot { threshold, alias: giver };
            mass[giver as usize] -= total - has;
            if mass[giver as usize] < total {
                large.pop();
                small.push(giver);
            }
        }
        Self { lots }
    }

    /// One seat, whoever it is. There must be one.
    pub(super) fn draw(&self, rng: &mut impl Random) -> usize {
        let bits = rng.next_u64();
        // The high half chooses a column (Lemire's multiplication, biased by less than len / 2³²), the low half
        // a side of it.
        let column = ((bits >> 32) * self.lots.len() as u64) >> 32;
        let lot = self.lots[column as usize];
        select_unpredictable((bits as u32) < lot.threshold, column as u32, lot.alias) as usize
    }

    /// One seat that is usable and isn't `except`, if one comes within a few draws: each with a chance of its effective
    /// weight.
    pub(super) fn draw_usable(
        &self,
        seats: &Seats,
        tried: &Tried,
        except: Option<usize>,
        rng: &mut impl Random,
    ) -> Option<usize> {
        (0..REDRAWS).find_map(|_| {
            let seat = self.draw(rng);
            let share = seats.seat(seat).share();
            let kept = share == Standing::WHOLE || keeps(share, rng.next_u64());
            (Some(seat) != except && kept && seats.seat(seat).has_room(tried)).then_some(seat)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::algorithm::seats::Seat;
    use crate::live::BackendLive;

    fn seats(weights: &[u32]) -> Seats {
        let live = || BackendLive::default().into();
        Seats::new((0..).zip(weights).map(|(index, &weight)| Seat::new(live(), weight, index, None)))
    }

    proptest! {
        #[test]
        fn chances_are_the_weights(weights in prop::collection::vec(1_u32..=65_535, 1..200)) {
            let lots = Lots::build(&seats(&weights)).lots;
            let mut chances = vec![0.0; weights.len()];
            let columns = f64::from(weights.len() as u32);
            for (column, lot) in lots.iter().enumerate() {
                let below = f64::from(lot.threshold) / 4_294_967_296.0;
                chances[column] += below / columns;
                chances[lot.alias as usize] += (1.0 - below) / columns;
            }
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            for (chance, &weight) in chances.iter().zip(&weights) {
                prop_assert!((chance - f64::from(weight) / total).abs() < 1e-8);
            }
        }
    }
}
