//! A pool: who serves, by which algorithm, and how its connections are kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance as balance;
use fairlead_balance::{BackendLive, Live, Picker, PoolLive};

use crate::affinity::{self, Affinity, Bonds, Size};
use crate::algorithm::{self, KeyPart};
use crate::check::{self, HealthCheck};
use crate::digest::Digest;
use crate::error::{Errors, Place, SpecError};
use crate::health;
use crate::spec;

/// Weights above this are refused: shares are computed in 64 bits over whole pools.
pub const MAX_WEIGHT: u32 = 65_535;

/// One pool.
#[derive(Debug)]
pub struct Pool {
    /// Its stable id.
    pub name: Arc<str>,
    /// How a backend is picked.
    pub algorithm: balance::Algorithm,
    /// What the key that it picks by is made of, in this order; nothing if it needs none.
    pub key: Vec<KeyPart>,
    /// What its pickers are built by besides.
    pub options: balance::Options,
    /// Until a backend accepts a connection.
    pub connect: Duration,
    /// The longest gap in an upgraded or a TCP session.
    pub tunnel: Duration,
    /// How backends are told who the client is.
    pub send_proxy: Option<spec::SendProxy>,
    /// How TLS is spoken with them; `None`: it isn't.
    pub tls: Option<spec::UpstreamTls>,
    /// How long backends that left may finish what they have.
    pub drain: Duration,
    /// How idle connections are kept.
    pub idle: IdleOptions,
    /// Who waits while all are full.
    pub queue: Option<QueueOptions>,
    /// How clients are kept at their backends.
    pub affinity: Option<Affinity>,
    /// By what its backends are judged.
    pub health: balance::health::Policy,
    /// When a backend that mostly fails gets nothing for a while.
    pub breaker: Option<balance::BreakerPolicy>,
    /// How its backends are checked.
    pub check: Option<Arc<HealthCheck>>,
    /// More backends come by `members`; until then it may be empty.
    pub resolved: bool,
    /// What its backends share and what outlives every Plan.
    pub live: Arc<PoolLive>,
    /// Who serves at first: generation 0, the backends of the description.
    pub membership: Arc<Membership>,
}

/// How many wait while all backends are full, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueOptions {
    /// At the most, over all workers.
    pub size: u32,
    /// The longest wait.
    pub timeout: Duration,
    /// The field that says who comes before others.
    pub priority: Option<Arc<[u8]>>,
}

/// How idle connections to a backend are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleOptions {
    /// At the most for each backend, over all workers.
    pub max: u32,
    /// For how long.
    pub timeout: Duration,
    /// Requests on one connection; `None` is unlimited.
    pub max_uses: Option<u64>,
}

/// Who serves in a pool: one list, replaced as a whole.
#[derive(Debug)]
pub struct Membership {
    /// Grows with each list; 0 is the Plan's own.
    pub generation: u64,
    /// Picks among the backends.
    pub picker: Picker,
    /// In the order of [`Picker::members`].
    pub backends: Vec<Arc<Backend>>,
    /// By what the backends have their clients.
    pub bonds: Bonds,
    /// The backends' weights in the description, in the same order.
    configured: Vec<u32>,
}

/// What a membership is made with, its backends aside.
#[derive(Clone, Copy)]
struct Making<'a> {
    pool: &'a str,
    algorithm: balance::Algorithm,
    options: &'a balance::Options,
    affinity: Option<&'a Affinity>,
    send_proxy: Option<spec::SendProxy>,
    tls: Option<&'a spec::UpstreamTls>,
}

/// A member of a pool.
#[derive(Debug)]
pub struct Backend {
    /// Unique in its pool.
    pub id: Arc<str>,
    /// Where it is reached.
    pub address: spec::BackendAddress,
    /// The name that its certificate has to hold for, where TLS is spoken with it.
    pub server_name: Arc<str>,
    /// Its share; 0 takes no new work.
    pub weight: u32,
    /// What outlives every Plan: counts of its requests and connections.
    pub live: Arc<BackendLive>,
    /// Says which idle connections are its own: pool, id, address and whatever was agreed at connecting.
    pub key: u64,
}

