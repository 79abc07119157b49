//! Behaviour on real sockets. A test holds both ends: the client's, and the backend's, which it accepts itself. So
//! everything happens in the order it is written in, without threads of its own and without waiting for time to pass.

mod affinity;
mod bodies;
mod failures;
mod forwarding;
mod http2;
mod interim;
mod leaving;
mod limits;
mod messages;
mod retries;
mod stopping;
mod upgrades;
mod wire;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use fairlead_plan::spec::Spec;
use serde_json::{Value, json};
use socket2::SockRef;

use crate::engine::{Engine, Settings};
use wire::Wire;

/// Far above what anything here takes: who waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// An engine with one listener, and the backends behind it.
struct Proxy {
    engine: Engine,
    address: SocketAddr,
    origins: Vec<Origin>,
    spec: Value,
}

impl Proxy {
    fn start() -> Self {
        Self::with(1, |_| {})
    }

    /// With so many backends, and `change` made to the description.
    fn with(backends: usize, change: impl FnOnce(&mut Value)) -> Self {
        let origins: Vec<_> = (0..backends).map(|_| Origin::bind()).collect();
        let mut spec = description(&origins);
        change(&mut spec);
        let engine = Engine::start(Settings::in_process(1)).expect("an engine");
        let applied = engine.apply(&parsed(&spec)).expect("a good description");
        // A Unix socket is reached by its path, which the test knows.
        let address = applied.bound["web"]["127.0.0.1:0"].parse().unwrap_or_else(|_| origins[0].address());
        Self { engine, address, origins, spec }
    }

    /// Applies the description once more, as another version and with `change` made to it.
    fn reload(&mut self, change: impl FnOnce(&mut Value)) {
        let version = self.spec["version"].as_u64().expect("a number");
        self.spec["version"] = (version + 1).into();
        change(&mut self.spec);
        self.engine.apply(&parsed(&self.spec)).expect("a good description");
    }

    fn client(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// The next connection to the first backend.
    fn backend(&self) -> Wire {
        self.origins[0].accept()
    }

    /// Sends `request` on a new connection, and returns it with the backend's end, which has read its head.
    fn exchange(&self, request: &str) -> (Wire, Wire, String) {
        let mut client = self.client();
        client.send(request);
        let mut backend = self.backend();
        let head = backend.head();
        (client, backend, head)
    }

    /// What the first backend's figure is.
    fn figure(&self, name: &str) -> u64 {
        let stats = serde_json::to_value(self.engine.stats(false)).expect("statistics");
        stats["pools"][0]["backends"][0][name].as_u64().expect("a number")
    }

    /// Waits until the first backend's figure is `value`.
    fn until(&self, name: &str, value: u64) {
        let deadline = crate::clock::now() + PATIENCE;
        while self.figure(name) != value {
            assert!(crate::clock::now() < deadline, "{name} is {} instead of {value}", self.figure(name));
            std::thread::yield_now();
        }
    }
}

/// A backend that does what the test does with it.
struct Origin {
    listener: TcpListener,
}

impl Origin {
    fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        // Linux lets a receive timeout hold for accepting, too.
        SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { listener }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound socket")
    }

    fn accept(&self) -> Wire {
        Wire::new(self.listener.accept().expect("nobody connected").0)
    }

    /// Whether nobody waits to be accepted.
    fn is_alone(&self) -> bool {
        self.listener.set_nonblocking(true).expect("a socket");
        let alone = self.listener.accept().is_err();
        self.listener.set_nonblocking(false).expect("a socket");
        alone
    }
}

fn parsed(spec: &Value) -> Spec {
    serde_json::from_value(spec.clone()).expect("a description")
}

fn description(origins: &[Origin]) -> Value {
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address().to_string()).collect();
    described(&addresses.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A backend of a description.
pub(crate) fn backend(address: &str) -> Value {
    json!({"id": address, "hash_name": address, "host": null, "zone": null, "backup": false, "address": {"ip": address}, "weight": 1, "max_in_flight": null})
}

/// A description with one listener, one route and one pool of these backends.
pub(crate) fn described(addresses: &[&str]) -> Value {
    let backends: Vec<_> = addresses.iter().map(|address| backend(address)).collect();
    json!({
        "version": 1, "max_memory_bytes": null, "zone": null, "drain_timeout_ms": 60_000, "access_log": null,
        "listeners": [{
            "name": "web",
            "binds": [{"text": "127.0.0.1:0", "address": {"ip": {"address": "127.0.0.1:0"}}, "port_hint": null}],
            "socket": {
                "backlog": 128, "fast_open": false, "keepalive_ms": null, "mode": null, "transparent": false,
            },
            "http": {
                "versions": ["http1"], "max_header_bytes": 65_536, "max_headers": 128, "max_body_bytes": null,
                "encoded_slashes": "keep", "via": null, "abort_on_close": false,
            },
            "trusted": [], "accept_proxy": "none", "protocol": "http", "max_connections": null, "max_connections_per_client": null,
            "tls": null,
        "timeouts": {"tls_handshake_ms": 5_000, "header_ms": 10_000, "body_ms": 30_000, "write_ms": 30_000, "idle_ms": 60_000},
            "routes": [{
                "name": "all", "match": {"hosts": [], "paths": []}, "priority": 0, "pool": "app",
                "request": {"id": "X-Request-ID", "forwarded": "x_forwarded"},
                "max_body_bytes": null, "access_log": true,
                "timeouts": {"request_ms": null, "response_ms": 60_000, "stream_idle_ms": 300_000},
                "retry": null,
                "hedge": null,
            }],
        }],
        "pools": [{
            "name": "app", "algorithm": "round_robin", "backends": backends, "resolved": false,
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
        }],
    })
}

/// The one route of a description.
fn route(spec: &mut Value) -> &mut Value {
    &mut spec["listeners"][0]["routes"][0]
}

/// The one listener of a description.
fn listener(spec: &mut Value) -> &mut Value {
    &mut spec["listeners"][0]
}
