//! What a stop and a reload do to connections that are open.

use std::net::TcpStream;

use crate::engine::Command;

use super::{Proxy, route};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_stopping_engine_finishes_what_is_open_and_closes_with_the_answer() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    proxy.engine.command(Command::Stop { deadline_ms: 60_000 });
    // The listening sockets go when every worker knows.
    while TcpStream::connect(proxy.address).is_ok() {
        std::thread::yield_now();
    }
    backend.send(OK);
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
    client.has_ended();
}

#[test]
fn what_is_open_at_the_deadline_is_cut() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    client.answer_head();
    client.take(3);
    proxy.engine.command(Command::Stop { deadline_ms: 100 });
    client.was_reset();
    assert!(backend.try_rest().is_ok_and(|rest| rest.is_empty()));
}

#[test]
fn an_open_request_ends_by_the_plan_it_began_under_and_the_next_by_the_new_one() {
    let mut proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    proxy.reload(|spec| route(spec)["match"]["hosts"] = vec!["other"].into());
    backend.send(OK);
    assert_eq!(client.answer().status, 200);
    client.send(GET);
    assert_eq!(client.answer().status, 404);
    client.send("GET / HTTP/1.1\r\nHost: other\r\n\r\n");
    backend.head();
}
