//! The router against the rules as they are written down: every route tried, the best one kept.

mod support;

use std::cmp::Reverse;

use fairlead_plan::Verdict;
use fairlead_plan::spec::{PathMatch, Route};
use proptest::prelude::*;

/// What decides between two routes that match, in the order of comparison; the smallest wins.
type Key = (Reverse<i64>, (u8, Reverse<usize>), (u8, Reverse<usize>), usize);

fn model(routes: &[Route], host: &str, path: &str) -> Option<usize> {
    let host = host.to_ascii_lowercase();
    let host = host.split(':').next().expect("split gives at least one part");
    let host = host.strip_suffix('.').unwrap_or(host);
    let keys = routes.iter().enumerate().filter_map(|(order, route)| -> Option<Key> {
        let hosts = &route.r#match.hosts;
        let host = if hosts.is_empty() {
            (2, Reverse(0))
        } else {
            hosts.iter().filter_map(|rule| host_key(rule, host)).min()?
        };
        let paths = &route.r#match.paths;
        let path = if paths.is_empty() {
            (3, Reverse(0))
        } else {
            paths.iter().filter_map(|rule| path_key(rule, path)).min()?
        };
        Some((Reverse(route.priority), host, path, order))
    });
    keys.min().map(|key| key.3)
}

fn host_key(rule: &str, host: &str) -> Option<(u8, Reverse<usize>)> {
    match rule.strip_prefix('*') {
        Some(suffix) => (host.ends_with(suffix) && host != suffix).then_some((1, Reverse(suffix.len()))),
        None => (rule == host).then_some((0, Reverse(0))),
    }
}

fn path_key(rule: &PathMatch, path: &str) -> Option<(u8, Reverse<usize>)> {
    match rule {
        PathMatch::Regex(pattern) => {
            regex::Regex::new(pattern).expect("a regex").is_match(path).then_some((2, Reverse(0)))
        }
        PathMatch::Pattern(pattern) if !pattern.contains('*') => (pattern == path).then_some((0, Reverse(0))),
        PathMatch::Pattern(pattern) => {
            // Spelled out as a regex: `/x/*` is `/x` and all below, `*` inside one segment.
            let (fixed, tail) = match pattern.strip_suffix("/*") {
                Some(fixed) => (fixed, "(/.*)?"),
                None => (pattern.as_str(), ""),
            };
            let spelled = format!("^{}{tail}$", fixed.replace('*', "[^/]+"));
            let literals = pattern.split('/').filter(|part| !part.is_empty() && *part != "*").count();
            let absolute = path.starts_with('/');
            (absolute && regex::Regex::new(&spelled).expect("a regex").is_match(path))
                .then_some((1, Reverse(literals)))
        }
    }
}

fn host() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "com"]), 1..4)
        .prop_map(|labels| labels.join("."))
}

fn host_rule() -> impl Strategy<Value = String> {
    (any::<bool>(), host()).prop_map(|(wildcard, host)| if wildcard { format!("*.{host}") } else { host })
}

/// As a client may send it: any case, with a port, with the root's dot, or not at all.
fn asked_host() -> impl Strategy<Value = String> {
    let ends = prop::sample::select(vec!["", ":80", ".", ".:8080"]);
    let sent = (host(), any::<bool>(), ends).prop_map(|(host, upper, end)| {
        let host = if upper { host.to_ascii_uppercase() } else { host };
        format!("{host}{end}")
    });
    prop_oneof![9 => sent, 1 => Just(String::new())]
}

fn segments(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(of), 0..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn path_rule() -> impl Strategy<Value = PathMatch> {
    let slash = prop::sample::select(vec!["", "/"]);
    let pattern = (segments(&["x", "y", "*"]), slash).prop_map(|(path, slash)| {
        PathMatch::Pattern(if path == "/" { path } else { format!("{path}{slash}") })
    });
    let regex = prop::sample::select(vec!["^/x", "y$", "/x/[xy]", "/z?/", ""]);
    prop_oneof![4 => pattern, 1 => regex.prop_map(|text| PathMatch::Regex(text.to_owned()))]
}

fn asked_path() -> impl Strategy<Value = String> {
    let path = (segments(&["x", "y", "z", "xy"]), prop::sample::select(vec!["", "/"]))
        .prop_map(|(path, slash)| if path == "/" { path } else { format!("{path}{slash}") });
    prop_oneof![19 => path, 1 => Just("*".to_owned())]
}

fn route() -> impl Strategy<Value = Route> {
    let hosts = prop::collection::vec(host_rule(), 0..3);
    let paths = prop::collection::vec(path_rule(), 0..3);
    (hosts, paths, prop_oneof![4 => Just(0_i64), 1 => -1..3_i64]).prop_map(|(hosts, paths, priority)| {
        let mut route = support::route(&[], &[]);
        route.r#match.hosts = hosts;
        route.r#match.paths = paths;
        route.priority = priority;
        route
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn router_decides_as_the_rules_say(
        routes in prop::collection::vec(route(), 0..24),
        requests in prop::collection::vec((asked_host(), asked_path()), 1..24),
    ) {
        let plan = support::routed(routes.clone());
        let router = &plan.listeners[0].router;
        for (host, path) in requests {
            let expected = model(&routes, &host, &path);
            prop_assert_eq!(router.route(host.as_bytes(), path.as_bytes()), expected, "{} {}", host, path);
            let steps = router.trace(host.as_bytes(), path.as_bytes());
            let won: Vec<_> =
                steps.iter().filter(|step| step.verdict == Verdict::Won).map(|step| step.route).collect();
            prop_assert_eq!(won, Vec::from_iter(expected), "trace of {} {}", host, path);
            prop_assert_eq!(steps.len(), routes.len());
        }
    }
}
