//! From one configuration to the next: what goes on, what drains, what is counted further.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::io::{Read as _, Write as _};

use fairlead_engine::What;
use serde_json::{Value, json};
use support::*;

fn web(version: u64, pools: &[Value]) -> Value {
    spec(version, &[listener("web", &[bind(":0")])], pools)
}

fn members(engine: &fairlead_engine::Engine, pool: &str, generation: u64, backends: &[Value]) {
    let members = json!({"pool": pool, "generation": generation, "backends": backends});
    engine.members(serde_json::from_value(members).unwrap()).unwrap();
}

#[test]
fn a_tunnel_that_is_open_over_a_hundred_reloads_pins_no_plan() {
    let origin = origin();
    let pools = [pool("app", &[backend("a", origin.address)])];
    let engine = engine();
    let bound = address(&apply(&engine, web(1, &pools)), "web", ":0");
    let mut tunnel = Client::connect(bound);
    let upgrade = b"GET /echo HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    tunnel.stream().write_all(upgrade).unwrap();
    assert_eq!(tunnel.head().0, 101);
    for version in 2..=101 {
        apply(&engine, web(version, &pools));
        let alive = stats(&engine)["plans_alive"].as_u64().unwrap();
        assert!(alive <= 2, "{alive} Plans are alive at version {version}");
    }
    tunnel.stream().write_all(b"still there\n").unwrap();
    assert_eq!(tunnel.line(), "still there");
}

#[test]
fn a_refused_configuration_changes_nothing() {
    let origin = origin();
    let engine = engine();
    let bound =
        address(&apply(&engine, web(1, &[pool("app", &[backend("a", origin.address)])])), "web", ":0");
    let error = refused(&engine, web(2, &[pool("other", &[backend("a", origin.address)])]));
    assert!(error.contains("listeners.web.routes.0.pool"), "{error}");
    assert_eq!(Client::connect(bound).get("/"), (200, "ok".to_owned()));
    assert_eq!(stats(&engine)["plan_version"], 1);
}

