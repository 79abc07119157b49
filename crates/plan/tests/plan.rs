//! What a Plan is made of, and how long it lives.

mod support;

use std::sync::Arc;

use fairlead_balance::Live;
use fairlead_plan::{Census, Membership, Plan};
use support::{plan, route, routed, spec};

#[test]
fn plan_is_alive_until_its_last_handle_is_dropped() {
    let census = Census::new();
    let first = census.admit(plan(&spec(vec![])));
    let again = Arc::clone(&first);
    let second = census.admit(plan(&spec(vec![])));
    assert_eq!(census.alive(), 2);
    drop(first);
    assert_eq!(census.alive(), 2);
    drop(again);
    assert_eq!(census.alive(), 1);
    drop(second);
    assert_eq!(census.alive(), 0);
}

#[test]
fn what_a_request_keeps_does_not_keep_its_plan() {
    let census = Census::new();
    let plan = census.admit(routed(vec![route(&[], &[])]));
    let listener = Arc::clone(&plan.listeners[0]);
    let pool = Arc::clone(&plan.pools[listener.routes[0].pool]);
    drop(plan);
    assert_eq!(census.alive(), 0);
    assert_eq!(listener.router.route(b"a.com", b"/"), Some(0));
    assert_eq!(pool.membership.backends.len(), 2);
}

#[test]
fn plan_that_was_only_checked_is_not_counted() {
    let census = Census::new();
    drop(plan(&spec(vec![])));
    assert_eq!(census.alive(), 0);
}

#[test]
fn route_ids_are_names_else_digests_that_outlive_other_routes() {
    let mut named = route(&["a.com"], &["/x"]);
    named.name = Some("api".to_owned());
    let ids = |routes| -> Vec<Arc<str>> {
        routed(routes).listeners[0].routes.iter().map(|route| Arc::clone(&route.id)).collect()
    };
    let before = ids(vec![named.clone(), route(&["a.com"], &["/y"]), route(&["a.com"], &["/z"])]);
    let after = ids(vec![route(&["a.com"], &["/z"]), named, route(&["a.com"], &["/y"])]);
    assert_eq!(&*before[0], "api");
    assert_eq!([&before[0], &before[1], &before[2]], [&after[1], &after[2], &after[0]]);
    assert_ne!(before[1], before[2]);
}

#[test]
fn unnamed_routes_with_one_match_have_different_ids() {
    let plan = routed(vec![route(&[], &["/x"]), route(&[], &["/x"]), route(&[], &["/x"])]);
    let routes = &plan.listeners[0].routes;
    assert_eq!(*routes[1].id, format!("{}.2", routes[0].id));
    assert_eq!(*routes[2].id, format!("{}.3", routes[0].id));
}

#[test]
fn routes_own_body_limit_stands_before_the_listeners() {
    let mut spec = spec(vec![route(&[], &["/x"]), route(&[], &[])]);
    spec.listeners[0].http.max_body_bytes = Some(1_000);
    spec.listeners[0].routes[0].max_body_bytes = Some(10);
    let plan = plan(&spec);
    assert_eq!(plan.listeners[0].routes[0].max_body, Some(10));
    assert_eq!(plan.listeners[0].routes[1].max_body, Some(1_000));
}

#[test]
fn members_and_backends_stand_in_one_order() {
    let plan = plan(&spec(vec![]));
    let membership = &plan.pools[0].membership;
    let members: Vec<_> = membership.picker.members().iter().map(|member| member.id.as_str()).collect();
    let backends: Vec<_> = membership.backends.iter().map(|backend| &*backend.id).collect();
    assert_eq!(members, backends);
    assert_eq!(backends, ["10.0.0.1:80", "10.0.0.2:80"]);
}

#[test]
fn backend_keeps_its_life_and_its_connections_over_plans() {
    let live = Live::new();
    let spec = spec(vec![]);
    let first = Plan::build(&spec, &live).expect("a good description");
    let second = Plan::build(&spec, &live).expect("a good description");
    let [before, after] = [&first, &second].map(|plan| &plan.pools[0].membership.backends[0]);
    assert!(Arc::ptr_eq(&before.live, &after.live));
    assert_eq!(before.key, after.key);
}

#[test]
fn connection_key_changes_with_pool_id_and_address() {
    let live = Live::new();
    let mut spec = spec(vec![]);
    spec.pools.push(fairlead_plan::spec::Pool { name: "other".into(), ..spec.pools[0].clone() });
    let plan = plan(&spec);
    let mut backends = spec.pools[0].backends.clone();
    let key = |pool: &str, backends: &[fairlead_plan::spec::Backend]| {
        let pool = plan.pools.iter().find(|known| &*known.name == pool).expect("a pool of the plan");
        let membership = Membership::build(pool, backends, 1, &live).expect("good members");
        membership.backends[0].key
    };
    let original = key("app", &backends);
    let other_pool = key("other", &backends);
    backends[0].id = "named".to_owned();
    let other_id = key("app", &backends);
    backends[0].address = backends[1].address.clone();
    let other_address = key("app", &backends);
    let mut keys = vec![original, other_pool, other_id, other_address];
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4);
}

#[test]
fn explanation_starts_from_the_target_as_received() {
    let plan = routed(vec![route(&[], &["/a/b"]), route(&[], &[])]);
    let explanation = plan.listeners[0].explain(b"a.com", b"/a/./%62?c=/d").expect("a good path");
    assert_eq!(explanation.path, b"/a/b");
    assert_eq!(explanation.route, Some(0));
    assert_eq!(plan.listeners[0].explain(b"a.com", b"/%00").expect_err("NUL").status, 400);
}
