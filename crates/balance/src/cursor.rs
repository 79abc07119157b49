//! A worker's own place in a picker's rotation.
//!
//! Pickers are shared and immutable, so what a rotation remembers is kept by each worker for itself: no line of
//! memory bounces between cores. Shares are exact in each worker, and over all of them within as many picks as
//! there are workers times members.

use crate::algorithm::Algorithm;
use crate::pool::Picker;

/// Where one worker is in the rotation of one picker.
///
/// Keep it over a reload while it [fits](Self::fits) the new picker; else every reload would begin the rotation
/// anew and favour the members it begins with.
#[derive(Clone, Debug)]
pub struct Cursor {
    rotation: u64,
    /// Round robin: the running weight of each slot of the tree.
    pub(crate) current: Vec<i64>,
    /// Least connections: the seat that the next tie begins at.
    pub(crate) turn: usize,
}

impl Cursor {
    /// A start that differs for each of `workers`, so that they don't all begin with the same member.
    #[must_use]
    pub fn new(picker: &Picker, worker: usize, workers: usize) -> Self {
        let workers = workers.max(1);
        let worker = worker % workers;
        let mut cursor = Self { rotation: picker.rotation(), current: Vec::new(), turn: 0 };
        picker.table().start(picker.seats(), &mut cursor, worker, workers);
        cursor
    }

    /// Whether this place has a meaning in `picker`: same algorithm, same members, same weights, same order.
    /// Limits may differ.
    #[must_use]
    pub fn fits(&self, picker: &Picker) -> bool {
        let seated =
            picker.algorithm() != Algorithm::RoundRobin || self.current.len() == picker.table().slots();
        self.rotation == picker.rotation() && seated
    }
}
