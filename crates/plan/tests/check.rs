//! How backends are checked: what a description says, what becomes of it, and what is refused.

mod support;

use std::time::Duration;

use fairlead_balance::Live;
use fairlead_plan::spec::{BackendAddress, Spec};
use fairlead_plan::{HealthCheck, Plan, Probe};
use serde_json::{Value, json};

fn http() -> Value {
    json!({
        "method": "GET", "path": "/health", "host": null, "headers": [["X-Check", "a"]],
        "expect_statuses": [[200, 399]], "expect_body": null, "expect_headers": [],
    })
}

fn check(probe: &Value) -> Value {
    json!({
        "interval_ms": 5_000, "fast_interval_ms": 500, "timeout_ms": 2_000, "healthy_threshold": 2,
        "unhealthy_threshold": 3, "initially_up": false, "port": null, "probe": probe,
    })
}

fn build(check: &Value) -> Result<Plan, Vec<String>> {
    let mut whole = support::whole();
    whole["pools"][0]["health_check"] = check.clone();
    let spec: Spec = serde_json::from_value(whole).expect("the description is whole");
    Plan::build(&spec, &Live::new()).map_err(|refused| refused.iter().map(ToString::to_string).collect())
}

fn built(check: &Value) -> std::sync::Arc<HealthCheck> {
    build(check).expect("a good description").pools[0].check.clone().expect("a check")
}

/// What is refused of a check by HTTP in which these keys are others.
fn refused(change: &Value) -> Vec<String> {
    let mut http = http();
    for (key, value) in change.as_object().expect("an object") {
        http[key] = value.clone();
    }
    build(&check(&json!({"http": http}))).expect_err("it is refused")
}

#[test]
fn a_check_is_what_it_says() {
    let plan = build(&check(&json!({"tcp": {}}))).expect("a good description");
    let found = plan.pools[0].check.as_ref().expect("a check");
    assert_eq!(
        (found.interval, found.fast_interval, found.timeout, found.initially_up),
        (Duration::from_secs(5), Duration::from_millis(500), Duration::from_secs(2), false)
    );
    assert!(matches!(found.probe, Probe::Tcp));
    let thresholds = plan.pools[0].health.thresholds;
    assert_eq!((thresholds.healthy, thresholds.unhealthy), (2, 3));
    assert!(matches!(built(&check(&json!({"exec": {"command": ["x"]}}))).probe, Probe::Exec));
    assert!(build(&Value::Null).expect("a good description").pools[0].check.is_none());
}

#[test]
fn a_proxy_header_for_nobody_comes_first_where_one_is_expected() {
    let built = |send_proxy: &Value, port: &Value| {
        let mut whole = support::whole();
        whole["pools"][0]["health_check"] = check(&json!({"http": http()}));
        whole["pools"][0]["health_check"]["port"] = port.clone();
        whole["pools"][0]["send_proxy"] = send_proxy.clone();
        let spec: Spec = serde_json::from_value(whole).expect("the description is whole");
        Plan::build(&spec, &Live::new()).expect("a good description").pools[0].check.clone().expect("a check")
    };
    let [none, one, two] = ["", "v1", "v2"]
        .map(|version| built(&if version.is_empty() { Value::Null } else { json!(version) }, &Value::Null));
    assert_eq!(&*none.preface, b"");
    assert_eq!(&*one.preface, b"PROXY UNKNOWN\r\n");
    assert_eq!(&*two.preface, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    assert!(one.digest != two.digest && one.digest != none.digest);
    assert_eq!(&*built(&json!("v1"), &json!(81)).preface, b"");
}

#[test]
fn its_digest_is_that_of_what_is_asked_and_expected() {
    let digest = |change: &dyn Fn(&mut Value)| {
        let mut check = check(&json!({"http": http()}));
        change(&mut check);
        built(&check).digest
    };
    let same = digest(&|_| {});
    assert_eq!(digest(&|check| check["interval_ms"] = json!(1)), same);
    assert_eq!(digest(&|check| check["healthy_threshold"] = json!(7)), same);
    let others = [
        digest(&|check| check["port"] = json!(81)),
        digest(&|check| check["probe"] = json!({"tcp": {}})),
        digest(&|check| check["probe"]["http"]["path"] = json!("/other")),
        digest(&|check| check["probe"]["http"]["expect_statuses"] = json!([[200, 200]])),
        digest(&|check| check["probe"]["http"]["expect_body"] = json!({"text": "a"})),
        digest(&|check| check["probe"]["http"]["expect_body"] = json!({"regex": "a"})),
    ];
    let distinct: std::collections::HashSet<_> = others.iter().chain([&same]).collect();
    assert_eq!(distinct.len(), others.len() + 1);
}

#[test]
fn a_port_of_its_own_replaces_the_backends() {
    let mut written = check(&json!({"tcp": {}}));
    written["port"] = json!(81);
    let check = built(&written);
    for (backend, asked) in [("10.0.0.1:80", "10.0.0.1:81"), ("[2001:db8::1]:80", "[2001:db8::1]:81")] {
        let backend = BackendAddress::Ip(backend.parse().expect("an address"));
        assert_eq!(check.address(&backend), BackendAddress::Ip(asked.parse().expect("an address")));
    }
}

#[test]
fn a_unix_socket_has_no_port_to_ask() {
    let mut whole = support::whole();
    whole["pools"][0]["health_check"] = check(&json!({"tcp": {}}));
    whole["pools"][0]["health_check"]["port"] = json!(81);
    whole["pools"][0]["backends"][1]["address"] = json!({"unix": "/run/app.sock"});
    let spec: Spec = serde_json::from_value(whole).expect("the description is whole");
    let errors: Vec<_> = support::errors(&spec).iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        ["pools.app.health_check.port: backend \"10.0.0.2:80\" is a Unix socket, which has no port"]
    );
}

