//! The compiled configuration: a description from the control process becomes an immutable [`Plan`], complete or
//! refused whole, with every error at the place where the operator wrote it.
//!
//! Reads no clock, no random source and no file: the same description is the same Plan.

#![forbid(unsafe_code)]

// The description, and what is wrong with one.
mod error;
pub mod spec;

// What it becomes, from the whole to its parts.
mod access_log;
mod affinity;
mod algorithm;
mod census;
mod check;
mod health;
mod hedge;
mod listener;
mod plan;
mod pool;
mod retry;
mod route;
mod stream;

// How a request finds its route.
pub mod router;

// What the parts are made of.
mod digest;
mod networks;

pub use access_log::{AccessLog, Field, Format, Target, TemplateError, Token, template};
pub use affinity::{Affinity, AffinityCookie, AffinityKey, Bonds, Book, Cookies, Numbers};
pub use algorithm::KeyPart;
pub use census::Census;
pub use check::{Expectation, HealthCheck, HttpProbe, Mismatch, Probe};
pub use error::SpecError;
pub use listener::{Explanation, HttpOptions, Listener, ListenerTimeouts, SocketOptions, Versions};
pub use networks::{Networks, NotANetwork};
pub use plan::{Checked, Plan};
pub use pool::{Backend, IdleOptions, MAX_WEIGHT, Membership, Pool, QueueOptions};
pub use retry::Retry;
pub use route::{Route, RouteTimeouts};
pub use router::{Criterion, Router, Step, Verdict};
