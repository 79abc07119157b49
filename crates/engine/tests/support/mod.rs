//! An engine, descriptions for it, clients and origins: all on real sockets, on ports that were free.
#![allow(dead_code, reason = "each test file takes its part")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "origins are threads, and patience is real time")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use fairlead_engine::{Applied, Engine, Event, Settings, What};
use serde_json::{Value, json};

/// Longer than anything here takes: only a failure waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn engine() -> Engine {
    Engine::start(Settings::in_process(2)).unwrap()
}

pub(crate) fn spec(version: u64, listeners: &[Value], pools: &[Value]) -> Value {
    json!({
        "version": version,
        "max_memory_bytes": null, "zone": null,
        "drain_timeout_ms": 60_000,
        "access_log": null,
        "listeners": listeners,
        "pools": pools,
    })
}

/// A bind on a free port of the loopback interface.
pub(crate) fn bind(text: &str) -> Value {
    bind_to(text, &json!({"ip": {"address": "127.0.0.1:0"}}))
}

pub(crate) fn bind_to(text: &str, address: &Value) -> Value {
    json!({"text": text, "address": address, "port_hint": null})
}

/// A listener whose requests all go to the pool `app`.
pub(crate) fn listener(name: &str, binds: &[Value]) -> Value {
    json!({
        "name": name,
        "binds": binds,
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
        "routes": [{
            "name": "all",
            "match": {"hosts": [], "paths": []},
            "priority": 0,
            "pool": "app",
            "request": {"id": "X-Request-ID", "forwarded": "x_forwarded"},
            "max_body_bytes": null,
            "access_log": true,
            "timeouts": {"request_ms": null, "response_ms": 60_000, "stream_idle_ms": 300_000},
                "retry": null,
                "hedge": null,
        }],
    })
}

pub(crate) fn pool(name: &str, backends: &[Value]) -> Value {
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

pub(crate) fn backend(id: &str, address: SocketAddr) -> Value {
    json!({
        "id": id, "hash_name": id, "host": null, "address": {"ip": address}, "weight": 1, "max_in_flight": null,
        "zone": null, "backup": false,
    })
}

/// A pool `app` without anybody in it: every request is answered with 503.
pub(crate) fn empty_pool() -> Value {
    let mut pool = pool("app", &[]);
    pool["resolved"] = json!(true);
    pool
}

pub(crate) fn apply(engine: &Engine, spec: Value) -> Applied {
    engine.apply(&serde_json::from_value(spec).unwrap()).unwrap()
}

/// Why a description is refused, as one text.
pub(crate) fn refused(engine: &Engine, spec: Value) -> String {
    engine.apply(&serde_json::from_value(spec).unwrap()).unwrap_err().to_string()
}

/// Where a bind of a listener came to.
pub(crate) fn address(applied: &Applied, listener: &str, bind: &str) -> SocketAddr {
    applied.bound[listener][bind].parse().unwrap()
}

pub(crate) fn stats(engine: &Engine) -> Value {
    serde_json::to_value(engine.stats(true)).unwrap()
}

/// Waits until it holds; a test fails when it never does.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

/// The next event of this kind.
pub(crate) fn event(engine: &Engine, wanted: impl Fn(&What) -> bool) -> What {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Event { what, .. } = engine.next_event(left).expect("an event");
        if wanted(&what) {
            return what;
        }
    }
}

/// A client's connection.
pub(crate) struct Client<S>(BufReader<S>);

/// An answer's status and body.
pub(crate) type Answer = (u16, String);

impl Client<TcpStream> {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(path);
        self.answer()
    }

    /// Reads an answer with a length.
    pub(crate) fn answer(&mut self) -> Answer {
        let (status, fields) = self.head();
        let length = fields.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    /// Reads a head: the status, and the fields in lower case.
    pub(crate) fn head(&mut self) -> (u16, Vec<String>) {
        let status = self.line();
        let status = status.split(' ').nth(1).expect("a status line").parse().unwrap();
        let fields = std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty()));
        (status, fields.map(|line| line.to_lowercase()).collect())
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Whether the other side has closed, in order or not.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.0.fill_buf(), Ok([]) | Err(_))
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        self.0.get_mut()
    }
}

/// A door that answers wait behind.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }
}

/// A backend: `/held` is answered when the gate opens, `/echo` is upgraded and echoed, everything else answered at once.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Gate,
}

pub(crate) fn origin() -> Origin {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = Origin { address: listener.local_addr().unwrap(), gate: Gate::default() };
    let gate = origin.gate.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let gate = gate.clone();
            std::thread::spawn(move || respond(BufReader::new(stream), &gate));
        }
    });
    origin
}

fn respond(mut client: BufReader<TcpStream>, gate: &Gate) {
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if client.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path == "/held" {
            gate.pass();
        }
        if path == "/echo" {
            return echo(client);
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if client.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

fn echo(mut client: BufReader<TcpStream>) {
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    if client.get_mut().write_all(switched).is_err() {
        return;
    }
    let mut line = String::new();
    while client.read_line(&mut line).unwrap_or(0) > 0 {
        if client.get_mut().write_all(line.as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}
