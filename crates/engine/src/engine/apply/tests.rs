//! What is let go of from one configuration to the next.

use std::net::TcpStream;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock;
use crate::engine::{Engine, Settings};
use crate::http::tests::described;
use crate::telemetry::What;

const STAYS: &str = "127.0.0.1:1";
const LEAVES: &str = "127.0.0.1:2";
const PATIENCE: Duration = Duration::from_secs(20);

fn engine() -> Engine {
    Engine::start(Settings::in_process(2)).expect("an engine")
}

/// Clients of this pool are known, and go on with who leaves.
fn bound(version: u64, drain_ms: u64, backends: &[&str]) -> Value {
    let mut spec = described(backends);
    spec["version"] = json!(version);
    let pool = &mut spec["pools"][0];
    pool["drain_ms"] = json!(drain_ms);
    pool["algorithm"] =
        json!({"consistent_hash": {"key": ["client"], "table": "maglev", "bounded_load_thousandths": null}});
    let cookie = json!({
        "name": "S", "ttl_s": null, "secure": "auto", "same_site": "lax", "path": "/", "domain": null, "secret": null,
    });
    pool["affinity"] = json!({"by": {"cookie": cookie}, "on_failure": "rebalance"});
    spec
}

fn apply(engine: &Engine, spec: Value) {
    let spec = serde_json::from_value(spec).expect("a description");
    engine.apply(&spec).expect("a good description");
}

fn list(engine: &Engine) -> Weak<fairlead_plan::Membership> {
    Arc::downgrade(&engine.shared.state().members["app"].shared)
}

fn wait_for(engine: &Engine, wanted: impl Fn(&What) -> bool) {
    while !wanted(&engine.next_event(PATIENCE).expect("an event").what) {}
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = clock::now() + PATIENCE;
    while !holds() {
        assert!(clock::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_list_goes_with_its_replacement_though_who_left_it_drains() {
    let engine = engine();
    apply(&engine, bound(1, 3_600_000, &[STAYS, LEAVES]));
    let before = list(&engine);
    apply(&engine, bound(2, 3_600_000, &[STAYS]));
    assert_eq!(before.strong_count(), 0);
    assert!(engine.shared.live.is_open("app", LEAVES), "it drains");
}

#[test]
fn who_left_is_let_go_when_its_drain_is_over_without_another_change() {
    let engine = engine();
    apply(&engine, bound(1, 50, &[STAYS, LEAVES]));
    let leaves = {
        let state = engine.shared.state();
        let backends = &state.members["app"].shared.backends;
        Arc::downgrade(backends.iter().find(|backend| &*backend.id == LEAVES).expect("it is there"))
    };
    apply(&engine, bound(2, 50, &[STAYS]));
    wait_for(&engine, |what| matches!(what, What::BackendLeft { .. }));
    until("nobody holds it", || leaves.strong_count() == 0 && !engine.shared.live.is_open("app", LEAVES));
}

#[test]
fn a_removed_listener_is_let_go_with_its_last_connection_without_another_change() {
    let engine = engine();
    let mut both = described(&[STAYS]);
    let mut second = both["listeners"][0].clone();
    second["name"] = json!("second");
    second["binds"][0]["text"] = json!(":0");
    both["listeners"].as_array_mut().expect("a list").push(second);
    apply(&engine, both);
    let (listener, address) = {
        let state = engine.shared.state();
        let plan = state.plan.as_ref().expect("it serves");
        (Arc::downgrade(&plan.listeners[1]), state.listeners[1].binds[0].1.clone())
    };
    let client = TcpStream::connect(address).expect("a connection");
    until("it is accepted", || engine.stats(false).listeners.iter().any(|listener| listener.connections > 0));
    apply(&engine, described(&[STAYS]));
    assert!(listener.strong_count() > 0, "its connection is open");
    drop(client);
    wait_for(&engine, |what| matches!(what, What::ListenerDrained { .. }));
    until("nobody holds it", || listener.strong_count() == 0);
}

#[test]
fn what_a_refused_configuration_would_have_brought_is_not_kept() {
    let engine = engine();
    apply(&engine, described(&[STAYS]));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let mut refused = described(&[STAYS, LEAVES]);
    refused["listeners"][0]["binds"][0]["address"] =
        json!({"ip": {"address": taken.local_addr().expect("bound")}});
    refused["pools"].as_array_mut().expect("a list").push({
        let mut another = described(&[LEAVES])["pools"][0].clone();
        another["name"] = json!("another");
        another
    });
    let known = || (format!("{:?}", engine.shared.live), engine.shared.registry.backends().len());
    let before = known();
    let spec = serde_json::from_value(refused).expect("a description");
    assert!(engine.apply(&spec).is_err());
    assert_eq!(known(), before);
}
