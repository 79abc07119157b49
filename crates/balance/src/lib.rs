//! The decisions: which backend, how many tries, what counts.
//!
//! Nothing here does I/O, reads a clock or a random source: time and randomness are arguments, and every decider
//! returns what to do instead of doing it. So the engine and a simulation run the very same code.
//!
//! In reading order:
//!
//! - `live`: what is known about a backend for as long as anybody uses it, shared by all workers, outliving
//!   the configuration that named it.
//! - `standing`: the word that says what a backend is worth to a pick right now.
//! - `pool`: [`Pool`] builds (slow, one place) a [`Picker`] (immutable, shared, never blocks).
//! - `group`: who of them is picked among first: own zone, others, backups.
//! - `cursor`: a worker's own place in a picker's rotation.
//! - `algorithm`: one file for each way of choosing, and the draws that two of them share.
//! - `tried`, `attempts`: one request's tries, as a state machine; `budget`, `backoff`: what further ones may cost, and
//!   when they are made.
//! - `hedge`: a second try beside a first that takes long.
//! - `queue`: requests that wait until a backend has room.
//! - `breaker`: who mostly fails gets nothing for a while.
//! - `adaptive`: how many requests a backend bears at a time.
//! - [`affinity`]: clients that go where they went before.
//! - `latency`: how long a backend takes to answer.
//! - [`health`]: what checks say and traffic shows, and what share of its weight that leaves a backend.
//! - `hash`, `md5`: hashes that all nodes agree on.
//! - [`limit`]: process-wide maxima: connections in all, connections of one client.
//! - `count`: the counter all of these are made of, the one place that must never go below nothing.

#![forbid(unsafe_code)]

mod adaptive;
pub mod affinity;
mod algorithm;
mod attempts;
mod backoff;
mod breaker;
mod budget;
mod count;
mod cursor;
mod group;
mod hash;
pub mod health;
mod hedge;
mod latency;
pub mod limit;
mod live;
mod md5;
mod pool;
mod queue;
mod standing;
mod tried;

pub use adaptive::{Bounds, MaxInFlight};
pub use algorithm::{Algorithm, HashTable, Random, Score};
pub use attempts::{Action, Attempts, Failure, Means, Outcome, RetryPolicy};
pub use backoff::backoff;
pub use breaker::{BreakerPolicy, BreakerState, Breaking};
pub use budget::Budget;
pub use cursor::Cursor;
pub use hash::{hash, hash_address, mix};
pub use hedge::{HedgeAfter, HedgeCounts, HedgePolicy, Hedging};
pub use latency::{Average, LeastTime};
pub use live::{BackendLive, Live, PoolLive};
pub use pool::{Ask, Known, Member, NoBackend, Options, Picker, Pool};
pub use queue::{Leaving, Queue, QueueCounts, Ticket};
pub use standing::{Pass, Phase, Standing, State};
pub use tried::Tried;
