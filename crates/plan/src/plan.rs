//! The Plan: everything the engine executes, complete and consistent.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::{Live, Options};

use crate::access_log::AccessLog;
use crate::census::Counted;
use crate::error::{Errors, Place, SpecError};
use crate::listener::Listener;
use crate::pool::Pool;
use crate::spec::{self, Spec};

/// A configuration that was found good. Immutable, shared by all workers.
#[derive(Debug)]
pub struct Plan {
    /// Of the description it was built from.
    pub version: u64,
    /// In file order.
    pub listeners: Vec<Arc<Listener>>,
    /// What [`Route::pool`](crate::Route::pool) is an index of.
    pub pools: Vec<Arc<Pool>>,
    /// `None` logs nothing.
    pub access_log: Option<AccessLog>,
    /// How long removed listeners and a stopping engine wait for open requests.
    pub drain_timeout: Duration,
    /// Above this resident size new work is shed, in bytes.
    pub max_memory: Option<u64>,
    pub(crate) counted: Option<Counted>,
}

impl Plan {
    /// Builds a Plan that is complete, or says everything that is wrong at once. What `live` has is left as it is, since the
    /// Plan may yet be refused: it changes as each [membership takes effect](crate::Membership::take_effect).
    pub fn build(spec: &Spec, live: &Live) -> Result<Self, Vec<SpecError>> {
        let Checked { listeners, access_log } = Checked::of(spec)?;
        let options = Options { zone: spec.zone.as_deref().map(Into::into) };
        Ok(Self {
            version: spec.version,
            listeners,
            pools: spec.pools.iter().map(|pool| Arc::new(Pool::build(pool, &options, live))).collect(),
            access_log,
            drain_timeout: Duration::from_millis(spec.drain_timeout_ms),
            max_memory: spec.max_memory_bytes,
            counted: None,
        })
    }
}

/// A description that was found good, and no Plan yet: none of the tables is made that its pools would have.
#[derive(Debug)]
pub struct Checked {
    /// In file order.
    pub listeners: Vec<Arc<Listener>>,
    access_log: Option<AccessLog>,
}

impl Checked {
    /// Checks a description, or says everything that is wrong at once.
    pub fn of(spec: &Spec) -> Result<Self, Vec<SpecError>> {
        let mut errors = Errors::default();
        let pools = pool_indices(spec, &mut errors);
        for pool in &spec.pools {
            Pool::check(pool, &mut errors);
        }
        check_listeners(spec, &mut errors);
        check_stream_pools(spec, &mut errors);
        let listeners: Vec<_> = spec
            .listeners
            .iter()
            .filter_map(|listener| Listener::build(listener, &pools, &mut errors))
            .map(Arc::new)
            .collect();
        let access_log = spec.access_log.as_ref().and_then(|log| AccessLog::build(log, &mut errors));
        errors.none_or(|| Self { listeners, access_log })
    }
}

fn pool_indices<'a>(spec: &'a Spec, errors: &mut Errors) -> HashMap<&'a str, usize> {
    let at = Place::root("pools");
    let mut indices = HashMap::with_capacity(spec.pools.len());
    for (index, pool) in spec.pools.iter().enumerate() {
        if indices.insert(pool.name.as_str(), index).is_some() {
            errors.add(at.key(&pool.name), "another pool has this name");
        }
    }
    indices
}

/// A listener's name and a bind's text are the ids by which what is open is found again at a reload.
fn check_listeners(spec: &Spec, errors: &mut Errors) {
    let listeners = Place::root("listeners");
    let mut names = HashSet::new();
    let mut claims = HashMap::new();
    for listener in &spec.listeners {
        let at = listeners.key(&listener.name);
        if !names.insert(listener.name.as_str()) {
            errors.add(at, "another listener has this name");
        }
        let binds = at.key("bind");
        for (index, bind) in listener.binds.iter().enumerate() {
            let mine = (listener.name.as_str(), bind.text.as_str());
            let claimed = claims_of(listener, bind);
            let other = claimed.iter().find_map(|claim| claims.get(claim)).copied();
            if let Some((other, text)) = other {
                let at = binds.item(index, listener.binds.len());
                let written = if text == bind.text { String::new() } else { format!(" as {text:?}") };
                let message = format!("{:?} is already bound by listener {other:?}{written}", bind.text);
                errors.add(at, message);
            }
            for claim in claimed {
                claims.entry(claim).or_insert(mine);
            }
        }
    }
}

/// What a bind has for itself.
#[derive(PartialEq, Eq, Hash)]
enum Claim<'a> {
    /// Sockets of several listeners could share it, and would share its connections at random. One address beside all is
    /// no such thing: the kernel prefers it.
    Address(spec::BindAddress),
    /// A free port is another one for each listener, which finds it again by its text.
    Free(&'a str, &'a str),
}

fn claims_of<'a>(listener: &'a spec::Listener, bind: &'a spec::Bind) -> Vec<Claim<'a>> {
    let ip = |address: IpAddr, port| spec::BindAddress::Ip { address: SocketAddr::new(address, port) };
    match &bind.address {
        spec::BindAddress::Any { port } if *port > 0 => {
            let families = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
            families.map(|address| Claim::Address(ip(address, *port))).into()
        }
        spec::BindAddress::Ip { address } if address.port() > 0 => {
            vec![Claim::Address(ip(address.ip(), address.port()))]
        }
        spec::BindAddress::Unix { .. } => vec![Claim::Address(bind.address.clone())],
        _ => vec![Claim::Free(&listener.name, &bind.text)],
    }
}

/// A connection has no header, cookie or path to go by, and no answer whose time could be taken.
fn check_stream_pools(spec: &Spec, errors: &mut Errors) {
    let pools = Place::root("pools");
    let streams = spec.listeners.iter().filter(|listener| listener.protocol != spec::Protocol::Http);
    let mut told = HashSet::new();
    for (listener, route) in streams.flat_map(|listener| listener.routes.iter().map(move |r| (listener, r))) {
        let Some(pool) = spec.pools.iter().find(|pool| pool.name == route.pool) else { continue };
        if !told.insert(pool.name.as_str()) {
            continue;
        }
        let (name, at) = (&listener.name, pools.key(&pool.name));
        if let spec::Algorithm::ConsistentHash { key, .. } = &pool.algorithm
            && key.iter().any(|part| *part != spec::KeyPart::Client)
        {
            let algorithm = at.key("algorithm");
            let options = algorithm.key("consistent_hash");
            let message = format_args!(
                "listener {name:?} is tcp, where the client is all there is to go by: key: client"
            );
            errors.add(options.key("key"), message);
        }
        if pool.affinity.is_some() {
            let message = format_args!(
                "listener {name:?} is tcp, where clients are kept by their address: algorithm: ip_hash, or consistent_hash \
                 with key: client"
            );
            errors.add(at.key("affinity"), message);
        }
        if pool.queue.as_ref().is_some_and(|queue| queue.priority.is_some()) {
            let queue = at.key("queue");
            let message = format_args!("listener {name:?} is tcp, where there is no header to say it");
            errors.add(queue.key("priority"), message);
        }
        let adaptive =
            |backend: &spec::Backend| matches!(backend.max_in_flight, Some(spec::MaxInFlight::Adaptive(_)));
        if pool.backends.iter().any(adaptive) {
            let message = format_args!("listener {name:?} is tcp, where there are no answers to adapt to");
            errors.add(at.key("max_in_flight"), message);
        }
    }
}