impl Pool {
    /// Only for descriptions that [`Pool::check`] let pass.
    pub(crate) fn build(spec: &spec::Pool, options: &balance::Options, live: &Live) -> Self {
        let (algorithm, key) = algorithm::build(&spec.algorithm);
        let affinity = spec.affinity.as_ref().map(|affinity| Affinity::build(affinity, &spec.name, live));
        let (pool, send_proxy, tls) = (&spec.name, spec.send_proxy, spec.tls.as_ref());
        let making = Making { pool, algorithm, options, affinity: affinity.as_ref(), send_proxy, tls };
        let membership = Arc::new(Membership::of(making, &spec.backends, 0, live));
        Self {
            name: spec.name.as_str().into(),
            algorithm,
            key,
            options: options.clone(),
            connect: Duration::from_millis(spec.timeouts.connect_ms),
            tunnel: Duration::from_millis(spec.timeouts.tunnel_ms),
            drain: Duration::from_millis(spec.drain_ms),
            send_proxy: spec.send_proxy,
            tls: spec.tls.clone(),
            idle: IdleOptions {
                // A connection that was told of one client is no other's.
                max: if spec.send_proxy.is_some() { 0 } else { saturating(spec.idle_connections.max) },
                timeout: Duration::from_millis(spec.idle_connections.timeout_ms),
                max_uses: spec.idle_connections.max_uses,
            },
            queue: spec.queue.as_ref().map(|queue| QueueOptions {
                size: queue.size,
                timeout: Duration::from_millis(queue.timeout_ms),
                priority: queue.priority.as_deref().map(|field| field.as_bytes().into()),
            }),
            health: health::build(spec),
            breaker: spec.circuit_breaker.map(|breaker| balance::BreakerPolicy {
                error_thousandths: breaker.error_thousandths,
                window: Duration::from_millis(breaker.window_ms),
                min_requests: breaker.min_requests,
                open: Duration::from_millis(breaker.open_ms),
            }),
            check: build_check(spec, &mut Errors::default()),
            resolved: spec.resolved,
            live: live.pool(&spec.name),
            membership,
            affinity,
        }
    }

    pub(crate) fn check(spec: &spec::Pool, errors: &mut Errors) {
        let pools = Place::root("pools");
        let at = pools.key(&spec.name);
        if spec.backends.is_empty() && !spec.resolved {
            errors.add(at.key("backends"), "a pool needs a backend");
        }
        if spec.idle_connections.max_uses == Some(0) {
            let idle = at.key("idle_connections");
            errors
                .add(idle.key("max_uses"), "must be at least 1: a connection is used once before it is idle");
        }
        if spec.queue.as_ref().is_some_and(|queue| queue.size == 0) {
            let queue = at.key("queue");
            errors.add(queue.key("size"), "must be at least 1: without a queue nobody waits");
        }
        health::check(spec, at, errors);
        build_check(spec, errors);
        check_tls(spec, at, errors);
        check::check_backends(spec, at, errors);
        algorithm::check(&spec.algorithm, at.key("algorithm"), errors);
        if let Some(affinity) = &spec.affinity {
            let at = at.key("affinity");
            Affinity::check(affinity, at, errors);
            affinity::check_size(Size::of(affinity), spec.backends.len(), at, errors);
        }
        check_backends(&spec.name, algorithm::build(&spec.algorithm).0, &spec.backends, errors);
    }
}

fn build_check(spec: &spec::Pool, errors: &mut Errors) -> Option<Arc<HealthCheck>> {
    let pools = Place::root("pools");
    let at = pools.key(&spec.name);
    let check = spec.health_check.as_ref()?;
    HealthCheck::build(check, spec.send_proxy, at.key("health_check"), errors).map(Arc::new)
}

/// Counts are kept in 32 bits, more than there are connections between two addresses.
fn saturating(limit: u64) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

fn max_in_flight(spec: spec::MaxInFlight) -> balance::MaxInFlight {
    match spec {
        spec::MaxInFlight::Fixed(max) => balance::MaxInFlight::Fixed(saturating(max)),
        spec::MaxInFlight::Adaptive(spec::Adaptive { adaptive: spec::Bounds { min, max } }) => {
            balance::MaxInFlight::Adaptive(balance::Bounds { min, max })
        }
    }
}

impl Membership {
    /// Builds a list that came by `members`, or refuses it whole. What `live` has of backends that stay is left as it is until
    /// the list [takes effect](Self::take_effect).
    pub fn build(
        pool: &Pool,
        backends: &[spec::Backend],
        generation: u64,
        live: &Live,
    ) -> Result<Self, Vec<SpecError>> {
        let mut errors = Errors::default();
        check_backends(&pool.name, pool.algorithm, backends, &mut errors);
        let pools = Place::root("pools");
        let (at_pool, affinity) = (pools.key(&pool.name), pool.affinity.as_ref());
        let size = affinity.map_or(Size::Any, Affinity::size);
        affinity::check_size(size, backends.len(), at_pool.key("affinity"), &mut errors);
        let &Pool { algorithm, send_proxy, .. } = pool;
        let (name, options, tls) = (&pool.name, &pool.options, pool.tls.as_ref());
        let making = Making { pool: name, algorithm, options, affinity, send_proxy, tls };
        errors.none_or(|| Self::of(making, backends, generation, live))
    }

