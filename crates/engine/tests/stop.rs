//! The end: open requests finish, waiting connections are told, what is left is cut.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "a test looks at the real clock")]

mod support;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::*;

fn web(pools: &[Value]) -> Value {
    spec(1, &[listener("web", &[bind(":0")])], pools)
}

#[test]
fn an_open_request_finishes_and_nobody_new_comes_in() {
    let origin = origin();
    let engine = engine();
    let bound = address(&apply(&engine, web(&[pool("app", &[backend("a", origin.address)])])), "web", ":0");
    let mut client = Client::connect(bound);
    client.send("/held");
    until("the request is in flight", || stats(&engine)["pools"][0]["backends"][0]["in_flight"] == 1);
    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| engine.stop(PATIENCE));
        until("new connections are refused", || TcpStream::connect(bound).is_err());
        origin.gate.open();
        let (status, fields) = client.head();
        assert_eq!(status, 200);
        assert!(fields.contains(&"connection: close".to_owned()), "{fields:?}");
        drop(client);
        stopped.join().unwrap();
    });
}

#[test]
fn a_waiting_connection_gets_one_more_answer_that_closes() {
    let engine = engine();
    let bound = address(&apply(&engine, web(&[empty_pool()])), "web", ":0");
    let mut client = Client::connect(bound);
    assert_eq!(client.get("/").0, 503);
    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| engine.stop(PATIENCE));
        until("new connections are refused", || TcpStream::connect(bound).is_err());
        client.send("/");
        let (_, fields) = client.head();
        assert!(fields.contains(&"connection: close".to_owned()), "{fields:?}");
        drop(client);
        stopped.join().unwrap();
    });
}

#[test]
fn what_is_open_at_the_deadline_is_cut() {
    let origin = origin();
    let engine = engine();
    let bound = address(&apply(&engine, web(&[pool("app", &[backend("a", origin.address)])])), "web", ":0");
    let mut client = Client::connect(bound);
    client.send("/held");
    until("the request is in flight", || stats(&engine)["pools"][0]["backends"][0]["in_flight"] == 1);
    let began = Instant::now();
    engine.stop(Duration::from_millis(200));
    assert!(began.elapsed() < PATIENCE / 2);
    assert!(client.is_closed());
}

#[test]
fn an_engine_that_never_had_a_configuration_stops() {
    engine().stop(PATIENCE);
}
