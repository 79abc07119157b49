//! A worker's own place in a picker's rotation.
//!
//! Pickers are shared and immutable, so what a rotation remembers is kept by each worker for itself: no line of
//! memory bounces between cores. Shares are exact in each worker, and over all of them within as many picks as
//! there are workers times members.

use crate::pool::Picker;

/// Where one worker is in the rotation of one picker.
///
/// Keep it over a reload while it [fits](Self::fits) the new picker; else every reload would begin the rotation
/// anew and favour the members it begins with.
#[derive(Clone, Debug)]
pub struct Cursor {
    rotation: u64,
    /// One for each group of the picker.
    pub(crate) places: Vec<Place>,
}

/// Where a worker is in one group of members.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// Round robin: the running weight of each slot of the tree.
    pub(crate) current: Vec<i64>,
    /// Least connections, least time: the seat that the next tie begins at.
    pub(crate) turn: usize,
    /// The weight that was healthy, as of so many changes of standings.
    pub(crate) healthy: Option<(u32, u64)>,
    /// Bounded load: what the group has, as it was a few picks ago.
    pub(crate) load: Load,
}

/// A sum over a group that is made anew every few picks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) in_flight: u64,
    /// The open weight × 65,536.
    pub(crate) weight: u64,
    /// Picks for which it still is new enough.
    pub(crate) fresh_for: usize,
}

impl Cursor {
    /// A start that differs for each of `workers`, so that they don't all begin with the same member.
    #[must_use]
    pub fn new(picker: &Picker, worker: usize, workers: usize) -> Self {
        let workers = workers.max(1);
        let worker = worker % workers;
        let places = picker.groups().map(|group| group.start(worker, workers)).collect();
        Self { rotation: picker.rotation(), places }
    }

    /// Whether this place has a meaning in `picker`: same algorithm, same members, same weights, same order.
    /// Limits may differ.
    #[must_use]
    pub fn fits(&self, picker: &Picker) -> bool {
        self.rotation == picker.rotation()
            && self.places.len() == picker.groups().len()
            && self
                .places
                .iter()
                .zip(picker.groups())
                .all(|(place, group)| place.current.len() == group.slots())
    }
}
