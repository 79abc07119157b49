//! Time limits: each slow phase ends by its own, and what can still be answered is.

use std::net::TcpListener;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::wire::Wire;
use super::{Proxy, listener, route};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Short enough for a test, long enough for what isn't to pass it.
const SHORT: u64 = 300;

fn of_listener(name: &'static str) -> impl FnOnce(&mut Value) {
    move |spec| listener(spec)["timeouts"][name] = SHORT.into()
}

fn of_route(name: &'static str) -> impl FnOnce(&mut Value) {
    move |spec| route(spec)["timeouts"][name] = SHORT.into()
}

/// Sends a byte now and then until something comes back.
fn drip(wire: &mut Wire) {
    for _ in 0..50 {
        if wire.try_send("x").is_err() || !wire.is_silent() {
            return;
        }
    }
    panic!("a drip went on for ever");
}

#[test]
fn a_head_that_drips_is_answered_408() {
    let proxy = Proxy::with(1, of_listener("header_ms"));
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: ");
    drip(&mut client);
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (408, Some("close")));
}

#[test]
fn a_head_that_drips_on_a_kept_connection_is_answered_408() {
    let proxy = Proxy::with(1, of_listener("header_ms"));
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    client.answer();
    client.send("GET / HTTP/1.1\r\nHost: ");
    drip(&mut client);
    assert_eq!(client.answer().status, 408);
}

#[test]
fn a_client_that_asks_nothing_is_closed_without_a_word() {
    let proxy = Proxy::with(1, of_listener("header_ms"));
    proxy.client().has_ended();
}

#[test]
fn an_idle_client_is_closed_without_a_word() {
    let proxy = Proxy::with(1, of_listener("idle_ms"));
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    client.has_ended();
}

#[test]
fn a_body_that_stops_is_answered_408() {
    let proxy = Proxy::with(1, of_listener("body_ms"));
    let (mut client, mut backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (408, Some("close")));
    assert_eq!(backend.try_rest().unwrap_or_default(), "abc");
    proxy.until("in_flight", 0);
}

#[test]
fn a_backend_that_does_not_answer_is_504() {
    let proxy = Proxy::with(1, of_route("response_ms"));
    let (mut client, mut backend, _) = proxy.exchange(GET);
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (504, None));
    assert!(answer.field("proxy-status").is_some_and(|why| why.contains("http_response_timeout")));
    let _ = backend.try_rest();
    assert_eq!(proxy.figure("timeouts"), 1);
    proxy.until("in_flight", 0);
}

#[test]
fn a_head_that_drips_from_the_backend_is_504() {
    let proxy = Proxy::with(1, of_route("response_ms"));
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send("HTTP/1.1 200 OK\r\nX: ");
    drip(&mut backend);
    assert_eq!(client.answer().status, 504);
}

#[test]
fn a_backend_that_never_says_100_is_504() {
    let proxy = Proxy::with(1, of_route("response_ms"));
    let (mut client, _backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 504);
}

#[test]
fn a_backend_that_takes_no_body_is_504() {
    let proxy = Proxy::with(1, of_route("response_ms"));
    let size = 64 * 1024 * 1024;
    let (mut client, _backend, _) =
        proxy.exchange(&format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"));
    assert!(client.fill(size) < size);
    assert_eq!(client.answer().status, 504);
}

#[test]
fn a_request_that_takes_too_long_is_504() {
    let proxy = Proxy::with(1, of_route("request_ms"));
    let (mut client, _backend, _) = proxy.exchange(GET);
    assert_eq!(client.answer().status, 504);
}

#[test]
fn an_answer_that_takes_too_long_is_cut() {
    let proxy = Proxy::with(1, of_route("request_ms"));
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    client.answer_head();
    drip(&mut backend);
    client.was_reset();
    proxy.until("in_flight", 0);
}

#[test]
fn an_answer_that_began_early_may_take_its_time() {
    let proxy = Proxy::with(1, of_route("response_ms"));
    let (mut client, mut backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok");
    client.answer_head();
    client.send("def");
    assert_eq!(backend.take(6), "abcdef");
    assert!((0..4).all(|_| backend.is_silent()), "twice the limit on the answer's head");
    backend.send("ay");
    assert_eq!(client.take(4), "okay");
}

#[test]
fn an_answer_that_pauses_too_long_is_cut() {
    let proxy = Proxy::with(1, of_route("stream_idle_ms"));
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc");
    client.answer_head();
    assert_eq!(client.take(3), "abc");
    client.was_reset();
    proxy.until("in_flight", 0);
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let proxy = Proxy::with(1, of_listener("write_ms"));
    let mut client = proxy.client().with_little_room();
    client.send(GET);
    let mut backend = proxy.backend();
    backend.head();
    let size = 64 * 1024 * 1024;
    backend.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
    assert!(backend.fill(size) < size);
    proxy.until("in_flight", 0);
    assert!(client.try_rest().is_err());
}

#[test]
fn a_backend_that_accepts_nobody_is_504() {
    // A queue of one that is full: Linux lets further attempts wait.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let anywhere: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&anywhere.into()).expect("a port");
    socket.listen(0).expect("a queue");
    let full = TcpListener::from(socket);
    let address = full.local_addr().expect("an address");
    let _waiting = Wire::connect(address);

    let proxy = Proxy::with(1, |spec| {
        let pool = &mut spec["pools"][0];
        pool["timeouts"]["connect_ms"] = SHORT.into();
        pool["backends"][0]["address"]["ip"] = address.to_string().into();
    });
    let mut client = proxy.client();
    client.send(GET);
    let answer = client.answer();
    assert_eq!(answer.status, 504);
    assert!(answer.field("proxy-status").is_some_and(|why| why.contains("connection_timeout")));
}

#[test]
fn a_tunnel_in_which_nothing_moves_ends() {
    let proxy = Proxy::with(1, |spec| spec["pools"][0]["timeouts"]["tunnel_ms"] = SHORT.into());
    let (mut client, mut backend, _) =
        proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n");
    backend.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n");
    client.answer_head();
    assert_eq!(client.try_rest().unwrap_or_default(), "");
    assert_eq!(backend.try_rest().unwrap_or_default(), "");
    proxy.until("in_flight", 0);
}