#[test]
fn a_configuration_that_cannot_be_bound_moves_no_backend_and_brings_none() {
    let (origin, elsewhere) = (origin(), origin());
    let engine = engine();
    let mut app = pool("app", &[backend("a", origin.address)]);
    app["health_check"] = json!({
        "interval_ms": 3_600_000, "fast_interval_ms": 1_000, "timeout_ms": 5_000, "healthy_threshold": 2,
        "unhealthy_threshold": 3, "initially_up": false, "port": null, "probe": {"tcp": {}},
    });
    let bound = address(&apply(&engine, web(1, &[app.clone()])), "web", ":0");
    let state = || stats(&engine)["pools"][0]["backends"][0]["state"].clone();
    until("its check has passed", || state() == "up");
    let mut moved = app.clone();
    moved["backends"] = json!([backend("a", elsewhere.address), backend("b", elsewhere.address)]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = bind_to("other", &json!({"ip": {"address": taken.local_addr().unwrap()}}));
    let listeners = [listener("web", &[bind(":0")]), listener("other", &[other])];
    let error = refused(&engine, spec(2, &listeners, &[moved]));
    assert!(error.contains("listeners.other.bind"), "{error}");
    assert_eq!((state(), stats(&engine)["pools"][0]["backends"].as_array().unwrap().len()), (json!("up"), 1));
    assert_eq!(Client::connect(bound).get("/").0, 200);
    apply(&engine, web(3, &[app]));
    assert_eq!(state(), "up");
    while let Some(event) = engine.next_event(std::time::Duration::ZERO) {
        assert!(!format!("{event:?}").contains("to: \"unproven\""), "{event:?}");
    }
}

#[test]
fn nothing_is_ready_before_the_first_configuration() {
    let engine = engine();
    let before = stats(&engine);
    assert_eq!((&before["ready"], &before["plan_version"]), (&json!(false), &Value::Null));
    apply(&engine, web(7, &[empty_pool()]));
    let after = stats(&engine);
    assert_eq!((&after["ready"], &after["plan_version"]), (&json!(true), &json!(7)));
}

#[test]
fn a_backend_that_left_keeps_its_open_request() {
    let (first, second) = (origin(), origin());
    let engine = engine();
    let bound = address(&apply(&engine, web(1, &[pool("app", &[backend("a", first.address)])])), "web", ":0");
    let mut client = Client::connect(bound);
    client.send("/held");
    let in_flight = || stats(&engine)["pools"][0]["backends"][0]["in_flight"].as_u64();
    until("the request is in flight", || in_flight() == Some(1));
    apply(&engine, web(2, &[pool("app", &[backend("b", second.address)])]));
    let draining = &stats(&engine)["pools"][0]["backends"][1];
    assert_eq!((&draining["id"], &draining["state"]), (&json!("a"), &json!("draining")));
    assert_eq!(Client::connect(bound).get("/").0, 200);
    first.gate.open();
    assert_eq!(client.answer(), (200, "ok".to_owned()));
    let left = event(&engine, |what| matches!(what, What::BackendLeft { .. }));
    assert_eq!(left, What::BackendLeft { pool: "app".into(), backend: "a".into(), cut: 0 });
    assert_eq!(stats(&engine)["pools"][0]["backends"].as_array().unwrap().len(), 1);
}

#[test]
fn a_backend_that_left_is_cut_when_its_pools_drain_is_over() {
    let (first, second) = (origin(), origin());
    let with = |id: &str, address| {
        let mut pool = pool("app", &[backend(id, address)]);
        pool["drain_ms"] = json!(0);
        pool
    };
    let engine = engine();
    let bound = address(&apply(&engine, web(1, &[with("a", first.address)])), "web", ":0");
    let mut client = Client::connect(bound);
    client.send("/held");
    until("the request is in flight", || stats(&engine)["pools"][0]["backends"][0]["in_flight"] == 1);
    apply(&engine, web(2, &[with("b", second.address)]));
    let left = event(&engine, |what| matches!(what, What::BackendLeft { .. }));
    assert_eq!(left, What::BackendLeft { pool: "app".into(), backend: "a".into(), cut: 1 });
    let mut rest = Vec::new();
    let _ = client.stream().read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
}

#[test]
fn a_removed_listener_serves_what_is_open_and_its_next_answer_closes() {
    let origin = origin();
    let pools = [pool("app", &[backend("a", origin.address)])];
    let engine = engine();
    let both = [listener("web", &[bind(":0")]), listener("old", &[bind("old")])];
    let old = address(&apply(&engine, spec(1, &both, &pools)), "old", "old");
    let mut client = Client::connect(old);
    assert_eq!(client.get("/").0, 200);
    apply(&engine, web(2, &pools));
    assert_eq!(stats(&engine)["listeners"][1]["state"], "draining");
    client.send("/");
    let (status, fields) = client.head();
    assert_eq!(status, 200);
    assert!(fields.contains(&"connection: close".to_owned()), "{fields:?}");
    drop(client);
    let drained = event(&engine, |what| matches!(what, What::ListenerDrained { .. }));
    assert_eq!(drained, What::ListenerDrained { listener: "old".into(), cut: 0 });
    assert_eq!(stats(&engine)["listeners"].as_array().unwrap().len(), 1);
}

#[test]
fn counters_go_on_over_a_reload() {
    let origin = origin();
    let pools = [pool("app", &[backend("a", origin.address)])];
    let engine = engine();
    let bound = address(&apply(&engine, web(1, &pools)), "web", ":0");
    for version in 2..5 {
        assert_eq!(Client::connect(bound).get("/").0, 200);
        apply(&engine, web(version, &pools));
    }
    let counted = |stats: &Value| {
        let (route, backend) =
            (&stats["routes"][0]["requests"], &stats["pools"][0]["backends"][0]["requests"]);
        (route.as_u64(), backend.as_u64(), stats["totals"]["requests"].as_u64())
    };
    until("three requests are counted", || counted(&stats(&engine)) == (Some(3), Some(3), Some(3)));
}

#[test]
fn members_replace_who_is_in_a_resolved_pool() {
    let origin = origin();
    let engine = engine();
    let bound = address(&apply(&engine, web(1, &[empty_pool()])), "web", ":0");
    assert_eq!(Client::connect(bound).get("/").0, 503);
    members(&engine, "app", 2, &[backend("a", origin.address)]);
    assert_eq!(Client::connect(bound).get("/").0, 200);
    apply(&engine, web(2, &[empty_pool()]));
    assert_eq!(Client::connect(bound).get("/").0, 200, "a reload keeps them");
    assert_eq!(stats(&engine)["pools"][0]["generation"], 2);
}

#[test]
fn old_lists_and_lists_of_unknown_pools_are_ignored_and_counted() {
    let origin = origin();
    let engine = engine();
    members(&engine, "app", 1, &[]);
    apply(&engine, web(1, &[empty_pool()]));
    members(&engine, "app", 5, &[backend("a", origin.address)]);
    members(&engine, "app", 4, &[]);
    members(&engine, "none", 9, &[]);
    let stats = stats(&engine);
    assert_eq!(stats["totals"]["members_ignored"], 3);
    assert_eq!(stats["pools"][0]["backends"][0]["id"], "a");
}
