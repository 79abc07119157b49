//! How many Plans are alive. A Plan that outlives its reload is memory that something still holds on to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::plan::Plan;

/// Counts the Plans of one engine: clones count the same ones.
#[derive(Debug, Clone, Default)]
pub struct Census(Arc<AtomicUsize>);

impl Census {
    /// A census of an engine without a Plan.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the Plan until its last handle is dropped.
    #[must_use]
    pub fn admit(&self, mut plan: Plan) -> Arc<Plan> {
        self.0.fetch_add(1, Ordering::Relaxed);
        plan.counted = Some(Counted(Arc::clone(&self.0)));
        Arc::new(plan)
    }

    /// Plans that were admitted and still have a handle.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One that is counted for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
