//! The path of a request allocates nothing once it is warm: an allocator counts what the worker asks for.
#![allow(unsafe_code)] // an allocator can't be written without; this one only counts and passes on
#![allow(clippy::disallowed_methods)] // the backend of this test is a thread

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fairlead_engine::{Engine, Settings};
use fairlead_plan::spec::Spec;
use serde_json::{Value, json};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of worker threads.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory that is allocated.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thread {
    Unknown,
    Worker,
}

thread_local! {
    static THREAD: Cell<Thread> = const { Cell::new(Thread::Unknown) };
}

fn count() {
    let kind = THREAD.try_with(|thread| {
        if thread.get() == Thread::Unknown {
            thread.set(if is_worker() { Thread::Worker } else { Thread::Unknown });
        }
        thread.get()
    });
    if kind == Ok(Thread::Worker) {
        ALLOCATIONS.fetch_add(1, Relaxed);
    }
}

/// By the name that the system knows the thread by; std's own would be allocated.
fn is_worker() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes, with their end, to where it is pointed.
    let known = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    known == 0 && name.starts_with(b"fairlead-w")
}

/// Answers every request, whose head and body come in one piece here.
fn answer_all(listener: &TcpListener) {
    let (mut connection, _) = listener.accept().expect("the engine connects");
    let mut piece = [0; 4096];
    while connection.read(&mut piece).is_ok_and(|received| received > 0) {
        let answer =
            b"HTTP/1.1 200 OK\r\nServer: test\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
        if connection.write_all(answer).is_err() {
            return;
        }
    }
}

fn ask(client: &mut TcpStream, request: &[u8], times: usize) {
    let mut piece = [0; 4096];
    for _ in 0..times {
        client.write_all(request).expect("sent");
        let received = client.read(&mut piece).expect("an answer");
        assert!(
            piece[..received].starts_with(b"HTTP/1.1 200 OK\r\n") && piece[..received].ends_with(b"hello")
        );
    }
}

fn description(backend: &str, algorithm: &Value, affinity: &Value) -> Value {
    json!({
        "version": 1, "max_memory_bytes": null, "zone": null, "drain_timeout_ms": 60_000, "access_log": null,
        "listeners": [{
            "name": "web",
            "binds": [{"text": ":0", "address": {"ip": {"address": "127.0.0.1:0"}}, "port_hint": null}],
            "socket": {
                "backlog": 128, "fast_open": false, "keepalive_ms": null, "mode": null, "transparent": false,
            },
            "http": {
                "versions": ["http1"], "max_header_bytes": 65_536, "max_headers": 128, "max_body_bytes": null,
                "encoded_slashes": "keep", "via": null, "abort_on_close": false,
            },
            "trusted": ["10.0.0.0/8"], "accept_proxy": "none", "protocol": "http", "max_connections": null, "max_connections_per_client": null,
            "tls": null,
        "timeouts": {"tls_handshake_ms": 5_000, "header_ms": 10_000, "body_ms": 30_000, "write_ms": 30_000, "idle_ms": 60_000},
            "routes": [{
                "name": "all", "match": {"hosts": [], "paths": []}, "priority": 0, "pool": "app",
                "request": {"id": "X-Request-ID", "forwarded": "both"},
                "max_body_bytes": null, "access_log": true,
                "timeouts": {"request_ms": 60_000, "response_ms": 60_000, "stream_idle_ms": 300_000},
                "retry": null,
                "hedge": null,
            }],
        }],
        "pools": [{
            "name": "app", "algorithm": algorithm, "resolved": false, "drain_ms": 60_000, "tls": null, "send_proxy": null,
            "backends": [{"id": "b", "hash_name": "b", "host": null, "zone": null, "backup": false, "address": {"ip": backend}, "weight": 1, "max_in_flight": null}],
            "idle_connections": {"max": 256, "timeout_ms": 60_000, "max_uses": null},
            "timeouts": {"connect_ms": 2_000, "tunnel_ms": 3_600_000},
            "queue": null,
            "health_check": null,
            "affinity": affinity,
            "passive_health": {"error_rate_thousandths": 50, "consecutive_failures": 5, "cooldown_ms": 10_000, "max_ejected_thousandths": 500},
            "panic_threshold_thousandths": 0,
            "slow_start_ms": 0,
            "circuit_breaker": null,
        }],
    })
}

