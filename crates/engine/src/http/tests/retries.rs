//! Further tries: who is asked again, and what never is.

use std::net::SocketAddr;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::Proxy;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A port that nobody listens on, nor can while the socket is held.
fn nowhere() -> (Socket, Value) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let anywhere: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&anywhere.into()).expect("a port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    let backend = json!({"id": "nowhere", "hash_name": "nowhere", "host": null, "zone": null, "backup": false, "address": {"ip": address}, "weight": 100, "max_in_flight": null});
    (socket, backend)
}

#[test]
fn a_refused_connection_goes_on_to_the_next_backend_whatever_the_method() {
    let (_closed, closed) = nowhere();
    let proxy = Proxy::with(1, |spec| {
        let backends = spec["pools"][0]["backends"].as_array_mut().expect("a list");
        backends.insert(0, closed);
    });
    let (mut client, mut backend, _) = proxy.exchange(POST);
    assert_eq!(backend.take(3), "abc");
    backend.send(OK);
    assert_eq!(client.answer().status, 200);
    assert_eq!(proxy.figure("connect_failures"), 1);
}

#[test]
fn without_a_backend_that_accepts_it_is_502() {
    let (_closed, closed) = nowhere();
    let proxy = Proxy::with(0, |spec| spec["pools"][0]["backends"] = vec![closed].into());
    let mut client = proxy.client();
    client.send(POST);
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (502, None));
    assert!(answer.field("proxy-status").is_some_and(|why| why.contains("connection_refused")));
    proxy.until("in_flight", 0);
}

#[test]
fn a_safe_request_is_sent_once_more_when_its_backend_breaks() {
    let proxy = Proxy::with(2, |_| {});
    let (mut client, backend, _) = proxy.exchange(GET);
    backend.reset();
    let mut second = proxy.origins[1].accept();
    second.head();
    second.send(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_second_break_is_an_answer() {
    let proxy = Proxy::with(3, |_| {});
    let (mut client, backend, _) = proxy.exchange(GET);
    drop(backend);
    drop(proxy.origins[1].accept());
    let answer = client.answer();
    assert_eq!(answer.status, 502);
    assert!(answer.field("proxy-status").is_some_and(|why| why.contains("connection_terminated")));
    assert!(proxy.origins[2].is_alone());
}

#[test]
fn what_is_not_safe_is_not_sent_twice() {
    let proxy = Proxy::with(2, |_| {});
    let (mut client, mut backend, _) = proxy.exchange(POST);
    backend.take(3);
    drop(backend);
    assert_eq!(client.answer().status, 502);
    assert!(proxy.origins[1].is_alone());
}

#[test]
fn a_stale_connection_is_replaced_at_the_same_backend() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send(OK);
    client.answer();
    client.send(GET);
    backend.head();
    // The backend closes just as the next request arrives, as one does whose keep-alive ran out.
    drop(backend);
    let mut fresh = proxy.backend();
    fresh.head();
    fresh.send(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_connection_that_its_backend_closed_is_not_used() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send(OK);
    client.answer();
    proxy.until("idle", 1);
    drop(backend);
    proxy.until("idle", 0);
    client.send(POST);
    let mut fresh = proxy.backend();
    fresh.head();
    fresh.send(OK);
    assert_eq!(client.answer().status, 200);
}
