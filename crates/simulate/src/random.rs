//! Where a simulation's randomness comes from: a stream for each purpose, all of one seed.
//!
//! That each purpose has its own keeps comparisons fair: however often an algorithm draws, the requests stay the same.

use fairlead_balance::{Random, mix};

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// When requests come.
    Arrivals,
    /// How much work one is.
    Work,
    /// Who asks.
    Clients,
    /// Whether a server errs, when it pauses, what a check meets.
    Faults,
    /// What the picker draws.
    Picks,
    /// How long a further try is waited for.
    Waits,
}

/// xoshiro256++ (D. Blackman and S. Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021).
#[derive(Clone, Debug)]
pub(crate) struct Stream([u64; 4]);

impl Stream {
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let own = mix(seed, purpose as u64 + 1);
        // Four mixed values are never all zero, the one state that it can't leave.
        Self([1, 2, 3, 4].map(|part| mix(own, part)))
    }

    /// Above 0, up to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// With a mean of 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    /// With a mean of 0 and a deviation of 1 (Box and Muller 1958; its second value isn't kept).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Whether something of this chance happens.
    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.unit() <= chance
    }
}

impl Random for Stream {
    fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_reference_implementation() {
        let mut stream = Stream([1, 2, 3, 4]);
        let first: Vec<u64> = (0..4).map(|_| stream.next_u64()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn draws_have_their_means_and_deviations() {
        const DRAWS: u32 = 200_000;
        let moments = |draw: fn(&mut Stream) -> f64| {
            let mut stream = Stream::new(7, Purpose::Work);
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..DRAWS {
                let value = draw(&mut stream);
                sum += value;
                squares += value * value;
            }
            let mean = sum / f64::from(DRAWS);
            (mean, squares / f64::from(DRAWS) - mean * mean)
        };
        for (draw, mean, variance) in [
            (Stream::unit as fn(&mut Stream) -> f64, 0.5, 1.0 / 12.0),
            (Stream::exponential, 1.0, 1.0),
            (Stream::normal, 0.0, 1.0),
        ] {
            let (found, spread) = moments(draw);
            assert!((found - mean).abs() < 0.01, "{found} is not {mean}");
            assert!((spread - variance).abs() < 0.02, "{spread} is not {variance}");
        }
    }

    #[test]
    fn streams_of_one_seed_differ() {
        let mut one = Stream::new(1, Purpose::Arrivals);
        let mut other = Stream::new(1, Purpose::Work);
        assert_ne!(one.next_u64(), other.next_u64());
    }
}
