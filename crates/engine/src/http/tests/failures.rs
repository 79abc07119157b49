//! Answers of Fairlead's own: which status, why, and that nothing of a refused request reached a backend.

use super::{Proxy, listener, route};

/// What a request is answered with where no backend takes part in it.
fn refused(proxy: &Proxy, request: &str) -> (u16, String) {
    let mut client = proxy.client();
    client.send(request);
    let answer = client.answer();
    let why = answer.field("proxy-status").expect("a reason").to_owned();
    assert!(why.starts_with("fairlead; error="), "{why}");
    assert!(answer.body.starts_with(&answer.status.to_string()), "{}", answer.body);
    (answer.status, why)
}

#[test]
fn what_is_refused_is_told_why() {
    let proxy = Proxy::with(1, |spec| {
        listener(spec)["http"]["max_header_bytes"] = 2000.into();
        listener(spec)["http"]["max_headers"] = 5.into();
    });
    let long = "x".repeat(3000);
    let cases = [
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (
            400,
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        ),
        (400, "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        (405, "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n".to_owned()),
        (414, format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
        (417, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: magic\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(5))),
        (501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: magic\r\n\r\n".to_owned()),
        (505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_owned()),
    ];
    for (status, request) in cases {
        assert_eq!(refused(&proxy, &request).0, status, "{request}");
    }
    assert!(proxy.origins[0].is_alone());
}

#[test]
fn no_route_is_404_and_keeps_the_connection() {
    let proxy = Proxy::with(1, |spec| {
        route(spec)["match"]["hosts"] = vec!["a.example"].into();
    });
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.status, answer.field("connection")), (404, None));
        assert!(answer.field("proxy-status").is_some_and(|why| why.contains("destination_not_found")));
    }
    client.send("POST / HTTP/1.1\r\nHost: b.example\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.answer().status, 404);
    assert!(proxy.backend().head().starts_with("GET / "));
}

#[test]
fn an_encoded_slash_is_refused_where_it_is_to_be() {
    let proxy = Proxy::with(1, |spec| listener(spec)["http"]["encoded_slashes"] = "refuse".into());
    assert_eq!(refused(&proxy, "GET /a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n").0, 400);
}

#[test]
fn a_route_matches_the_normalised_path_and_forwards_the_received_one() {
    let proxy = Proxy::with(1, |spec| {
        route(spec)["match"]["paths"] = vec![serde_json::json!({"pattern": "/a/*"})].into();
    });
    let (_client, _backend, head) = proxy.exchange("GET /x/../%61//b HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("GET /x/../%61//b HTTP/1.1\r\n"), "{head}");
}

#[test]
fn full_backends_shed_with_a_time_to_come_back() {
    let proxy = Proxy::with(1, |spec| spec["pools"][0]["backends"][0]["max_in_flight"] = 1.into());
    let (mut first, mut backend, _) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut second = proxy.client();
    second.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = second.answer();
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("1")));
    assert!(answer.field("proxy-status").is_some_and(|why| why.contains("connection_limit_reached")));
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(first.answer().status, 200);
    proxy.until("in_flight", 0);
    second.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.head();
}

#[test]
fn malformed_answers_are_502_and_end_the_connection() {
    let proxy = Proxy::start();
    let malformed = [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ];
    for answer in malformed {
        let (mut client, mut backend, _) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        backend.send(answer);
        let given = client.answer();
        assert_eq!((given.status, given.field("connection")), (502, None), "{answer}");
        assert!(given.field("proxy-status").is_some(), "{answer}");
        assert_eq!(backend.try_rest().unwrap_or_default(), "", "{answer}");
    }
    proxy.until("in_flight", 0);
}

#[test]
fn an_answer_whose_head_ends_early_is_502() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.send("HTTP/1.1 200 OK\r\nContent-");
    drop(backend);
    let answer = client.answer();
    assert_eq!(answer.status, 502);
    assert!(answer.field("proxy-status").is_some_and(|why| why.contains("http_response_incomplete")));
}

#[test]
fn a_head_that_ends_early_is_400() {
    let proxy = Proxy::start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHos");
    client.finish();
    assert_eq!(client.answer().status, 400);
    client.has_ended();
}

#[test]
fn a_panic_ends_its_connection_and_nothing_else() {
    let proxy = Proxy::start();
    let (mut other, mut backend, _) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nX-Test-Panic: 1\r\n\r\n");
    assert_eq!(client.try_rest().unwrap_or_default(), "");
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(other.answer().status, 200);
    proxy.until("in_flight", 0);
    let stats = serde_json::to_value(proxy.engine.stats(false)).expect("statistics");
    assert_eq!(stats["totals"]["panics"], 1);
}
