//! What a pool can't be where connections or datagrams come to it as a whole.

use std::collections::HashSet;

use crate::error::{Errors, Place};
use crate::spec::{self, Spec};

/// Notes what pools of TCP and UDP listeners have that only requests could use.
pub(crate) fn check_pools(spec: &Spec, errors: &mut Errors) {
    let pools = Place::root("pools");
    let streams = spec.listeners.iter().filter(|listener| listener.protocol != spec::Protocol::Http);
    let mut told = HashSet::new();
    for (listener, route) in streams.flat_map(|listener| listener.routes.iter().map(move |r| (listener, r))) {
        let Some(pool) = spec.pools.iter().find(|pool| pool.name == route.pool) else { continue };
        let udp = listener.protocol.is_udp();
        if !told.insert((udp, pool.name.as_str())) {
            continue;
        }
        let of = Listener { name: &listener.name, protocol: if udp { "udp" } else { "tcp" } };
        let at = pools.key(&pool.name);
        // Of a pool that both lead to it is said once.
        if !told.contains(&(!udp, pool.name.as_str())) {
            check(of, pool, at, errors);
        }
        if udp {
            check_udp(of, pool, at, errors);
            let leads = |other: &spec::Listener| other.routes.iter().any(|route| route.pool == pool.name);
            if !spec.listeners.iter().any(|other| !other.protocol.is_udp() && leads(other)) {
                check_question(of, pool, at, errors);
            }
        }
    }
}

/// Who leads to a pool.
#[derive(Clone, Copy)]
struct Listener<'a> {
    name: &'a str,
    protocol: &'static str,
}

/// A session has no header, cookie or path to go by, and no answers to adapt to.
fn check(of: Listener<'_>, pool: &spec::Pool, at: Place<'_>, errors: &mut Errors) {
    let Listener { name, protocol } = of;
    if let spec::Algorithm::ConsistentHash { key, .. } = &pool.algorithm
        && key.iter().any(|part| *part != spec::KeyPart::Client)
    {
        let algorithm = at.key("algorithm");
        let options = algorithm.key("consistent_hash");
        let message = format_args!(
            "listener {name:?} is {protocol}, where the client is all there is to go by: key: client"
        );
        errors.add(options.key("key"), message);
    }
    if pool.affinity.is_some() {
        let message = format_args!(
            "listener {name:?} is {protocol}, where clients are kept by their address: algorithm: ip_hash, or \
             consistent_hash with key: client"
        );
        errors.add(at.key("affinity"), message);
    }
    if pool.queue.as_ref().is_some_and(|queue| queue.priority.is_some()) {
        let queue = at.key("queue");
        let message = format_args!("listener {name:?} is {protocol}, where there is no header to say it");
        errors.add(queue.key("priority"), message);
    }
    let adaptive =
        |backend: &spec::Backend| matches!(backend.max_in_flight, Some(spec::MaxInFlight::Adaptive(_)));
    if pool.backends.iter().any(adaptive) {
        let message = format_args!("listener {name:?} is {protocol}, where there are no answers to adapt to");
        errors.add(at.key("max_in_flight"), message);
    }
}

/// Datagrams don't wait, say nothing of their client, and go to addresses with ports.
fn check_udp(of: Listener<'_>, pool: &spec::Pool, at: Place<'_>, errors: &mut Errors) {
    let name = of.name;
    if pool.send_proxy.is_some() {
        errors.add(at.key("send_proxy"), format_args!("listener {name:?} is udp: PROXY is for http and tcp"));
    }
    if pool.tls.is_some() {
        errors.add(at.key("tls"), format_args!("listener {name:?} is udp: of DTLS nothing is spoken"));
    }
    if pool.queue.is_some() {
        errors.add(at.key("queue"), format_args!("listener {name:?} is udp, where nothing waits"));
    }
    let backends = at.key("backends");
    for (index, backend) in pool.backends.iter().enumerate() {
        if matches!(backend.address, spec::BackendAddress::Unix(_)) {
            let message = format_args!("listener {name:?} is udp, which needs an IP address and a port");
            errors.add(backends.index(index), message);
        }
    }
}

/// Where only datagrams go, nobody speaks HTTP at the same port.
fn check_question(of: Listener<'_>, pool: &spec::Pool, at: Place<'_>, errors: &mut Errors) {
    let Some(check) = &pool.health_check else { return };
    if check.port.is_none() && matches!(check.probe, spec::Probe::Http(_)) {
        let name = of.name;
        let message = format_args!(
            "listener {name:?} is udp: give a check by HTTP its port, or write type: tcp or exec"
        );
        errors.add(at.key("health_check"), message);
    }
}
