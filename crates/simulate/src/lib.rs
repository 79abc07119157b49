//! What would happen: the deciders of the engine in a made-up world, in made-up time.
//!
//! A discrete-event simulation. Requests come in an open loop, servers queue and serve them, fall ill and recover, as a
//! [`Scenario`] says. Between the two stand the very deciders that the engine uses: pools, pickers and cursors, attempts
//! with budget and backoff, hedging, the queue, circuit breakers, the ward that judges backends by checks and traffic, the
//! schedule of checks. What is simulated is only what surrounds them. It is another doer beside the engine, so where it
//! acts on what they decide, it does so in the engine's order.
//!
//! Pure as they are: time is counted from a moment that the caller gives, randomness comes from a seed. The same seed gives
//! the same result to the last digit, and, as each kind of randomness has a stream of its own, different algorithms meet
//! the same requests.
//!
//! In reading order:
//!
//! - `scenario`: what happens, as a description (serde).
//! - `simulation`: [`Simulation`], the way in, and the loop over events.
//! - `calendar`, `clock`: what is due next, and when.
//! - `rate`, `clients`, `law`, `random`: when requests come, from whom, and how much work they are.
//! - `server`: a backend: slots, a line before them, pauses, what it answers.
//! - `effect`: what befalls servers over time.
//! - `request`: the requests under way.
//! - `proxy`: one request to its answer, by the engine's deciders.
//! - `telling`: what a try says of its backend, and to whom.
//! - `hedge`: a second try beside one that takes long.
//! - `waiting`: requests that wait until a backend has room.
//! - `membership`: who is in the pool.
//! - `watch`: checks and judgements.
//! - `record`, `histogram`, `report`: what came of it.

#![forbid(unsafe_code)]

mod calendar;
mod clients;
mod clock;
mod effect;
mod hedge;
mod histogram;
mod law;
mod membership;
mod proxy;
mod random;
mod rate;
mod record;
mod report;
mod request;
pub mod scenario;
mod server;
mod simulation;
mod telling;
mod waiting;
mod watch;
mod world;

pub use report::{BackendReport, Happened, Latency, Report, Series};
pub use scenario::Scenario;
pub use simulation::{Refused, Simulation};
