//! What is refused, with which words, at which place; and that a refusal leaves no trace.

mod support;

use fairlead_balance::Live;
use fairlead_plan::Plan;
use fairlead_plan::spec::{BackendAddress, LogFormat, PathMatch, Protocol, Queue, Spec, UdpOptions};
use serde_json::{Value, json};

/// `path: message` of everything that is wrong.
fn complaints(spec: &Spec) -> Vec<String> {
    support::errors(spec).iter().map(ToString::to_string).collect()
}

fn parsed(spec: Value) -> Spec {
    serde_json::from_value(spec).expect("the description is whole")
}

#[test]
fn every_error_is_told_at_once_at_its_place() {
    let mut spec = support::spec(vec![
        support::route(&["a.com", "*bad"], &["/ok", "x", "/a*b"]),
        support::regex("(unclosed"),
        support::route(&["a.com:80"], &["/fine"]),
    ]);
    spec.listeners[0].routes[1].pool = "ap".to_owned();
    spec.listeners[0].trusted = vec!["10.0.0.0/8".to_owned(), "10.0.0.0/99".to_owned()];
    spec.listeners[0].max_connections = Some(0);
    spec.pools[0].backends[1].weight = 65_536;
    spec.pools[0].backends[1].id = "10.0.0.1:80".to_owned();
    spec.access_log = Some(fairlead_plan::spec::AccessLog {
        path: None,
        format: LogFormat::Template("{clinet}".to_owned()),
        sample: 1.5,
    });
    let told = complaints(&spec);
    let expected = [
        "pools.app.backends.1: \"10.0.0.1:80\" is already the id of backend 0 of this pool",
        "pools.app.backends.1.weight: 65536 is above the highest weight, 65535",
        "listeners.web.max_connections: must be at least 1: 0 would refuse everything",
        "listeners.web.trusted.1: \"10.0.0.0/99\" is neither a network (10.0.0.0/8) nor an address",
        "listeners.web.routes.0.match.host.1: host \"*bad\": \"*\" stands only before a name, as in \
         \"*.example.com\"; without a host the route takes every host",
        "listeners.web.routes.0.match.path.1: path \"x\": a path starts with \"/\"",
        "listeners.web.routes.0.match.path.2: path \"/a*b\": \"*\" stands for a whole segment; for a part of one \
         write {regex: …}",
        "listeners.web.routes.1.match.path: regex \"(unclosed\": unclosed group",
        "listeners.web.routes.1.pool: there is no pool \"ap\"",
        "listeners.web.routes.2.match.host: host \"a.com:80\": a host is written without its port",
        "access_log.sample: 1.5 is no share between 0 and 1",
    ];
    assert_eq!(told[..expected.len()], expected);
    let log = &told[expected.len()..];
    assert!(log.len() == 1 && log[0].starts_with("access_log.format: unknown field \"clinet\""), "{log:?}");
}

#[test]
fn names_and_binds_are_taken_once() {
    let mut spec = support::whole();
    spec["listeners"] = json!([
        support::listener("web", ":80", 80),
        support::listener("api", ":80", 80),
        support::listener("web", "*:80", 80),
    ]);
    spec["pools"] = json!([support::pool("app", &["10.0.0.1:80"]), support::pool("app", &["10.0.0.1:80"])]);
    assert_eq!(
        complaints(&parsed(spec)),
        [
            "pools.app: another pool has this name",
            "listeners.api.bind: \":80\" is already bound by listener \"web\"",
            "listeners.web: another listener has this name",
            "listeners.web.bind: \"*:80\" is already bound by listener \"web\" as \":80\"",
        ]
    );
}

#[test]
fn addresses_are_shared_by_no_two_listeners_but_one_may_have_its_own_beside_all() {
    let any = |port: u16| json!({"any": {"port": port}});
    let ip = |address: &str| json!({"ip": {"address": address}});
    let unix = json!({"unix": {"path": "/run/a.sock"}});
    let cases = [
        ((":80", any(80)), ("0.0.0.0:80", ip("0.0.0.0:80")), true),
        (("[::]:80", ip("[::]:80")), (":80", any(80)), true),
        (("127.0.0.1:80", ip("127.0.0.1:80")), ("127.0.0.1:080", ip("127.0.0.1:80")), true),
        (("unix:/run/a.sock", unix.clone()), ("unix:/run/a.sock", unix), true),
        (("0.0.0.0:80", ip("0.0.0.0:80")), ("[::]:80", ip("[::]:80")), false),
        ((":80", any(80)), ("127.0.0.1:80", ip("127.0.0.1:80")), false),
        (("0.0.0.0:80", ip("0.0.0.0:80")), ("127.0.0.1:80", ip("127.0.0.1:80")), false),
        ((":80", any(80)), (":81", any(81)), false),
        ((":0", any(0)), (":0", any(0)), false),
        (("127.0.0.1:0", ip("127.0.0.1:0")), ("127.0.0.1:0", ip("127.0.0.1:0")), false),
    ];
    for ((first, at), (second, and_at), refused) in cases {
        let mut spec = support::whole();
        spec["listeners"] = json!([support::listener("web", first, 0), support::listener("api", second, 0)]);
        spec["listeners"][0]["binds"][0]["address"] = at;
        spec["listeners"][1]["binds"][0]["address"] = and_at;
        let found = Plan::build(&parsed(spec), &Live::new());
        let written = if first == second { String::new() } else { format!(" as {first:?}") };
        let expected =
            format!("listeners.api.bind: {second:?} is already bound by listener \"web\"{written}");
        let found = found.map_or_else(|errors| vec![errors[0].to_string()], |_| Vec::new());
        assert_eq!(found, if refused { vec![expected] } else { vec![] });
    }
}

