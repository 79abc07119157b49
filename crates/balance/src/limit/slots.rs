//! So many of something at a time, and no more.

use crossbeam_utils::CachePadded;

use crate::count::Count;

/// A count with a maximum, for all workers. The maximum is given with each take, since a reload may change it:
/// what is taken stays taken, and nothing more is until enough was given back.
#[derive(Debug, Default)]
pub struct Slots {
    taken: CachePadded<Count>,
}

impl Slots {
    /// None taken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one, unless `max` are taken. However many threads call, `max` is never exceeded.
    #[must_use]
    pub fn try_take(&self, max: u32) -> bool {
        self.taken.try_add(max)
    }

    /// Gives one back. Without a taken one nothing happens: the count is never negative.
    pub fn give(&self) {
        self.taken.remove();
    }

    /// How many are taken now.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.taken.get()
    }
}
