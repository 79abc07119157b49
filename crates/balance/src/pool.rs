//! From a list of members to something that picks one of them.
//!
//! As in gRPC's balancers, the work is split: [`Pool::build`] does everything that is slow, once, in one place;
//! the [`Picker`] it makes is immutable and shared by all workers, and picking never blocks. What changes lives
//! outside: counters in [`BackendLive`], a worker's place in its [`Cursor`].

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::quality::FixedState;

use crate::adaptive::MaxInFlight;
use crate::algorithm::seats::take;
use crate::algorithm::{Algorithm, Pick, Random};
use crate::cursor::Cursor;
use crate::group::{Group, Tier};
use crate::hash::mix;
use crate::live::{BackendLive, PoolLive};
use crate::standing::State;
use crate::tried::Tried;

/// A backend's place in a pool.
#[derive(Clone, Debug)]
pub struct Member {
    /// Stable over reloads and unique in the pool.
    pub id: String,
    /// What hash tables know it by: its name if it has one, else its address. Unique in the pool.
    pub hash_name: String,
    /// Its share of the traffic, 0 to 65535. A member of weight 0 is never picked.
    pub weight: u32,
    /// Requests it takes at a time, over all workers; `None`: any number.
    pub max_in_flight: Option<MaxInFlight>,
    /// Where it is.
    pub zone: Option<Arc<str>>,
    /// It helps out only while no member that isn't a backup can be used.
    pub backup: bool,
    /// Its counters.
    pub live: Arc<BackendLive>,
}

/// What else a pool is built by.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where we are. Members of the same zone come first; without it zones mean nothing.
    pub zone: Option<Arc<str>>,
}

/// The builder of pickers.
#[derive(Clone, Copy, Debug)]
pub struct Pool;

impl Pool {
    /// Makes everything that picking needs.
    ///
    /// Weights above 65535 count as 65535: the arithmetic of the algorithms is exact up to there.
    #[must_use]
    pub fn build(algorithm: Algorithm, members: Vec<Member>, options: &Options) -> Picker {
        let tiers = [false, true].map(|backup| {
            let among = |member: &Member| member.weight > 0 && member.backup == backup;
            Tier::build(algorithm, &members, among, options.zone.as_deref())
        });
        let rotation = rotation(algorithm, &members, options);
        let pool = members.first().map(|member| Arc::clone(member.live.pool())).unwrap_or_default();
        let adapts =
            members.iter().any(|member| matches!(member.max_in_flight, Some(MaxInFlight::Adaptive(_))));
        Picker { algorithm, members, tiers, pool, rotation, adapts }
    }
}

/// Picks a member for each request. Immutable, shared by all workers.
#[derive(Debug)]
pub struct Picker {
    algorithm: Algorithm,
    members: Vec<Member>,
    /// Those that serve and those that help out.
    tiers: [Tier; 2],
    pool: Arc<PoolLive>,
    rotation: u64,
    /// Some limit does.
    adapts: bool,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Whom to leave out.
    pub tried: &'a Tried,
    /// The [hash](crate::hash) of the request's key, which `IpHash` and `ConsistentHash` go by; without one they pick as
    /// `Random` does.
    pub key: Option<u64>,
}

/// Why nobody could be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBackend {
    /// The pool has no member, or none with a weight.
    Empty,
    /// No member takes new clients: each is down, draining, disabled, or its circuit breaker is open.
    NoneUsable,
    /// The request has been to every member that takes new clients.
    AllTried,
    /// Every member that was not tried yet has its `max_in_flight` requests.
    AllFull,
}

/// What became of a request that affinity sends to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has the slot.
    Taken,
    /// It has its `max_in_flight` requests.
    Full,
    /// It doesn't even go on with those it knows.
    Gone,
}

impl Picker {
    /// Picks a member that takes new clients, was not tried and has room, and takes the slot: its `in_flight` is one
    /// more on return. The caller ends it with `members()[index].live.end()`.
    ///
    /// `cursor` must be made for this picker or [fit](Cursor::fits) it.
    pub fn pick(
        &self,
        ask: &Ask<'_>,
        cursor: &mut Cursor,
        rng: &mut impl Random,
        now: Instant,
    ) -> Result<usize, NoBackend> {
        debug_assert!(cursor.fits(self), "invariant: a cursor is used with the picker it was made for");
        let mut pick = Pick { ask, pool: &self.pool, rng, now };
        let [serving, helping] = &self.tiers;
        let (first, second) = cursor.places.split_at_mut(serving.groups().len());
        if let Some(member) = serving.pick(first, &mut pick) {
            return Ok(member);
        }
        // Full is not gone: who is well but busy isn't helped out, lest every peak flood what is kept for need.
        let helped = if serving.has_untried(ask.tried) { None } else { helping.pick(second, &mut pick) };
        helped.ok_or_else(|| self.why_none(ask.tried))
    }

