//! Connections as a whole: what a reload, a stop, an idle time and a broken request do to them.

use super::super::{listener, route};
use super::client::{Client, Frames};
use super::{start, with};
use crate::engine::Command;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_reload_keeps_connections_and_serves_their_next_requests_by_the_new_plan() {
    let mut proxy = start();
    let mut client = Client::connect(proxy.address);
    let before = client.get();
    let mut backend = proxy.backend();
    backend.head();
    proxy.reload(|spec| route(spec)["match"]["hosts"] = vec!["other"].into());
    backend.send(OK);
    assert_eq!(client.answer(before).expect("an answer").status(), 200);
    let after = client.get();
    assert_eq!(client.answer(after).expect("an answer").status(), 404);
}

#[test]
fn a_stopping_engine_says_so_and_finishes_what_is_open() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let asked = client.get();
    let mut backend = proxy.backend();
    backend.head();
    proxy.engine.command(Command::Stop { deadline_ms: 60_000 });
    client.until_over();
    backend.send(OK);
    assert_eq!(client.answer(asked).expect("an answer").body, "ok");
}

#[test]
fn an_idle_connection_goes_as_soon_as_the_engine_stops() {
    let proxy = start();
    let mut client = Frames::connect(proxy.address);
    assert!(client.get(1));
    let mut backend = proxy.backend();
    backend.head();
    backend.send(OK);
    while client.next().is_some_and(|(kind, flags, ..)| kind != 0 || flags & 1 == 0) {}
    proxy.engine.command(Command::Stop { deadline_ms: 60_000 });
    assert_eq!(client.goaway(), Some(0));
}

#[test]
fn what_is_open_at_the_deadline_is_cut() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let asked = client.get();
    let mut backend = proxy.backend();
    backend.head();
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    let (_, stream, _) = client.head(asked).expect("a head");
    proxy.engine.command(Command::Stop { deadline_ms: 100 });
    assert!(client.rest(stream).is_err());
    assert!(backend.try_rest().is_ok_and(|rest| rest.is_empty()));
}

#[test]
fn an_idle_connection_is_told_to_go() {
    let proxy = with(|spec| listener(spec)["timeouts"]["idle_ms"] = 100.into());
    let mut client = Frames::connect(proxy.address);
    assert!(client.get(1));
    let mut backend = proxy.backend();
    backend.head();
    backend.send(OK);
    assert_eq!(client.goaway(), Some(0));
}

#[test]
fn a_connection_that_asks_nothing_is_closed() {
    let proxy = with(|spec| listener(spec)["timeouts"]["header_ms"] = 100.into());
    let mut silent = proxy.client();
    let _ = silent.try_rest();
    let mut half = proxy.client();
    half.send("PRI * HTTP/2.0\r\n");
    let _ = half.try_rest();
    let mut greeted = Frames::connect(proxy.address);
    assert_eq!(greeted.goaway(), Some(0));
}

#[test]
fn a_request_that_panics_resets_its_stream_and_no_other() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let asked = client.ask(super::client::request("GET", "http://x/", &[("x-test-panic", "1")]), true);
    assert!(client.answer(asked).is_err());
    let asked = client.get();
    let mut backend = proxy.backend();
    backend.head();
    backend.send(OK);
    assert_eq!(client.answer(asked).expect("an answer").body, "ok");
    assert_eq!(proxy.engine.stats(false).totals.panics, 1);
}
