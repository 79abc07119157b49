//! The ring: the points of libketama (R. Jones, last.fm, 2007), as memcached's clients have them.
//!
//! Of n members of equal weight each has 160 points: 40 MD5 sums of its name, a dash and a number from 0, four points in
//! each. With weights it is ⌊share × 40 × n⌋ sums, at least one. A key belongs to the first point not below it.

use super::super::ip_hash::by_name;
use super::super::seats::Seats;
use crate::hash::mix;
use crate::md5::md5;

#[derive(Debug)]
pub(crate) struct Ring {
    points: Vec<Point>,
    /// The first point of each stretch of the ring, so that a lookup needs no search. A stretch has a few points.
    starts: Vec<u32>,
    /// The bits of a position that say where in its stretch it is.
    shift: u32,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    at: u32,
    seat: u32,
}

/// Sums for each member of average weight.
const SUMS: u64 = 40;

impl Ring {
    /// Points of two members in the same place: the first by name has it.
    pub(in super::super) fn build(seats: &Seats, names: &[&str]) -> Self {
        let total: u64 = seats.iter().map(|seat| u64::from(seat.weight)).sum();
        let mut points = Vec::with_capacity(seats.len() * SUMS as usize * 4);
        let mut text = String::new();
        for seat in by_name(names) {
            let weight = u64::from(seats.weight(seat as usize));
            for sum in 0..(weight * SUMS * seats.len() as u64 / total).max(1) {
                text.clear();
                text.push_str(names[seat as usize]);
                text.push('-');
                text.push_str(&sum.to_string());
                let digest = md5(text.as_bytes());
                let four = digest.as_chunks::<4>().0.iter();
                points.extend(four.map(|&bytes| Point { at: u32::from_le_bytes(bytes), seat }));
            }
        }
        points.sort_by_key(|point| point.at);
        let stretches = (points.len() / 2).next_power_of_two();
        let shift = 32 - stretches.trailing_zeros();
        let starts = (0..stretches as u64)
            .map(|stretch| points.partition_point(|point| u64::from(point.at) < stretch << shift) as u32)
            .collect();
        Self { points, starts, shift }
    }

    /// The first point not below the key's place, which its upper 32 bits are.
    pub(in super::super) fn start(&self, key: u64) -> usize {
        let place = key >> 32;
        let from = self.starts[(place >> self.shift) as usize] as usize;
        let past = self.points[from..].iter().take_while(|point| u64::from(point.at) < place).count();
        from + past
    }

    /// Who has the point `at`, counted around the ring.
    pub(in super::super) fn seat(&self, mut at: usize) -> usize {
        while at >= self.points.len() {
            at -= self.points.len();
        }
        self.points[at].seat as usize
    }

    pub(in super::super) fn digest(&self, start: u64, name: impl Fn(usize) -> u64) -> u64 {
        self.points
            .iter()
            .fold(start, |digest, point| mix(digest ^ u64::from(point.at), name(point.seat as usize)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::seats::Seat;
    use crate::live::BackendLive;

    /// The list that libketama comes with, whose figures are memory sizes.
    const SERVERS: [(&str, u32); 8] = [
        ("10.0.1.1:11211", 600),
        ("10.0.1.2:11211", 300),
        ("10.0.1.3:11211", 200),
        ("10.0.1.4:11211", 350),
        ("10.0.1.5:11211", 1000),
        ("10.0.1.6:11211", 800),
        ("10.0.1.7:11211", 950),
        ("10.0.1.8:11211", 100),
    ];

    fn ring() -> Ring {
        let live = || BackendLive::default().into();
        let seats =
            Seats::new((0..).zip(SERVERS).map(|(index, (_, weight))| Seat::new(live(), weight, index, None)));
        Ring::build(&seats, &SERVERS.map(|(name, _)| name))
    }

    /// Made by another implementation of the published construction, with Python's hashlib.
    #[test]
    fn points_are_those_of_ketama() {
        let ring = ring();
        assert_eq!(ring.points.len(), 1_264);
        for (index, at, server) in [
            (0, 762_113, 5),
            (1, 2_322_555, 5),
            (2, 3_967_256, 6),
            (500, 1_695_589_853, 5),
            (1_262, 4_290_842_419, 7),
            (1_263, 4_293_620_028, 5),
        ] {
            assert_eq!((ring.points[index].at, ring.points[index].seat + 1), (at, server));
        }
    }

    #[test]
    fn places_are_found_as_ketama_finds_them() {
        let ring = ring();
        let server = |place: u32| ring.seat(ring.start(u64::from(place) << 32)) + 1;
        for (place, expected) in [
            (1_609_362_278, 3),
            (1_803_989_619, 8),
            (3_564_330_554, 6),
            (1_309_098_117, 4),
            (1_260_550_007, 2),
            (3_891_707_921, 5),
            (1_338_518_310, 1),
            (3_861_510_757, 7),
            (762_113, 5),
            (u32::MAX, 5),
        ] {
            assert_eq!(server(place), expected, "{place}");
        }
        let mut found = [0; 8];
        for place in 0..4_096 {
            found[server(place << 20) - 1] += 1;
        }
        assert_eq!(found, [510, 265, 200, 305, 981, 775, 970, 90]);
    }
}
