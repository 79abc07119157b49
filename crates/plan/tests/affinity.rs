//! How clients are kept at their backends: what is refused, and what cookies are made of.

mod support;

use fairlead_balance::Live;
use fairlead_balance::affinity::Tag;
use fairlead_plan::spec::Spec;
use fairlead_plan::{Bonds, Plan};
use serde_json::{Value, json};
use support::{backend, whole};

fn cookie(more: &Value) -> Value {
    let mut cookie = json!({
        "name": "S", "ttl_s": null, "secure": "auto", "same_site": "lax", "path": "/", "domain": null,
        "secret": "a secret of the tests",
    });
    for (key, value) in more.as_object().expect("keys") {
        cookie[key] = value.clone();
    }
    json!({"by": {"cookie": cookie}, "on_failure": "rebalance"})
}

fn described(affinity: &Value, backends: &[Value]) -> Spec {
    let mut spec = whole();
    spec["pools"][0]["affinity"] = affinity.clone();
    spec["pools"][0]["backends"] = json!(backends);
    serde_json::from_value(spec).expect("the description is whole")
}

fn addresses(count: usize) -> Vec<Value> {
    (0..count).map(|n| backend(&format!("10.{}.{}.{}:80", n >> 16, n >> 8 & 255, n & 255))).collect()
}

/// What `Set-Cookie` says for each backend, in their order.
fn fields(affinity: &Value, backends: &[Value], live: &Live) -> Vec<String> {
    let plan = Plan::build(&described(affinity, backends), live).expect("a good description");
    let Bonds::Cookies(cookies) = &plan.pools[0].membership.bonds else { panic!("no cookies") };
    (0..backends.len())
        .map(|member| {
            let text = String::from_utf8(cookies.field(member, false).to_vec()).expect("ASCII");
            let value = text.strip_prefix("S=").and_then(|rest| rest.split(';').next()).expect("a value");
            let tag = Tag::read(value.as_bytes()).expect("a tag");
            assert_eq!(cookies.member(&tag), Some(member));
            assert_eq!(cookies.field(member, true), format!("{text}; Secure").as_bytes());
            text
        })
        .collect()
}

#[test]
fn a_cookie_s_value_is_the_keyed_hash_of_pool_and_backend() {
    // Made with Python's hmac, of b"affinity" + b"app" + its length in 8 bytes + the address + its length in 8 bytes.
    let (backends, live) = (addresses(2), Live::new());
    assert_eq!(
        fields(&cookie(&json!({})), &backends, &live),
        EXPECTED.map(|tag| { format!("S={tag}; Path=/; HttpOnly; SameSite=Lax") })
    );
}

const EXPECTED: [&str; 2] = ["-K1S5nnXP0ibTucnN5trWQ", "NAtWVlyeNchs3e3qZzm5OA"];

#[test]
fn all_nodes_with_the_secret_make_the_same_cookies_and_no_others_do() {
    let (backends, live) = (addresses(3), Live::new());
    let mut reversed =
        fields(&cookie(&json!({})), &backends.iter().rev().cloned().collect::<Vec<_>>(), &Live::new());
    reversed.reverse();
    let ours = fields(&cookie(&json!({})), &backends, &live);
    assert_eq!(ours, reversed);
    let strangers = fields(&cookie(&json!({"secret": "another one"})), &backends, &live);
    assert!(ours.iter().all(|field| !strangers.contains(field)));
    // Without a secret of its own: that of the process.
    let own =
        |secret: u8| fields(&cookie(&json!({"secret": null})), &backends, &Live::with_secret([secret; 32]));
    assert_eq!(own(1), own(1));
    assert_ne!(own(1), own(2));
}

#[test]
fn attributes_are_as_they_were_asked_for() {
    let more = json!({"ttl_s": 60, "same_site": "strict", "path": "/a", "domain": "example.com"});
    let made = fields(&cookie(&more), &addresses(1), &Live::new());
    let (_, attributes) = made[0].split_once(';').expect("attributes");
    assert_eq!(attributes, " Path=/a; HttpOnly; SameSite=Strict; Max-Age=60; Domain=example.com");
}

#[test]
fn what_can_t_be_is_refused_at_its_place() {
    let table = |more: &Value| {
        let mut table = json!({"key": ["client"], "ttl_ms": 1_000, "max_entries": 8, "shared": false});
        for (key, value) in more.as_object().expect("keys") {
            table[key] = value.clone();
        }
        json!({"by": {"table": table}, "on_failure": "fail"})
    };
    let by = |by: Value| json!({"by": by, "on_failure": "fail"});
    let cases = [
        (cookie(&json!({"name": "a b"})), 1, "cookie.name"),
        (cookie(&json!({"ttl_s": 0})), 1, "cookie.ttl"),
        (cookie(&json!({"path": "a"})), 1, "cookie.path"),
        (cookie(&json!({"domain": "a;b"})), 1, "cookie.domain"),
        (cookie(&json!({"secret": ""})), 1, "cookie.secret"),
        (by(json!({"header": "a:"})), 1, "header"),
        (by(json!({"header": "X"})), 1_001, "header"),
        (
            by(json!({"learn": {"response_cookie": "", "ttl_ms": 1_000, "max_entries": 8}})),
            1,
            "learn.response_cookie",
        ),
        (table(&json!({"key": []})), 1, "table.key"),
        (table(&json!({"ttl_ms": 999})), 1, "table.ttl"),
        (table(&json!({"max_entries": 7})), 1, "table.max_entries"),
        (table(&json!({})), 16_384, ""),
    ];
    for (affinity, backends, place) in cases {
        let errors = support::errors(&described(&affinity, &addresses(backends)));
        let expected = format!("pools.app.affinity.{place}");
        let found: Vec<String> = errors.iter().map(|error| error.path.join(".")).collect();
        assert_eq!(found, [expected.trim_end_matches('.')], "{affinity}");
    }
}

#[test]
fn a_secret_is_in_no_text_for_people() {
    let spec = described(&cookie(&json!({})), &addresses(1));
    let plan = Plan::build(&spec, &Live::new()).expect("a good description");
    assert!(!format!("{spec:?} {plan:?}").contains("a secret of the tests"));
}