#[test]
fn whatever_would_not_be_one_request_is_refused() {
    for (change, path) in [
        (json!({"path": "health"}), "path"),
        (json!({"path": "/a b"}), "path"),
        (json!({"path": "/a\r\nX: y"}), "path"),
        (json!({"path": "/a#b"}), "path"),
        (json!({"path": "/\u{e9}"}), "path"),
        (json!({"host": "a b"}), "host"),
        (json!({"host": ""}), "host"),
        (json!({"headers": [["X-A", "a\r\nb"]]}), "headers.X-A"),
        (json!({"headers": [["X-A", " a"]]}), "headers.X-A"),
        (json!({"headers": [["X A", "a"]]}), "headers.X A"),
        (json!({"headers": [["connection", "close"]]}), "headers.connection"),
        (json!({"headers": [["Host", "a"]]}), "headers.Host"),
        (json!({"headers": [["Content-Length", "1"]]}), "headers.Content-Length"),
    ] {
        let errors = refused(&change);
        let place = format!("pools.app.health_check.{path}: ");
        assert!(errors.len() == 1 && errors[0].starts_with(&place), "{change} {errors:?}");
    }
}

#[test]
fn expectations_that_nothing_meets_are_refused_all_at_once() {
    let errors = refused(&json!({
        "method": "HEAD",
        "expect_statuses": [[200, 199], [200, 200], [600, 700]],
        "expect_body": {"regex": "("},
        "expect_headers": [["X-A", {"regex": "["}], ["X-B", {"pattern": "["}]],
    }));
    let places: Vec<_> = errors.iter().map(|error| error.split_once(": ").expect("a place").0).collect();
    let at = "pools.app.health_check.expect";
    assert_eq!(
        places,
        [
            format!("{at}.status.0"),
            format!("{at}.status.2"),
            format!("{at}.body"),
            format!("{at}.body.regex"),
            format!("{at}.headers.X-A.regex"),
        ]
    );
    assert!(errors[3].contains("regex \"(\": unclosed group"), "{errors:?}");
    assert_eq!(refused(&json!({"expect_statuses": []})).len(), 1);
}

#[test]
fn numbers_that_can_not_be_are_refused() {
    let mut written = check(&json!({"exec": {"command": []}}));
    for key in ["interval_ms", "timeout_ms", "healthy_threshold", "unhealthy_threshold", "port"] {
        written[key] = json!(0);
    }
    let errors = build(&written).expect_err("it is refused");
    assert_eq!(errors.len(), 6, "{errors:?}");
}
