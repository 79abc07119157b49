//! The data plane: executes a Plan on N worker threads. It knows no file format, no Python and no "why".
//!
//! A connection of a TCP listener goes to `stream`, as a whole; a datagram to `datagram`. A request meets, in this order: `listener` (sockets of the process, accepting within limits), `http` (a connection's
//! requests), the Plan's router, `filter` (what is changed on the way), `proxy` (one request to its answer, bodies,
//! tunnels), `upstream` (connections to backends), `telemetry` (what is known afterwards).
//!
//! A change comes by [`Engine`] or `channel`, is made by `engine` and swapped into what each `worker` has `published`.
#![allow(dead_code, reason = "the parts are put together one by one")]

// From outside.
mod admin;
mod channel;
mod engine;
mod error;

// Threads, what they serve from, and the turns of what they serve.
mod published;
mod turn;
mod worker;

// A request's way.
mod datagram;
mod filter;
mod http;
mod http2;
mod listener;
mod probe;
mod proxy;
mod stream;
mod telemetry;
mod tls;
mod upstream;

// What all of it stands on.
mod buffer;
mod clock;
mod io;
mod unix;

pub use engine::{
    Applied, Changes, Command, Connected, ConnectionStats, Doing, Engine, Entries, Key, LogLevel, Mode, Said,
    Setting, Settings, StoreState, Verdicts, Wanted, serve,
};
pub use error::{CallError, CallErrorKind, Problem, StartError};
pub use probe::CheckResult;
pub use telemetry::{Event, Stats, What};
pub use tls::{CertificateFacts, Pair, Secrets, Trust, inspect as inspect_certificates, inspect_authorities};