    /// The member that a key belongs to, whatever becomes of it, in a picker by rendezvous. One that drains has no keys: who
    /// goes by a key can't tell the clients that it knew from new ones.
    #[must_use]
    pub fn owner(&self, key: u64) -> Option<usize> {
        let owner = self.groups().next()?.owner(key)?;
        (self.members[owner].live.standing().state() != State::Draining).then_some(owner)
    }

    /// Takes a slot of the member that affinity names, if its standing lets it go on with those it knows.
    #[must_use]
    pub fn take(&self, member: usize) -> Known {
        match self.members.get(member) {
            Some(member) if member.live.standing().admits_known() => {
                if take(&member.live, member.max_in_flight) { Known::Taken } else { Known::Full }
            }
            _ => Known::Gone,
        }
    }

    /// Takes the time that an answer of `member` took, if the algorithm goes by time.
    pub fn observe(&self, member: usize, took: Duration, now: Instant) {
        if let Some(how) = self.algorithm.timing()
            && let Some(member) = self.members.get(member)
        {
            member.live.observe(took, now, how);
        }
    }

    /// Takes how a request to `member` ended, if its limit adapts: it was answered after this time, or as one of too many, or
    /// so late that nobody waited for it. To be told while it counts as in flight.
    #[inline]
    pub fn adapt(&self, member: usize, answered: Option<Duration>, now: Instant) {
        if self.adapts
            && let Some(member) = self.members.get(member)
            && let Some(MaxInFlight::Adaptive(bounds)) = member.max_in_flight
        {
            member.live.adapt(answered, bounds, now);
        }
    }

    /// How many requests `member` may have at a time now; `None` for any number.
    #[must_use]
    pub fn limit(&self, member: usize) -> Option<u32> {
        let member = self.members.get(member)?;
        member.max_in_flight.map(|max| member.live.limit(max))
    }

    /// A try with `member` failed before an answer: by time it is as bad as an answer of a second, lest a member that refuses
    /// and so never has a time be asked first for ever.
    pub fn failed(&self, member: usize, now: Instant) {
        self.observe(member, FAILED, now);
    }

    /// The members, in the order they were given in; what [`pick`](Self::pick) returns is an index into them.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How members are chosen.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Stands for the tables that members are picked by: the same on all nodes that have the same members, weights and
    /// algorithm, in whatever order they are written.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.groups().fold(0, |digest, group| mix(digest, group.digest()))
    }

    /// Stands for everything a cursor's place depends on: algorithm, and the members in order.
    pub(crate) fn rotation(&self) -> u64 {
        self.rotation
    }

    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        let [serving, helping] = &self.tiers;
        let count = serving.groups().len() + helping.groups().len();
        (0..count).map(move |at| {
            serving.groups().get(at).unwrap_or_else(|| &helping.groups()[at - serving.groups().len()])
        })
    }

    #[cold]
    fn why_none(&self, tried: &Tried) -> NoBackend {
        let mut seats = self.tiers.iter().flat_map(Tier::seats).peekable();
        if seats.peek().is_none() {
            return NoBackend::Empty;
        }
        if !seats.any(|seat| seat.share() > 0) {
            NoBackend::NoneUsable
        } else if self.tiers.iter().any(|tier| tier.has_untried(tried)) {
            NoBackend::AllFull
        } else {
            NoBackend::AllTried
        }
    }
}

/// What a failure counts as; so does waiting for a first answer.
const FAILED: Duration = Duration::from_secs(1);

fn rotation(algorithm: Algorithm, members: &[Member], options: &Options) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    algorithm.hash(&mut hasher);
    for member in members {
        let near = member.zone == options.zone;
        (member.id.as_str(), member.hash_name.as_str(), member.weight, near, member.backup).hash(&mut hasher);
    }
    hasher.finish()
}
