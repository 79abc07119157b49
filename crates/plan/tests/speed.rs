//! What building and asking cost. Measures, so it is asked for by name:
//! `cargo test --release -p fairlead-plan --test speed -- --ignored --nocapture`.

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use fairlead_balance::Live;
use fairlead_plan::spec::Spec;
use fairlead_plan::{Plan, Router};

const HOSTS: usize = 1_000;
const PATHS: usize = 10;
const ROUNDS: usize = 200;

fn many() -> Spec {
    let routes = (0..HOSTS).flat_map(|host| {
        (0..PATHS).map(move |path| {
            let star = if is_wildcard(host) { "*." } else { "" };
            let host = format!("{star}host-{host}.example.com");
            let path = if path == 0 { "/*".to_owned() } else { format!("/api/service-{path}/*") };
            support::route(&[&host], &[&path])
        })
    });
    support::spec(routes.collect())
}

/// One host in ten.
fn is_wildcard(host: usize) -> bool {
    host.is_multiple_of(10)
}

/// Requests in an order that no cache foresees.
fn requests() -> Vec<(String, String)> {
    (0..HOSTS * PATHS)
        .map(|index| index * 7_919 % (HOSTS * PATHS))
        .map(|index| {
            let path = format!("/api/service-{}/items/42", index % PATHS);
            let host = index / PATHS;
            let www = if is_wildcard(host) { "www." } else { "" };
            (format!("{www}host-{host}.example.com"), path)
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Of one request, in nanoseconds: the best of several rounds over all.
fn cost(router: &Router, requests: &[(String, String)]) -> f64 {
    let round = || {
        let ((), took) = timed(|| {
            for (host, path) in requests {
                black_box(router.route(black_box(host.as_bytes()), black_box(path.as_bytes())));
            }
        });
        took
    };
    let best = (0..ROUNDS).map(|_| round()).min().unwrap_or_default();
    best.as_secs_f64() * 1e9 / f64::from(requests.len() as u32)
}

#[test]
#[ignore = "measures, in release only"]
fn many_routes_cost_at_most_100_ns_more_than_one() {
    let one = support::routed(vec![support::route(&[], &["/api/*"])]);
    let many = support::plan(&many());
    let requests = requests();
    let (one, many) = (cost(&one.listeners[0].router, &requests), cost(&many.listeners[0].router, &requests));
    println!("one route {one:.1} ns, {} routes {many:.1} ns", HOSTS * PATHS);
    assert!(many - one <= 100.0);
}

#[test]
#[ignore = "measures, in release only"]
fn plan_of_10_000_routes_is_built_in_200_ms() {
    let spec = many();
    let (plan, took) = timed(|| Plan::build(&spec, &Live::new()));
    println!("{} routes built in {took:?}", HOSTS * PATHS);
    assert!(plan.is_ok() && took < Duration::from_millis(200));
}