#[test]
fn a_free_port_is_told_from_others_of_its_listener_by_its_text() {
    let mut spec = support::whole();
    let bind = spec["listeners"][0]["binds"][0].clone();
    let free = |text: &str| {
        let mut bind = bind.clone();
        bind["text"] = json!(text);
        bind["address"] = json!({"any": {"port": 0}});
        bind
    };
    spec["listeners"][0]["binds"] = json!([free(":0"), free("*:0")]);
    assert_eq!(support::plan(&parsed(spec.clone())).listeners[0].binds.len(), 2);
    spec["listeners"][0]["binds"] = json!([free(":0"), free(":0")]);
    assert_eq!(
        complaints(&parsed(spec)),
        ["listeners.web.bind.1: \":0\" is already bound by listener \"web\""]
    );
}

#[test]
fn routes_of_a_listener_have_different_names() {
    let mut spec = support::spec(vec![support::route(&[], &[]), support::route(&[], &[])]);
    for route in &mut spec.listeners[0].routes {
        route.name = Some("api".to_owned());
    }
    assert_eq!(
        complaints(&spec),
        ["listeners.web.routes.1.name: another route of this listener is named \"api\""]
    );
}

#[test]
fn request_id_goes_into_a_field_that_can_be_sent() {
    let mut spec = support::spec(vec![support::route(&[], &[])]);
    spec.listeners[0].routes[0].request.id = Some("X Request".to_owned());
    assert_eq!(
        complaints(&spec),
        ["listeners.web.routes.0.request.id: \"X Request\" is no name of a header"]
    );
}

