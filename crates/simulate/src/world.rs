//! Everything there is in a simulation. What happens in it stands in the modules that are named after it.

use std::time::Duration;

use fairlead_balance::{HedgePolicy, Live};
use fairlead_plan::{Pool, Retry, spec};

use crate::calendar::Calendar;
use crate::clients::Crowd;
use crate::clock::Clock;
use crate::membership::Members;
use crate::random::{Purpose, Stream};
use crate::record::Record;
use crate::request::Requests;
use crate::scenario::Scenario;
use crate::server::Servers;
use crate::waiting::Woken;
use crate::watch::Watch;

/// What of a configuration is simulated: a pool, and how a route leads to it.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) backends: &'a [spec::Backend],
    pub(crate) retry: &'a Retry,
    pub(crate) hedge: Option<&'a HedgePolicy>,
    /// From the request to the answer.
    pub(crate) response: Duration,
    /// Everything.
    pub(crate) whole: Option<Duration>,
}

/// The world.
pub(crate) struct World<'a> {
    pub(crate) subject: &'a Subject<'a>,
    pub(crate) scenario: &'a Scenario,
    pub(crate) clock: Clock,
    pub(crate) calendar: Calendar,
    pub(crate) streams: Streams,
    pub(crate) crowd: Crowd,
    pub(crate) live: &'a Live,
    pub(crate) members: Members,
    pub(crate) servers: Servers<'a>,
    pub(crate) requests: Requests<'a>,
    pub(crate) watch: Watch,
    pub(crate) woken: Woken,
    pub(crate) record: Record,
}

/// Randomness by purpose.
pub(crate) struct Streams {
    pub(crate) arrivals: Stream,
    pub(crate) work: Stream,
    pub(crate) clients: Stream,
    pub(crate) faults: Stream,
    pub(crate) picks: Stream,
    pub(crate) waits: Stream,
}

impl Streams {
    pub(crate) fn new(seed: u64) -> Self {
        let stream = |purpose| Stream::new(seed, purpose);
        Self {
            arrivals: stream(Purpose::Arrivals),
            work: stream(Purpose::Work),
            clients: stream(Purpose::Clients),
            faults: stream(Purpose::Faults),
            picks: stream(Purpose::Picks),
            waits: stream(Purpose::Waits),
        }
    }
}
