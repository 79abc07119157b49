//! What an operator says of a backend: drain, disable, another weight.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use fairlead_engine::{Engine, What};
use serde_json::{Value, json};
use support::*;

fn set(engine: &Engine, backend: &str, mode: &str, weight: Option<u32>) {
    let setting = json!({"pool": "app", "backend": backend, "mode": mode, "weight": weight});
    engine.set(&serde_json::from_value(setting).unwrap()).unwrap();
}

fn web(version: u64, drain_ms: u64, backends: &[Value]) -> Value {
    let mut pool = pool("app", backends);
    pool["drain_ms"] = json!(drain_ms);
    spec(version, &[listener("web", &[bind(":0")])], &[pool])
}

fn requests(engine: &Engine) -> Vec<u64> {
    let stats = stats(engine);
    let backends = stats["pools"][0]["backends"].as_array().unwrap();
    backends.iter().map(|backend| backend["requests"].as_u64().unwrap()).collect()
}

/// Counts end a moment after their answer.
fn counted(engine: &Engine, wanted: [u64; 2]) {
    until("as many are counted", || requests(engine) == wanted);
}

fn ask(address: SocketAddr, times: usize) {
    for _ in 0..times {
        assert_eq!(Client::connect(address).get("/").0, 200);
    }
}

fn tunnel(address: SocketAddr) -> Client<TcpStream> {
    let mut tunnel = Client::connect(address);
    let upgrade = b"GET /echo HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    tunnel.stream().write_all(upgrade).unwrap();
    assert_eq!(tunnel.head().0, 101);
    tunnel
}

#[test]
fn a_drained_backend_finishes_what_it_has_and_gets_nothing_new() {
    let (first, second) = (origin(), origin());
    let engine = engine();
    let both = [backend("a", first.address), backend("b", second.address)];
    let bound = address(&apply(&engine, web(1, 60_000, &both[..1])), "web", ":0");
    let mut client = Client::connect(bound);
    client.send("/held");
    let mut tunnel = tunnel(bound);
    until("both are in flight", || stats(&engine)["pools"][0]["backends"][0]["in_flight"] == 2);
    apply(&engine, web(2, 60_000, &both));
    set(&engine, "a", "drain", None);
    let drained = &stats(&engine)["pools"][0]["backends"][0];
    assert_eq!((&drained["state"], &drained["operator"]["mode"]), (&json!("draining"), &json!("drain")));
    assert!(drained["operator"]["deadline_ms"].as_u64().is_some());
    ask(bound, 10);
    first.gate.open();
    assert_eq!(client.answer(), (200, "ok".to_owned()));
    tunnel.stream().write_all(b"still there\n").unwrap();
    assert_eq!(tunnel.line(), "still there");
    drop(tunnel);
    let drained = event(&engine, |what| matches!(what, What::BackendDrained { .. }));
    assert_eq!(drained, What::BackendDrained { pool: "app".into(), backend: "a".into(), cut: 0 });
    counted(&engine, [2, 10]);
    set(&engine, "a", "none", None);
    // Each worker has a place of its own in the rotation: of four requests one has its second or more.
    ask(bound, 4);
    until("it gets requests again", || requests(&engine)[0] > 2);
}

#[test]
fn what_a_drained_backend_still_has_is_cut_at_its_deadline() {
    let first = origin();
    let engine = engine();
    let bound = address(&apply(&engine, web(1, 0, &[backend("a", first.address)])), "web", ":0");
    let mut tunnel = tunnel(bound);
    set(&engine, "a", "drain", None);
    let drained = event(&engine, |what| matches!(what, What::BackendDrained { .. }));
    assert_eq!(drained, What::BackendDrained { pool: "app".into(), backend: "a".into(), cut: 1 });
    let mut rest = Vec::new();
    let _ = tunnel.stream().read_to_end(&mut rest);
    assert_eq!(rest, b"");
    // Clients that affinity knows are sent away as well from then on.
    let state = || stats(&engine)["pools"][0]["backends"][0]["state"].clone();
    assert_eq!(state(), "disabled");
    set(&engine, "a", "none", None);
    assert_eq!(state(), "up");
    ask(bound, 1);
}

