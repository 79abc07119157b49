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
use crate::stream;

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
        stream::check_pools(spec, &mut errors);
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

impl Plan {
    /// Whether a listener or a pool asks for the certificate of this name.
    #[must_use]
    pub fn uses_certificate(&self, name: &str) -> bool {
        let tls = self.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let mut shown = self.pools.iter().filter_map(|pool| pool.tls.as_ref()?.certificate.as_ref());
        tls.flat_map(|tls| &tls.certificates).any(|certificate| certificate == name)
            || shown.any(|certificate| certificate == name)
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
    /// no such thing: the kernel prefers it. Ports of UDP are others than those of TCP.
    Address(bool, spec::BindAddress),
    /// A free port is another one for each listener, which finds it again by its text.
    Free(bool, &'a str, &'a str),
}

fn claims_of<'a>(listener: &'a spec::Listener, bind: &'a spec::Bind) -> Vec<Claim<'a>> {
    let ip = |address: IpAddr, port| spec::BindAddress::Ip { address: SocketAddr::new(address, port) };
    let udp = listener.protocol.is_udp();
    match &bind.address {
        spec::BindAddress::Any { port } if *port > 0 => {
            let families = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
            families.map(|address| Claim::Address(udp, ip(address, *port))).into()
        }
        spec::BindAddress::Ip { address } if address.port() > 0 => {
            vec![Claim::Address(udp, ip(address.ip(), address.port()))]
        }
        spec::BindAddress::Unix { .. } => vec![Claim::Address(udp, bind.address.clone())],
        _ => vec![Claim::Free(udp, &listener.name, &bind.text)],
    }
}
