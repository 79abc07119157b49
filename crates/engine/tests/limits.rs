//! What an engine does when there is too much: it says so, serves what is open, and takes up again by itself.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::net::TcpStream;

use fairlead_engine::What;
use serde_json::json;
use support::*;

#[test]
fn connections_above_a_listeners_limit_wait_until_one_closes() {
    let mut limited = listener("web", &[bind(":0")]);
    limited["max_connections"] = json!(2);
    let engine = engine();
    let bound = address(&apply(&engine, spec(1, &[limited], &[empty_pool()])), "web", ":0");
    let mut open: Vec<_> = (0..2).map(|_| Client::connect(bound)).collect();
    for client in &mut open {
        assert_eq!(client.get("/").0, 503);
    }
    let mut waiting = Client::connect(bound);
    waiting.send("/");
    let paused = event(&engine, |what| matches!(what, What::AcceptPaused { .. }));
    let What::AcceptPaused { listener, reason, .. } = paused else { unreachable!() };
    assert_eq!((listener.as_str(), reason.as_str()), ("web", "the listener has max_connections"));
    assert_eq!(open[0].get("/").0, 503, "what is open is served");
    open.remove(1);
    assert_eq!(waiting.answer().0, 503);
    event(&engine, |what| matches!(what, What::AcceptResumed { .. }));
}

#[test]
fn a_client_with_too_many_connections_is_told_so() {
    let mut limited = listener("web", &[bind(":0")]);
    limited["max_connections_per_client"] = json!(1);
    let origin = origin();
    let pools = [pool("app", &[backend("a", origin.address)])];
    let engine = engine();
    let bound = address(&apply(&engine, spec(1, &[limited], &pools)), "web", ":0");
    let mut first = Client::connect(bound);
    assert_eq!(first.get("/").0, 200);
    let mut second = Client::connect(bound);
    second.send("/");
    let (status, fields) = second.head();
    assert_eq!(status, 503);
    assert!(fields.iter().any(|line| line.starts_with("proxy-status: fairlead; error=connection_limit")));
    assert_eq!(stats(&engine)["listeners"][0]["refused"]["client_limit"], 1);
    drop((first, second));
    until("the client's count falls", || Client::connect(bound).get("/").0 == 200);
}

#[test]
fn above_its_memory_limit_an_engine_refuses_new_connections_and_serves_open_ones() {
    let origin = origin();
    let pools = [pool("app", &[backend("a", origin.address)])];
    let web = || spec(1, &[listener("web", &[bind(":0")])], &pools);
    let engine = engine();
    let bound = address(&apply(&engine, web()), "web", ":0");
    let mut open = Client::connect(bound);
    assert_eq!(open.get("/").0, 200);
    let mut tight = web();
    tight["max_memory_bytes"] = json!(1);
    apply(&engine, tight);
    event(&engine, |what| matches!(what, What::MemoryPressure { .. }));
    assert_eq!(Client::connect(bound).get("/").0, 503);
    assert_eq!(open.get("/").0, 200);
    apply(&engine, web());
    until("new connections are served again", || Client::connect(bound).get("/").0 == 200);
}

#[test]
fn a_queue_of_connections_is_accepted_by_every_worker() {
    let engine = engine();
    let bound =
        address(&apply(&engine, spec(1, &[listener("web", &[bind(":0")])], &[empty_pool()])), "web", ":0");
    let open: Vec<_> = (0..200).map(|_| TcpStream::connect(bound).unwrap()).collect();
    until("all are accepted", || stats(&engine)["listeners"][0]["connections"] == 200);
    drop(open);
    until("all are gone", || stats(&engine)["totals"]["connections"] == 0);
}
