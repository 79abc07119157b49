//! What happened: counters, durations, the access log; and what others read of it: statistics, metrics, events.
//!
//! Workers write, each its own part and without waiting for anybody; the service thread reads.

mod access_log;
mod counters;
mod end;
mod events;
mod histogram;
mod local;
mod metrics;
mod record;
mod registry;
mod stats;
mod timestamp;

pub(crate) use access_log::{Batch, LogWriter, Sink};
pub(crate) use counters::{BackendCounters, Dropped, Ended, ListenerCounters, RouteCounters};
pub(crate) use end::End;
pub(crate) use events::Events;
pub use events::{Event, What};
pub(crate) use local::Local;
pub(crate) use metrics::render;
pub(crate) use record::{Blame, Record};
pub(crate) use registry::{Key, PreparedListener, PreparedMembers, PreparedPlan, Registry, Series};
pub use stats::Stats;
pub(crate) use stats::collect;
pub(crate) use timestamp::unix_millis;
