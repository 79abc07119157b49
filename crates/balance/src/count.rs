//! A shared count that never goes below nothing and, where it has a maximum, never above it.
//!
//! Orderings are relaxed throughout: a count guards no other memory, it only has to be right in itself.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU32);

impl Count {
    pub(crate) fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// One more, whatever the count is. One locked addition: this is what a pick without a limit costs.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// One more, unless that would exceed `max`.
    pub(crate) fn try_add(&self, max: u32) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |now| (now < max).then(|| now + 1)).is_ok()
    }

    /// One less, if there is one: were something ended twice, nobody would see four thousand million in flight,
    /// not even for an instant, as they would between a subtraction and its repair.
    pub(crate) fn remove(&self) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |now| now.checked_sub(1));
    }
}
