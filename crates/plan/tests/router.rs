//! The order of routes, rule by rule, and what a trace says of it.

mod support;

use fairlead_plan::router::MAX_HOST;
use fairlead_plan::spec::Route;
use fairlead_plan::{Criterion, Step, Verdict};
use support::{regex, route, routed};

fn winner(routes: Vec<Route>, host: &str, path: &str) -> Option<usize> {
    routed(routes).listeners[0].router.route(host.as_bytes(), path.as_bytes())
}

fn with_priority(priority: i64, mut route: Route) -> Route {
    route.priority = priority;
    route
}

#[test]
fn exact_host_stands_before_the_longer_wildcard_before_the_shorter_before_none() {
    let routes =
        vec![route(&[], &[]), route(&["*.com"], &[]), route(&["*.a.com"], &[]), route(&["b.a.com"], &[])];
    assert_eq!(winner(routes.clone(), "b.a.com", "/"), Some(3));
    assert_eq!(winner(routes.clone(), "c.a.com", "/"), Some(2));
    assert_eq!(winner(routes.clone(), "a.com", "/"), Some(1));
    assert_eq!(winner(routes, "com", "/"), Some(0));
}

#[test]
fn less_specific_host_is_asked_where_the_more_specific_one_has_no_such_path() {
    let routes = vec![route(&["a.com"], &["/x"]), route(&["*.com"], &["/y"]), route(&[], &["/z"])];
    assert_eq!(winner(routes.clone(), "a.com", "/x"), Some(0));
    assert_eq!(winner(routes.clone(), "a.com", "/y"), Some(1));
    assert_eq!(winner(routes.clone(), "a.com", "/z"), Some(2));
    assert_eq!(winner(routes, "a.com", "/"), None);
}

#[test]
fn priority_stands_before_the_host() {
    let routes = vec![route(&["a.com"], &["/x"]), with_priority(1, route(&[], &["/*"]))];
    assert_eq!(winner(routes, "a.com", "/x"), Some(1));
}

#[test]
fn exact_path_stands_before_more_literal_segments_before_a_regex_before_none() {
    let routes = vec![
        route(&[], &[]),
        regex("x"),
        route(&[], &["/x/*"]),
        route(&[], &["/x/y/*"]),
        route(&[], &["/x/y/z"]),
    ];
    assert_eq!(winner(routes.clone(), "", "/x/y/z"), Some(4));
    assert_eq!(winner(routes.clone(), "", "/x/y/w"), Some(3));
    assert_eq!(winner(routes.clone(), "", "/x/w"), Some(2));
    assert_eq!(winner(routes.clone(), "", "/wx"), Some(1));
    assert_eq!(winner(routes, "", "/w"), Some(0));
}

#[test]
fn equal_routes_stand_in_file_order() {
    assert_eq!(winner(vec![route(&[], &["/*/b"]), route(&[], &["/a/*"])], "", "/a/b"), Some(0));
    assert_eq!(winner(vec![regex("b"), regex("a")], "", "/ab"), Some(0));
}

#[test]
fn trailing_wildcard_is_the_path_itself_and_all_below_and_nothing_beside() {
    let routes = vec![route(&[], &["/x/*"])];
    for path in ["/x", "/x/", "/x/y", "/x/y/z"] {
        assert_eq!(winner(routes.clone(), "", path), Some(0), "{path}");
    }
    for path in ["/xy", "/", "/y/x", "*", ""] {
        assert_eq!(winner(routes.clone(), "", path), None, "{path}");
    }
    assert_eq!(winner(vec![route(&[], &["/*"])], "", "/"), Some(0));
}

#[test]
fn inner_wildcard_is_exactly_one_segment() {
    let routes = vec![route(&[], &["/x/*/z"])];
    assert_eq!(winner(routes.clone(), "", "/x/y/z"), Some(0));
    for path in ["/x/z", "/x//z", "/x/y/y/z", "/x/y/z/"] {
        assert_eq!(winner(routes.clone(), "", path), None, "{path}");
    }
}

#[test]
fn wildcard_path_is_found_where_the_literal_one_leads_nowhere() {
    let routes = vec![route(&[], &["/x/y/z"]), route(&[], &["/*/y/w"])];
    assert_eq!(winner(routes, "", "/x/y/w"), Some(1));
}

#[test]
fn host_is_compared_without_case_port_and_last_dot() {
    let routes = vec![route(&["a.Example.com", "[2001:DB8::1]"], &[])];
    for host in
        ["a.example.com", "A.EXAMPLE.COM", "a.example.com:8080", "a.example.com.", "A.example.com.:80"]
    {
        assert_eq!(winner(routes.clone(), host, "/"), Some(0), "{host}");
    }
    for host in ["[2001:db8::1]", "[2001:DB8::1]:8080"] {
        assert_eq!(winner(routes.clone(), host, "/"), Some(0), "{host}");
    }
    assert_eq!(winner(routes, "a.example.com.evil", "/"), None);
}

#[test]
fn wildcard_host_needs_a_name_before_its_dot() {
    let routes = vec![route(&["*.a.com"], &[])];
    assert_eq!(winner(routes.clone(), "x.y.a.com", "/"), Some(0));
    for host in ["a.com", ".a.com", "xa.com"] {
        assert_eq!(winner(routes.clone(), host, "/"), None, "{host}");
    }
}

#[test]
fn host_beyond_any_name_takes_no_route() {
    let routes = vec![route(&[], &[])];
    assert_eq!(winner(routes.clone(), &"a".repeat(MAX_HOST), "/"), Some(0));
    assert_eq!(winner(routes, &"A".repeat(MAX_HOST + 1), "/"), None);
}

#[test]
fn pattern_is_compared_in_the_form_of_normalised_paths() {
    let routes = vec![route(&[], &["/caf\u{e9}/%7euser"])];
    assert_eq!(winner(routes, "", "/caf%C3%A9/~user"), Some(0));
}

#[test]
fn trace_says_of_each_route_why_it_lost() {
    let routes = vec![
        route(&[], &["/x/*"]),
        route(&["a.com"], &["/x/*"]),
        route(&["b.com"], &[]),
        route(&["a.com"], &["/y"]),
        route(&["a.com"], &["/x/*"]),
        route(&["a.com"], &[]),
        with_priority(-1, route(&["a.com"], &["/x/z"])),
    ];
    let step = |route, verdict| Step { route, verdict };
    assert_eq!(
        routed(routes).listeners[0].router.trace(b"A.com:80", b"/x/z"),
        [
            step(1, Verdict::Won),
            step(4, Verdict::Outranked(Criterion::Order)),
            step(5, Verdict::Outranked(Criterion::Path)),
            step(0, Verdict::Outranked(Criterion::Host)),
            step(6, Verdict::Outranked(Criterion::Priority)),
            step(2, Verdict::OtherHost),
            step(3, Verdict::OtherPath),
        ]
    );
}
