//! How a pool picks: what a description says, what becomes of it, and what is refused.

mod support;

use std::time::Duration;

use fairlead_balance::{Algorithm, Average, HashTable, LeastTime, Live, Score};
use fairlead_plan::spec::Spec;
use fairlead_plan::{KeyPart, Plan};
use serde_json::{Value, json};

fn spec(algorithm: Value) -> Spec {
    let mut whole = support::whole();
    whole["pools"][0]["algorithm"] = algorithm;
    serde_json::from_value(whole).expect("the description is whole")
}

fn refusals(algorithm: Value) -> Vec<String> {
    let refused = Plan::build(&spec(algorithm), &Live::new()).expect_err("it is refused");
    refused.iter().map(ToString::to_string).collect()
}

#[test]
fn each_algorithm_becomes_what_it_says() {
    let time = json!({"average": "peak_ewma", "window_ms": 10_000});
    let least_time = LeastTime { average: Average::PeakEwma, window: Duration::from_secs(10) };
    let hashed = json!({"consistent_hash": {
        "key": ["client", {"header": "X-Tenant"}, {"cookie": "id"}, {"query": "q"}, "path"],
        "table": "ring", "bounded_load_thousandths": 1_250,
    }});
    for (written, expected) in [
        (json!("round_robin"), Algorithm::RoundRobin),
        (json!("first"), Algorithm::First),
        (json!({"least_time": time}), Algorithm::LeastTime(least_time)),
        (json!({"random": {"choices": 2, "by": "least_connections"}}), Algorithm::TWO_CHOICES),
        (
            json!({"random": {"choices": 3, "by": {"least_time": time}}}),
            Algorithm::Random { choices: 3, by: Score::LeastTime(least_time) },
        ),
        (json!({"ip_hash": {"v6_prefix": 64}}), Algorithm::IpHash { v6_prefix: 64 }),
        (hashed, Algorithm::ConsistentHash { table: HashTable::Ring, bounded_load: Some(1_250) }),
    ] {
        let plan = Plan::build(&spec(written), &Live::new()).expect("a good description");
        assert_eq!(plan.pools[0].algorithm, expected);
        assert_eq!(plan.pools[0].membership.picker.algorithm(), expected);
    }
}

#[test]
fn a_key_is_made_of_its_parts_in_their_order() {
    let key = json!([{"query": "q"}, "client"]);
    let hashed =
        json!({"consistent_hash": {"key": key, "table": "maglev", "bounded_load_thousandths": null}});
    let plan = Plan::build(&spec(hashed), &Live::new()).expect("a good description");
    let query = KeyPart::Query(b"q".as_slice().into());
    assert_eq!(plan.pools[0].key, [query, KeyPart::Client { v6_prefix: 128 }]);
    let plan =
        Plan::build(&spec(json!({"ip_hash": {"v6_prefix": 56}})), &Live::new()).expect("a good description");
    assert_eq!(plan.pools[0].key, [KeyPart::Client { v6_prefix: 56 }]);
}

#[test]
fn what_cannot_work_is_refused_at_its_place() {
    let hashed = |bounded: u32| json!({"consistent_hash": {"key": [], "table": "ring", "bounded_load_thousandths": bounded}});
    assert_eq!(
        refusals(hashed(999)),
        [
            "pools.app.algorithm.consistent_hash.key: a key needs a part",
            "pools.app.algorithm.consistent_hash.bounded_load: below 1 the load has nowhere to go",
        ]
    );
    assert_eq!(
        refusals(json!({"ip_hash": {"v6_prefix": 129}})),
        ["pools.app.algorithm.ip_hash.v6_prefix: an IPv6 address has 128 bits"]
    );
    assert_eq!(
        refusals(json!({"random": {"choices": 0, "by": "least_connections"}})),
        ["pools.app.algorithm.random.choices: must be at least 1"]
    );
    assert_eq!(
        refusals(json!({"least_time": {"average": "ewma", "window_ms": 0}})),
        ["pools.app.algorithm.least_time.window: must be more than 0"]
    );
}

#[test]
fn rendezvous_over_more_than_a_thousand_backends_is_refused() {
    let hashed = json!({"consistent_hash": {"key": ["path"], "table": "rendezvous", "bounded_load_thousandths": null}});
    let mut spec = spec(hashed);
    let backend = spec.pools[0].backends[0].clone();
    spec.pools[0].backends = (0..1_001)
        .map(|index| fairlead_plan::spec::Backend { id: index.to_string(), ..backend.clone() })
        .collect();
    let refused = Plan::build(&spec, &Live::new()).expect_err("it is refused");
    assert_eq!(refused[0].path, ["pools", "app", "algorithm"]);
    assert!(refused[0].message.contains("take maglev"));
    spec.pools[0].backends.pop();
    assert!(Plan::build(&spec, &Live::new()).is_ok());
}

#[test]
fn zones_and_backups_reach_the_picker() {
    let mut spec = spec(json!("round_robin"));
    spec.zone = Some("here".into());
    spec.pools[0].backends[0].zone = Some("there".into());
    spec.pools[0].backends[1].backup = true;
    let plan = Plan::build(&spec, &Live::new()).expect("a good description");
    assert_eq!(plan.pools[0].options.zone.as_deref(), Some("here"));
    let members = plan.pools[0].membership.picker.members();
    assert_eq!((members[0].zone.as_deref(), members[1].backup), (Some("there"), true));
}