/// With everything that bounds what failing and slow backends cost.
fn resilient(mut description: Value) -> Value {
    description["listeners"][0]["routes"][0]["hedge"] =
        json!({"after": {"percentile": 95}, "budget_thousandths": 50});
    let pool = &mut description["pools"][0];
    pool["circuit_breaker"] =
        json!({"error_thousandths": 500, "window_ms": 10_000, "min_requests": 20, "open_ms": 5_000});
    pool["queue"] = json!({"size": 10, "timeout_ms": 5_000, "priority": "X-Priority"});
    pool["backends"][0]["max_in_flight"] = json!({"adaptive": {"min": 1, "max": 100}});
    description
}

fn spec(description: Value) -> Spec {
    serde_json::from_value(description).expect("a description")
}

#[test]
fn a_warm_request_allocates_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let backend = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || answer_all(&listener));
    let engine = Engine::start(Settings::in_process(1)).expect("an engine");
    let hashed = json!({"consistent_hash": {
        "key": ["client", {"header": "User-Agent"}, {"cookie": "a"}, {"query": "q"}, "path"],
        "table": "maglev", "bounded_load_thousandths": 1_250,
    }});
    let cookie = json!({"by": {"cookie": {
        "name": "S", "ttl_s": 60, "secure": "auto", "same_site": "lax", "path": "/", "domain": null, "secret": null,
    }}, "on_failure": "rebalance"});
    let header = json!({"by": {"header": "User-Agent"}, "on_failure": "fail"});
    let learn = json!({"by": {"learn": {"response_cookie": "a", "ttl_ms": 60_000, "max_entries": 1_000}}, "on_failure": "fail"});
    let table = json!({"by": {"table": {
        "key": ["client", {"cookie": "a"}], "ttl_ms": 4_000, "max_entries": 1_000, "shared": true,
    }}, "on_failure": "fail"});
    let turns = |affinity| description(&backend, &json!("round_robin"), &affinity);
    let plain = turns(json!(null));
    let mut all = vec![plain.clone(), description(&backend, &hashed, &json!(null)), resilient(plain)];
    all.extend([cookie, header, learn, table].map(turns));
    for description in all {
        let applied = engine.apply(&spec(description)).expect("a good description");
        allocates_nothing(&applied.bound["web"][":0"]);
    }
    assert!(ALLOCATIONS.load(Relaxed) > 0, "the worker is counted");
}

/// The value of the cookie `S` that an answer sets, if it sets one.
fn cookie(client: &mut TcpStream) -> String {
    client.write_all(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").expect("sent");
    let mut piece = [0; 4096];
    let received = client.read(&mut piece).expect("an answer");
    let answer = String::from_utf8_lossy(&piece[..received]);
    let set = answer.split_once("Set-Cookie: S=").and_then(|(_, rest)| rest.split_once(';'));
    set.map_or_else(String::new, |(value, _)| value.to_owned())
}

fn allocates_nothing(address: &str) {
    let mut client = TcpStream::connect(address).expect("a connection");

    let get = format!(
        "GET /path?query HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: a=b; S={}\r\n\r\n",
        cookie(&mut client)
    );
    let post = b"POST /form HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello";
    for request in [get.as_bytes(), post] {
        ask(&mut client, request, 300);
        // Once a second the wheel visits a slot that it never used before and that takes its first memory: so some of
        // the windows may have such a visit in them, but not all, unless requests allocate too.
        let windows: Vec<u64> = (0..8)
            .map(|_| {
                let before = ALLOCATIONS.load(Relaxed);
                ask(&mut client, request, 250);
                ALLOCATIONS.load(Relaxed) - before
            })
            .collect();
        assert!(windows.contains(&0) && windows.iter().sum::<u64>() < 16, "allocations: {windows:?}");
    }
}