    fn of(making: Making<'_>, backends: &[spec::Backend], generation: u64, live: &Live) -> Self {
        let Making { algorithm, options, affinity, .. } = making;
        let backends: Vec<_> =
            backends.iter().map(|spec| (spec, Arc::new(Backend::build(making, spec, live)))).collect();
        // A resolved address may be written in the list as well: then one of the two goes by its id, lest both have the
        // same place in a table.
        let mut hash_names = HashSet::new();
        let members: Vec<balance::Member> = backends
            .iter()
            .map(|(spec, backend)| balance::Member {
                id: spec.id.clone(),
                hash_name: if hash_names.insert(spec.hash_name.as_str()) {
                    spec.hash_name.clone()
                } else {
                    spec.id.clone()
                },
                weight: spec.weight,
                max_in_flight: spec.max_in_flight.map(max_in_flight),
                zone: spec.zone.as_deref().map(Into::into),
                backup: spec.backup,
                live: Arc::clone(&backend.live),
            })
            .collect();
        Self {
            generation,
            bonds: Bonds::build(affinity, &members),
            picker: balance::Pool::build(algorithm, members, options),
            configured: backends.iter().map(|(spec, _)| spec.weight).collect(),
            backends: backends.into_iter().map(|(_, backend)| backend).collect(),
        }
    }

    /// By whom each backend is told from all others, in their order.
    pub fn lives(&self) -> impl Iterator<Item = *const BackendLive> {
        self.backends.iter().map(|backend| Arc::as_ptr(&backend.live))
    }

    /// They are about to serve: what outlives the configuration learns where they are and which numbers they have. Up to
    /// here nothing that is served has changed.
    pub fn take_effect(&self, pool: &Pool) {
        for backend in &self.backends {
            backend.live.move_to(&address_text(&backend.address));
        }
        if let (Bonds::Numbers(numbers), Some(book)) =
            (&self.bonds, pool.affinity.as_ref().and_then(Affinity::book))
        {
            let numbers = (0..self.backends.len()).map(|member| numbers.of(member));
            book.memory.enter(self.backends.iter().map(|backend| &*backend.id).zip(numbers));
        }
    }

    /// One of the list alone, as its only member: all that is needed of who left and goes on with the clients it knows. The
    /// others' tables would be kept for as long as it drains.
    #[must_use]
    pub fn alone(&self, member: usize) -> Self {
        let members = vec![self.picker.members()[member].clone()];
        Self {
            generation: self.generation,
            bonds: self.bonds.of(member),
            picker: balance::Pool::build(balance::Algorithm::First, members, &balance::Options::default()),
            backends: vec![Arc::clone(&self.backends[member])],
            configured: vec![self.configured[member]],
        }
    }

    /// The same list with the weights that `of` gives by id; without one it is the description's.
    #[must_use]
    pub fn reweighted(&self, pool: &Pool, of: impl Fn(&str) -> Option<u32>) -> Self {
        let weights: Vec<u32> = (self.backends.iter().zip(&self.configured))
            .map(|(backend, &configured)| of(&backend.id).unwrap_or(configured))
            .collect();
        let members: Vec<_> = (self.picker.members().iter().zip(&weights))
            .map(|(member, &weight)| balance::Member { weight, ..member.clone() })
            .collect();
        let backends = (self.backends.iter().zip(&weights))
            .map(|(backend, &weight)| Arc::new(backend.weighing(weight)))
            .collect();
        Self {
            generation: self.generation,
            bonds: Bonds::build(pool.affinity.as_ref(), &members),
            picker: balance::Pool::build(pool.algorithm, members, &pool.options),
            backends,
            configured: self.configured.clone(),
        }
    }
}

