//! Descriptions for tests: a whole one to change, and routes for it.
#![allow(dead_code)] // each test file takes its part

use fairlead_balance::Live;
use fairlead_plan::spec::{Match, PathMatch, Route, Spec};
use fairlead_plan::{Plan, SpecError};
use serde_json::{Value, json};

/// A description with one listener `web`, one pool `app` and these routes.
pub(crate) fn spec(routes: Vec<Route>) -> Spec {
    let mut spec: Spec = serde_json::from_value(whole()).expect("the description is whole");
    spec.listeners[0].routes = routes;
    spec
}

pub(crate) fn whole() -> Value {
    json!({
        "version": 1,
        "max_memory_bytes": null, "zone": null,
        "drain_timeout_ms": 60_000,
        "access_log": null,
        "listeners": [listener("web", ":8080", 8080)],
        "pools": [pool("app", &["10.0.0.1:80", "10.0.0.2:80"])],
    })
}

pub(crate) fn listener(name: &str, bind: &str, port: u16) -> Value {
    json!({
        "name": name,
        "binds": [{"text": bind, "address": {"any": {"port": port}}, "port_hint": null}],
        "socket": {
            "backlog": 4096, "fast_open": false, "keepalive_ms": 60_000, "mode": null, "transparent": false,
        },
        "http": {
            "versions": ["http1"], "max_header_bytes": 65_536, "max_headers": 128, "max_body_bytes": null,
            "encoded_slashes": "keep", "via": null, "abort_on_close": false,
        },
        "trusted": [], "accept_proxy": "none", "protocol": "http",
        "max_connections": null,
        "max_connections_per_client": null,
        "tls": null,
        "timeouts": {"tls_handshake_ms": 5_000, "header_ms": 10_000, "body_ms": 30_000, "write_ms": 30_000, "idle_ms": 60_000},
        "routes": [],
    })
}

pub(crate) fn pool(name: &str, addresses: &[&str]) -> Value {
    let backends: Vec<_> = addresses.iter().map(|address| backend(address)).collect();
    json!({
        "name": name,
        "algorithm": "round_robin",
        "backends": backends,
        "resolved": false,
        "drain_ms": 60_000, "tls": null, "send_proxy": null,
        "idle_connections": {"max": 256, "timeout_ms": 60_000, "max_uses": null},
        "timeouts": {"connect_ms": 2_000, "tunnel_ms": 3_600_000},
        "queue": null,
        "health_check": null,
        "affinity": null,
        "passive_health": null,
        "panic_threshold_thousandths": 0,
        "slow_start_ms": 0,
        "circuit_breaker": null,
    })
}

pub(crate) fn backend(address: &str) -> Value {
    json!({
        "id": address, "hash_name": address, "host": null, "address": {"ip": address}, "weight": 1, "max_in_flight": null,
        "zone": null, "backup": false,
    })
}

pub(crate) fn route(hosts: &[&str], paths: &[&str]) -> Route {
    let mut route: Route = serde_json::from_value(json!({
        "name": null,
        "match": {"hosts": hosts, "paths": []},
        "priority": 0,
        "pool": "app",
        "request": {"id": "X-Request-ID", "forwarded": "x_forwarded"},
        "max_body_bytes": null,
        "access_log": true,
        "timeouts": {"request_ms": null, "response_ms": 60_000, "stream_idle_ms": 300_000},
        "retry": null,
        "hedge": null,
    }))
    .expect("the route is whole");
    route.r#match = Match {
        hosts: hosts.iter().map(ToString::to_string).collect(),
        paths: paths.iter().map(|path| PathMatch::Pattern((*path).to_owned())).collect(),
    };
    route
}

pub(crate) fn regex(pattern: &str) -> Route {
    let mut route = route(&[], &[]);
    route.r#match.paths = vec![PathMatch::Regex(pattern.to_owned())];
    route
}

pub(crate) fn plan(spec: &Spec) -> Plan {
    Plan::build(spec, &Live::new()).expect("a good description")
}

/// A plan of these routes alone.
pub(crate) fn routed(routes: Vec<Route>) -> Plan {
    plan(&spec(routes))
}

pub(crate) fn errors(spec: &Spec) -> Vec<SpecError> {
    Plan::build(spec, &Live::new()).expect_err("a bad description")
}
