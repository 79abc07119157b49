//! IP hash: the hash of the client's address modulo the weights. Cheap and well known; when a member leaves or comes,
//! most clients move, which is what consistent hashing is for.

use super::seats::Seats;

/// The members by name, each as long as its weight.
#[derive(Debug)]
pub(crate) struct Modulo {
    /// Where each one ends.
    ends: Vec<u64>,
    seats: Vec<u32>,
    total: u64,
}

impl Modulo {
    pub(super) fn build(seats: &Seats, names: &[&str]) -> Self {
        let seats_by_name = by_name(names);
        let ends: Vec<u64> = seats_by_name
            .iter()
            .scan(0, |end, &seat| {
                *end += u64::from(seats.weight(seat as usize));
                Some(*end)
            })
            .collect();
        let total = ends.last().copied().unwrap_or(0);
        Self { ends, seats: seats_by_name, total }
    }

    pub(super) fn seat(&self, hash: u64) -> usize {
        let at = hash % self.total;
        self.seats[self.ends.partition_point(|&end| end <= at)] as usize
    }
}

/// Seats in the order of their names, so that tables depend on the set alone and not on the order it is written in.
pub(super) fn by_name(names: &[&str]) -> Vec<u32> {
    let mut seats: Vec<u32> = (0..names.len() as u32).collect();
    seats.sort_by_key(|&seat| names[seat as usize]);
    seats
}