#[test]
fn tcp_listener_has_one_route_or_one_for_each_name() {
    /// Hosts and paths.
    type Conditions<'a> = (&'a [&'a str], &'a [&'a str]);
    let tcp = |sni: bool, routes: &[Conditions<'_>]| {
        let routes = routes.iter().map(|(hosts, paths)| support::route(hosts, paths)).collect();
        let mut spec = support::spec(routes);
        spec.listeners[0].protocol = Protocol::Tcp { sni };
        Plan::build(&spec, &Live::new()).map_err(|errors| errors[0].to_string())
    };
    assert!(tcp(false, &[(&[], &[])]).is_ok());
    assert!(tcp(true, &[(&["a.example"], &[]), (&["*.a.example"], &[]), (&[], &[])]).is_ok());
    let routes: [(bool, &[Conditions<'_>]); 4] = [
        (false, &[(&["a.example"], &[])]),
        (false, &[(&[], &[]), (&[], &[])]),
        (false, &[]),
        (true, &[(&["a.example"], &["/x"])]),
    ];
    for (sni, routes) in routes {
        let expected =
            "listeners.web.routes: a tcp listener reads no requests to route: one pool, or one for each name";
        assert_eq!(tcp(sni, routes).err().as_deref(), Some(expected), "{routes:?}");
    }
}

#[test]
fn udp_listener_has_one_route_and_limits_above_nothing() {
    let udp = |session_timeout_ms, max_sessions, responses| {
        let mut spec = support::spec(vec![support::route(&[], &[])]);
        spec.listeners[0].protocol =
            Protocol::Udp(UdpOptions { session_timeout_ms, max_sessions, responses });
        spec
    };
    assert_eq!(support::plan(&udp(1, 7, None)).listeners[0].max_connections, Some(7));
    assert_eq!(
        complaints(&udp(0, 0, Some(0))),
        [
            "listeners.web.udp.session_timeout: must be at least 1",
            "listeners.web.udp.max_sessions: must be at least 1",
            "listeners.web.udp.responses: must be at least 1",
        ]
    );
    let mut routed = udp(1, 1, Some(1));
    routed.listeners[0].routes[0].r#match.hosts.push("a.example".to_owned());
    assert_eq!(
        complaints(&routed),
        ["listeners.web.routes: a udp listener reads no requests to route: one pool"]
    );
}

#[test]
fn tcp_and_udp_may_have_the_same_address() {
    let mut spec = support::spec(vec![support::route(&[], &[])]);
    let mut other = spec.listeners[0].clone();
    other.name = "other".to_owned();
    spec.listeners.push(other);
    assert_eq!(complaints(&spec), ["listeners.other.bind: \":8080\" is already bound by listener \"web\""]);
    let udp = UdpOptions { session_timeout_ms: 1, max_sessions: 1, responses: None };
    spec.listeners[1].protocol = Protocol::Udp(udp);
    support::plan(&spec);
    spec.listeners[0].protocol = Protocol::Udp(udp);
    assert_eq!(complaints(&spec), ["listeners.other.bind: \":8080\" is already bound by listener \"web\""]);
}

#[test]
fn pool_of_a_udp_listener_has_addresses_with_ports_and_nobody_waits_there() {
    let mut spec = support::spec(vec![support::route(&[], &[])]);
    spec.listeners[0].protocol =
        Protocol::Udp(UdpOptions { session_timeout_ms: 1, max_sessions: 1, responses: None });
    spec.pools[0].backends[1].address = BackendAddress::Unix("/run/a.sock".to_owned());
    spec.pools[0].queue = Some(Queue { size: 1, timeout_ms: 1, priority: None });
    assert_eq!(
        complaints(&spec),
        [
            "pools.app.queue: listener \"web\" is udp, where nothing waits",
            "pools.app.backends.1: listener \"web\" is udp, which needs an IP address and a port",
        ]
    );
}

#[test]
fn pool_is_empty_only_while_it_waits_for_its_members() {
    let mut spec = support::spec(vec![]);
    spec.pools[0].backends.clear();
    assert_eq!(complaints(&spec), ["pools.app.backends: a pool needs a backend"]);
    spec.pools[0].resolved = true;
    assert!(support::plan(&spec).pools[0].membership.backends.is_empty());
}

#[test]
fn backend_has_an_address_that_can_be_dialled() {
    let mut spec = support::whole();
    spec["pools"][0]["backends"] = json!([support::backend("10.0.0.1:0"), support::backend("10.0.0.2:80")]);
    spec["pools"][0]["backends"][1]["address"] = json!({"unix": ""});
    spec["pools"][0]["backends"][1]["max_in_flight"] = json!(0);
    assert_eq!(
        complaints(&parsed(spec)),
        [
            "pools.app.backends.0.address: a backend needs a port other than 0",
            "pools.app.backends.1.max_in_flight: must be at least 1: weight 0 takes no new work",
            "pools.app.backends.1.address: a Unix socket needs a path",
        ]
    );
}

#[test]
fn regex_that_would_take_too_much_memory_is_refused_in_one_line() {
    let complaints = complaints(&support::spec(vec![support::regex(r"\w{1000}{1000}")]));
    assert_eq!(complaints.len(), 1);
    assert!(complaints[0].contains("exceeds size limit") && !complaints[0].contains('\n'), "{complaints:?}");
}

#[test]
fn pattern_that_no_path_can_have_is_refused_with_the_reason() {
    let path = |text: &str| complaints(&support::spec(vec![support::route(&[], &[text])])).concat();
    assert!(path("/a?b").ends_with("a path has no query and no fragment"));
    assert!(path("/a\\b").contains("backslash"));
    assert!(path("/%zz").contains("path \"/%zz\": "));
    assert!(path(&"/a".repeat(65)).ends_with("a pattern has at most 64 segments"));
}

#[test]
fn host_that_no_request_can_ask_for_is_refused_with_the_reason() {
    let host = |text: &str| complaints(&support::spec(vec![support::route(&[text], &[])])).concat();
    for text in ["", ".", "*.", ".a.com", "a..com"] {
        assert!(host(text).ends_with("a name has something before and after each dot"), "{text:?}");
    }
    assert!(host("*").ends_with("without a host the route takes every host"));
    assert!(host("a.com/x").contains("not the name of a host"));
    assert!(host("b\u{fc}cher.example").ends_with("xn-- form)"));
    assert!(host(&"a".repeat(255)).ends_with("a name is at most 253 bytes long"));
    for text in ["a.com.", "[::1]", "A.com", "*.a.com"] {
        assert_eq!(support::routed(vec![support::route(&[text], &[])]).listeners.len(), 1);
    }
}

#[test]
fn description_is_read_only_if_every_key_is_there_and_none_is_unknown() {
    let refusal = |spec: Value| serde_json::from_value::<Spec>(spec).expect_err("not whole").to_string();
    let mut unknown = support::whole();
    unknown["listeners"][0]["colour"] = json!(null);
    assert!(refusal(unknown).contains("unknown field `colour`"));
    let mut missing = support::whole();
    missing.as_object_mut().expect("an object").remove("access_log");
    assert!(refusal(missing).contains("missing field `access_log`"));
    let spec = support::spec(vec![support::route(&["a"], &["/x"]), support::regex("x")]);
    assert!(matches!(spec.listeners[0].routes[1].r#match.paths[..], [PathMatch::Regex(_)]));
    let text = serde_json::to_string(&spec).expect("it can be written");
    assert_eq!(serde_json::from_str::<Spec>(&text).expect("it can be read"), spec);
}
