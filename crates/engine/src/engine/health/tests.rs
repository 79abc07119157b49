use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::engine::{Engine, Mode, Setting, Settings};
use crate::http::tests::{backend, described};

const ONE: &str = "127.0.0.1:1";
const TWO: &str = "127.0.0.1:2";
const THREE: &str = "127.0.0.1:3";

/// An engine whose description changes.
struct Town {
    engine: Engine,
    spec: Value,
}

impl Town {
    fn new() -> Self {
        let engine = Engine::start(Settings::in_process(1)).expect("an engine");
        Self { engine, spec: described(&[ONE, TWO]) }
    }

    fn serving() -> Self {
        let mut town = Self::new();
        town.serve(&[ONE, TWO]);
        town
    }

    /// From now on with these backends.
    fn serve(&mut self, backends: &[&str]) {
        self.spec["pools"][0]["backends"] = backends.iter().map(|address| backend(address)).collect();
        self.apply();
    }

    fn apply(&mut self) {
        let version = self.spec["version"].as_u64().expect("a number");
        self.spec["version"] = (version + 1).into();
        let spec = serde_json::from_value(self.spec.clone()).expect("a description");
        self.engine.apply(&spec).expect("a good description");
    }

    fn members(&self, generation: u64, backends: &[&str]) {
        let backends: Vec<_> = backends.iter().map(|address| backend(address)).collect();
        let list = json!({"pool": "app", "generation": generation, "backends": backends});
        self.engine.members(serde_json::from_value(list).expect("a list")).expect("a good list");
    }

    fn set(&self, backend: &str, mode: Mode) {
        let setting = Setting { pool: "app".into(), backend: backend.into(), mode, weight: None };
        self.engine.set(&setting).expect("it is no refusal");
    }

    /// What each backend of the pool is, those that left aside.
    fn states(&self) -> BTreeMap<String, Value> {
        let stats = serde_json::to_value(self.engine.stats(false)).expect("statistics");
        let backends = stats["pools"][0]["backends"].as_array().expect("a list").clone();
        backends
            .into_iter()
            .filter(|backend| !backend["reason"].is_null())
            .map(|backend| (backend["id"].as_str().unwrap_or_default().to_owned(), backend["state"].clone()))
            .collect()
    }

    fn state(&self, backend: &str) -> Value {
        self.states()[backend].clone()
    }

    fn ignored(&self) -> u64 {
        self.engine.stats(false).totals.settings_ignored
    }

    /// What outlives the configuration of a backend, as an open request holds it.
    fn hold(&self, address: &str) -> Arc<fairlead_balance::BackendLive> {
        self.engine.shared.live.backend("app", address)
    }
}

#[test]
fn an_operators_word_is_followed_at_once_and_outlives_reloads() {
    let mut town = Town::serving();
    town.set(ONE, Mode::Drain);
    assert_eq!((town.state(ONE), town.state(TWO)), (json!("draining"), json!("up")));
    town.serve(&[ONE, TWO, THREE]);
    assert_eq!((town.state(ONE), town.state(THREE)), (json!("draining"), json!("up")));
    town.set(ONE, Mode::None);
    assert_eq!(town.state(ONE), json!("up"));
}

#[test]
fn a_word_about_one_that_is_not_there_is_ignored_and_counted() {
    let mut town = Town::serving();
    town.set(THREE, Mode::Disable);
    assert!(!town.engine.shared.operate("other", ONE, Operator::Disabled));
    assert_eq!(town.engine.shared.checked(("app", ONE), None, (false, "no check was asked for")), None);
    assert_eq!(town.ignored(), 3);
    assert_eq!(town.state(ONE), json!("up"));
    town.serve(&[ONE, TWO, THREE]);
    assert_eq!(town.state(THREE), json!("up"));
}

#[test]
fn what_is_said_before_the_first_configuration_holds_in_it() {
    let mut town = Town::new();
    town.set(ONE, Mode::Disable);
    town.set(THREE, Mode::Disable);
    town.serve(&[ONE, TWO]);
    assert_eq!((town.state(ONE), town.state(TWO)), (json!("disabled"), json!("up")));
    // That it never came to be was known with the first configuration.
    town.serve(&[ONE, TWO, THREE]);
    assert_eq!((town.state(THREE), town.ignored()), (json!("up"), 0));
}

#[test]
fn a_word_goes_with_the_backend_that_leaves_the_configuration_though_it_is_in_use() {
    let mut town = Town::serving();
    let held = town.hold(ONE);
    held.begin();
    town.set(ONE, Mode::Drain);
    town.serve(&[TWO]);
    town.serve(&[ONE, TWO]);
    assert_eq!(town.state(ONE), json!("up"));
    held.end();
}

#[test]
fn a_word_holds_while_names_resolve_to_something_else() {
    let mut town = Town::new();
    town.spec["pools"][0]["resolved"] = json!(true);
    town.serve(&[ONE]);
    town.members(1, &[ONE, TWO]);
    town.set(TWO, Mode::Disable);
    town.members(2, &[ONE]);
    town.members(3, &[ONE, TWO]);
    assert_eq!(town.state(TWO), json!("disabled"));
    // A pool that is gone takes with it what was said of its backends.
    town.spec["pools"][0]["name"] = json!("other");
    town.spec["listeners"][0]["routes"][0]["pool"] = json!("other");
    town.apply();
    town.spec["pools"][0]["name"] = json!("app");
    town.spec["listeners"][0]["routes"][0]["pool"] = json!("app");
    town.apply();
    town.members(4, &[ONE, TWO]);
    assert_eq!(town.state(TWO), json!("up"));
}

#[test]
fn it_is_ready_with_its_first_configuration_where_nobody_is_checked() {
    let mut town = Town::new();
    assert!(!town.engine.stats(false).ready);
    town.serve(&[ONE]);
    assert!(town.engine.stats(false).ready);
    let ready = std::iter::from_fn(|| town.engine.next_event(Duration::ZERO));
    assert_eq!(ready.filter(|event| event.what == What::Ready {}).count(), 1);
}
