//! Process-wide maxima, counted by all workers together without a lock.

mod per_client;
mod slots;

pub use per_client::{Held, PerClient, Refused};
pub use slots::Slots;
