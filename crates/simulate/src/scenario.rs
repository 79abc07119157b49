//! What happens, as a description: JSON, every key present, unknown keys refused, no defaults. Spelling, defaults and
//! which backends are meant are the business of who writes it.

use fairlead_plan::spec::nullable;
use serde::{Deserialize, Serialize};

/// A world around a pool, and what happens in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Requests come for so long.
    pub duration_ms: u64,
    /// And no more than so many.
    #[serde(deserialize_with = "nullable")]
    pub requests: Option<u64>,
    /// What a point of the series stands for.
    pub bucket_ms: u64,
    /// Workers that requests come to in turn; each has a place of its own in the rotation.
    pub workers: u16,
    /// When requests come.
    pub arrivals: Arrivals,
    /// Who asks.
    pub clients: Clients,
    /// The part of the requests that may be done twice, of 1.
    pub safe: f64,
    /// How much work a request is: the time that a server in its best state takes for it.
    pub work: Law,
    /// What stands behind the backends of the pool, in their order.
    pub servers: Vec<Server>,
    /// `null`: nobody is checked.
    #[serde(deserialize_with = "nullable")]
    pub checks: Option<Checks>,
    /// What befalls servers.
    pub effects: Vec<Effect>,
}

/// An open loop: requests come whatever becomes of those before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// How they are spread.
    pub law: ArrivalLaw,
    /// The rate between two points is on the line between them, after the last one as there. Two points at one time are a
    /// step. The first is at 0.
    pub rate: Vec<Point>,
}

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArrivalLaw {
    /// As many clients that know nothing of each other make them.
    Poisson,
    /// Evenly.
    Constant,
}

/// A rate at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Since the start.
    pub at_ms: u64,
    /// Requests.
    pub per_second: f64,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// How many there are.
    pub count: u32,
    /// The nth of them asks in proportion to n to the power of minus this (Zipf); 0: all alike.
    pub skew: f64,
}

/// A law of times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Law {
    /// Always the same.
    Constant {
        /// The time.
        ms: f64,
    },
    /// Without memory.
    Exponential {
        /// The mean.
        mean_ms: f64,
    },
    /// Whose logarithm is normal: most are short, some are long.
    Lognormal {
        /// Half of them are shorter.
        median_ms: f64,
        /// The deviation of the logarithm.
        sigma: f64,
    },
    /// Drawn from these, each alike.
    Samples {
        /// The times.
        ms: Vec<f64>,
    },
}

/// What stands behind a backend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Requests it works on at a time; the others wait in its line.
    pub slots: u32,
    /// With so many in line it answers 503 at once; `null`: the line has no end.
    #[serde(deserialize_with = "nullable")]
    pub backlog: Option<u32>,
    /// It is in the pool from the start.
    pub present: bool,
}

/// How backends are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// From one to the next.
    pub interval_ms: u64,
    /// While a state is changing.
    pub fast_interval_ms: u64,
    /// A check that takes longer has failed.
    pub timeout_ms: u64,
    /// Backends get requests before their first result.
    pub initially_up: bool,
}

/// Something that befalls servers for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// When it begins.
    pub from_ms: u64,
    /// When it is over; `null`: never.
    #[serde(deserialize_with = "nullable")]
    pub until_ms: Option<u64>,
    /// Whom it befalls, by place in [`Scenario::servers`].
    pub servers: Vec<u32>,
    /// What it is.
    pub what: What,
}

/// What befalls a server.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// Everything it begins takes so many times as long.
    Slow {
        /// The factor.
        factor: f64,
    },
    /// The same, with a factor that falls evenly to 1 until it is over.
    Cold {
        /// The factor at the beginning.
        factor: f64,
    },
    /// A part of its answers are errors.
    Errors {
        /// Of 1.
        share: f64,
        /// What they say.
        status: u16,
        /// How long one takes; `null`: as long as a good answer.
        #[serde(deserialize_with = "nullable")]
        ms: Option<f64>,
    },
    /// It takes requests and doesn't answer; afterwards it goes on where it was.
    Hang,
    /// Nobody listens: what it had is reset, new connections are refused.
    Refuse,
    /// Nothing comes through, in no direction.
    Unreachable,
    /// It stands still again and again, as while garbage is collected.
    Pauses {
        /// From the beginning of one to that of the next; where in it a server begins differs.
        every_ms: u64,
        /// How long one lasts.
        lasting_ms: u64,
    },
    /// A part of its checks fail, whatever it does.
    ChecksFail {
        /// Of 1.
        share: f64,
    },
    /// It joins the pool.
    Join,
    /// It leaves the pool, and finishes what it has.
    Leave,
}

impl Scenario {
    /// What is wrong with it, for a pool of so many backends.
    pub(crate) fn fault(&self, backends: usize) -> Option<&'static str> {
        let within = |share: f64| (0.0..=1.0).contains(&share);
        let effects = || self.effects.iter().find_map(|effect| effect.fault(backends));
        if self.servers.len() != backends {
            Some("needs a server for each backend of the pool")
        } else if self.servers.iter().any(|server| server.slots == 0) {
            Some("a server needs a slot at least")
        } else if self.duration_ms == 0 || self.bucket_ms == 0 || self.workers == 0 || self.clients.count == 0
        {
            Some("duration, bucket, workers and clients are 1 at least")
        } else if self.duration_ms / self.bucket_ms > MOST_BUCKETS {
            Some("the series would have more than 100,000 points")
        } else if self.clients.count > MOST_CLIENTS || !self.clients.skew.is_finite() || !within(self.safe) {
            Some("clients are up to 10,000,000, their skew is a number and the safe part is from 0 to 1")
        } else {
            self.work.fault().or_else(|| crate::rate::fault(&self.arrivals)).or_else(effects)
        }
    }
}

const MOST_BUCKETS: u64 = 100_000;
const MOST_CLIENTS: u32 = 10_000_000;

impl Effect {
    fn fault(&self, backends: usize) -> Option<&'static str> {
        let within = |share: f64| (0.0..=1.0).contains(&share);
        let good = match self.what {
            What::Slow { factor } | What::Cold { factor } => factor.is_finite() && factor > 0.0,
            What::Errors { share, ms, .. } => {
                within(share) && ms.is_none_or(|ms| ms.is_finite() && ms >= 0.0)
            }
            What::ChecksFail { share } => within(share),
            What::Pauses { every_ms, lasting_ms } => every_ms > 0 && lasting_ms <= every_ms,
            What::Hang | What::Refuse | What::Unreachable | What::Join | What::Leave => true,
        };
        let ends = self.until_ms.is_none_or(|until| until >= self.from_ms);
        let cold = matches!(self.what, What::Cold { .. }) && self.until_ms.is_none();
        if !self.servers.iter().all(|&server| (server as usize) < backends) {
            Some("an effect befalls a server that is not there")
        } else if !good || !ends || cold {
            Some("an effect has a number that is out of range, ends before it begins, or is cold for ever")
        } else {
            None
        }
    }
}