#[test]
fn a_drained_backend_that_leaves_and_is_back_is_as_configured() {
    let (first, second) = (origin(), origin());
    let engine = engine();
    let both = [backend("a", first.address), backend("b", second.address)];
    let bound = address(&apply(&engine, web(1, 60_000, &both)), "web", ":0");
    let tunnel = tunnel(bound);
    let of_a = |stats: Value| {
        let backends = stats["pools"][0]["backends"].as_array().unwrap().clone();
        backends.into_iter().find(|backend| backend["in_flight"] == 1).unwrap()
    };
    let id = of_a(stats(&engine))["id"].as_str().unwrap().to_owned();
    set(&engine, &id, "drain", None);
    let others: Vec<Value> = both.iter().filter(|one| one["id"] != *id).cloned().collect();
    apply(&engine, web(2, 60_000, &others));
    // It is the same one, since its tunnel is open, but nobody drains it any more.
    apply(&engine, web(3, 60_000, &both));
    let back = of_a(stats(&engine));
    assert_eq!((&back["state"], back.get("operator")), (&json!("up"), None));
    drop(tunnel);
}

#[test]
fn a_disabled_backend_is_cut_at_once_and_asked_no_more() {
    let first = origin();
    let engine = engine();
    let bound = address(&apply(&engine, web(1, 60_000, &[backend("a", first.address)])), "web", ":0");
    let mut tunnel = tunnel(bound);
    set(&engine, "a", "disable", None);
    let mut rest = Vec::new();
    let _ = tunnel.stream().read_to_end(&mut rest);
    assert_eq!(rest, b"");
    assert_eq!(stats(&engine)["pools"][0]["backends"][0]["state"], "disabled");
    assert_eq!(Client::connect(bound).get("/").0, 503);
    set(&engine, "a", "none", None);
    ask(bound, 1);
}

#[test]
fn settings_outlive_configurations_for_as_long_as_the_backend_is_there() {
    let (first, second) = (origin(), origin());
    let engine = engine();
    let both = [backend("a", first.address), backend("b", second.address)];
    let bound = address(&apply(&engine, web(1, 60_000, &both)), "web", ":0");
    set(&engine, "a", "drain", None);
    set(&engine, "b", "none", Some(7));
    apply(&engine, web(2, 60_000, &both));
    ask(bound, 4);
    counted(&engine, [0, 4]);
    assert_eq!(stats(&engine)["pools"][0]["backends"][1]["weight"], 7);
    apply(&engine, web(3, 60_000, &both[1..]));
    apply(&engine, web(4, 60_000, &both));
    assert_eq!(stats(&engine)["pools"][0]["backends"][0]["state"], "up");
    assert_eq!(stats(&engine)["pools"][0]["backends"][1]["weight"], 7);
}

#[test]
fn a_weight_changes_shares_and_is_taken_back() {
    let (first, second) = (origin(), origin());
    let engine = engine();
    let both = [backend("a", first.address), backend("b", second.address)];
    let bound = address(&apply(&engine, web(1, 60_000, &both)), "web", ":0");
    set(&engine, "a", "none", Some(0));
    ask(bound, 8);
    counted(&engine, [0, 8]);
    set(&engine, "a", "none", None);
    assert_eq!(stats(&engine)["pools"][0]["backends"][0]["weight"], 1);
    let too_heavy = json!({"pool": "app", "backend": "a", "mode": "none", "weight": 65_536});
    assert!(engine.set(&serde_json::from_value(too_heavy).unwrap()).is_err());
}

#[test]
fn what_is_said_before_the_first_configuration_holds_from_its_first_request() {
    let (first, second) = (origin(), origin());
    let engine = engine();
    set(&engine, "a", "drain", None);
    let both = [backend("a", first.address), backend("b", second.address)];
    let bound = address(&apply(&engine, web(1, 60_000, &both)), "web", ":0");
    ask(bound, 4);
    counted(&engine, [0, 4]);
}

#[test]
fn settings_of_backends_that_are_not_there_are_ignored_and_counted() {
    let first = origin();
    let engine = engine();
    apply(&engine, web(1, 60_000, &[backend("a", first.address)]));
    set(&engine, "x", "disable", None);
    let stats = stats(&engine);
    assert_eq!(stats["totals"]["settings_ignored"], 1);
    assert_eq!(stats["pools"][0]["backends"][0]["state"], "up");
}