impl Backend {
    fn build(making: Making<'_>, spec: &spec::Backend, live: &Live) -> Self {
        let address = address_text(&spec.address);
        let Making { pool, send_proxy, tls, .. } = making;
        let agreed: &[u8] = match send_proxy {
            None => b"",
            Some(spec::SendProxy::V1) => b"PROXY 1",
            Some(spec::SendProxy::V2) => b"PROXY 2",
        };
        let server_name = tls.map(|tls| server_name(tls, spec)).unwrap_or_default();
        // It lives as long as this process: what is printed for programmers is digest enough.
        let secured = tls.map(|tls| format!("{tls:?} {server_name}")).unwrap_or_default();
        Self {
            id: spec.id.as_str().into(),
            address: spec.address.clone(),
            server_name,
            weight: spec.weight,
            live: live.backend(pool, &spec.id),
            key: Digest::new()
                .part(pool.as_bytes())
                .part(spec.id.as_bytes())
                .part(address.as_bytes())
                .part(agreed)
                .part(secured.as_bytes())
                .value(),
        }
    }

    /// How often it had moved when it came to this address; `None` if it is at another one.
    #[must_use]
    pub fn incarnation(&self) -> Option<u32> {
        self.live.incarnation_at(&address_text(&self.address))
    }

    fn weighing(&self, weight: u32) -> Self {
        Self {
            id: Arc::clone(&self.id),
            address: self.address.clone(),
            server_name: Arc::clone(&self.server_name),
            weight,
            live: Arc::clone(&self.live),
            key: self.key,
        }
    }
}

/// The name that the certificate of a backend has to hold for. A Unix socket has none of its own, which is refused.
fn server_name(tls: &spec::UpstreamTls, backend: &spec::Backend) -> Arc<str> {
    match (&tls.server_name, &backend.host, &backend.address) {
        (Some(name), _, _) | (None, Some(name), _) => name.as_str().into(),
        (None, None, spec::BackendAddress::Ip(address)) => address.ip().to_string().into(),
        (None, None, spec::BackendAddress::Unix(_)) => Arc::default(),
    }
}

/// What is wrong with how TLS is spoken with the backends.
fn check_tls(spec: &spec::Pool, at: Place<'_>, errors: &mut Errors) {
    let Some(tls) = &spec.tls else {
        if spec.health_check.as_ref().is_some_and(|check| matches!(check.probe, spec::Probe::Tls {})) {
            let check = at.key("health_check");
            errors.add(check.key("type"), "makes handshakes as the pool's tls says, and it has none");
        }
        return;
    };
    let is_unix = |backend: &&spec::Backend| matches!(backend.address, spec::BackendAddress::Unix(_));
    if tls.server_name.is_none()
        && let Some(backend) = spec.backends.iter().find(is_unix)
    {
        let message = format_args!(
            "backend {:?} is a Unix socket, which has no name: say which its certificate holds for",
            backend.id
        );
        let at = at.key("tls");
        errors.add(at.key("server_name"), message);
    }
}

fn address_text(address: &spec::BackendAddress) -> String {
    match address {
        spec::BackendAddress::Ip(address) => address.to_string(),
        spec::BackendAddress::Unix(path) => format!("unix:{path}"),
    }
}

fn check_backends(
    pool: &str,
    algorithm: balance::Algorithm,
    backends: &[spec::Backend],
    errors: &mut Errors,
) {
    let pools = Place::root("pools");
    let at = pools.key(pool);
    algorithm::check_size(algorithm, backends.len(), at.key("algorithm"), errors);
    let at = at.key("backends");
    let mut places = HashMap::with_capacity(backends.len());
    for (index, backend) in backends.iter().enumerate() {
        let at = at.index(index);
        if let Some(first) = places.insert(backend.id.as_str(), index) {
            errors
                .add(at, format_args!("{:?} is already the id of backend {first} of this pool", backend.id));
        }
        if backend.weight > MAX_WEIGHT {
            let message = format_args!("{} is above the highest weight, {MAX_WEIGHT}", backend.weight);
            errors.add(at.key("weight"), message);
        }
        match backend.max_in_flight {
            Some(spec::MaxInFlight::Fixed(0)) => {
                errors.add(at.key("max_in_flight"), "must be at least 1: weight 0 takes no new work");
            }
            Some(spec::MaxInFlight::Adaptive(spec::Adaptive { adaptive: spec::Bounds { min, max } }))
                if min == 0 || min > max =>
            {
                errors.add(at.key("max_in_flight"), format_args!("{min} to {max} is no range from 1 on"));
            }
            _ => {}
        }
        match &backend.address {
            spec::BackendAddress::Ip(address) if address.port() == 0 => {
                errors.add(at.key("address"), "a backend needs a port other than 0");
            }
            spec::BackendAddress::Unix(path) if path.is_empty() => {
                errors.add(at.key("address"), "a Unix socket needs a path");
            }
            _ => {}
        }
    }
}
