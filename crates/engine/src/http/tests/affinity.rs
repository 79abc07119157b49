//! Clients that belong to a backend.

use serde_json::json;

use super::Proxy;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// With so many backends, and a client's cookie of the first of them.
fn known(backends: usize, on_failure: &str) -> (Proxy, super::Wire, super::Wire, String) {
    let proxy = Proxy::with(backends, |spec| {
        spec["pools"][0]["affinity"] = json!({"on_failure": on_failure, "by": {"cookie": {
            "name": "S", "ttl_s": null, "secure": "auto", "same_site": "lax", "path": "/", "domain": null,
            "secret": null,
        }}});
    });
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send(OK);
    let answer = client.answer();
    let cookie = answer.field("set-cookie").and_then(|field| field.split(';').next()).expect("a cookie");
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
    (proxy, client, backend, request)
}

#[test]
fn a_known_client_stays_where_only_an_idle_connection_was_closed() {
    for on_failure in ["rebalance", "fail"] {
        let (proxy, mut client, mut backend, request) = known(2, on_failure);
        client.send(&request);
        assert!(!backend.head().contains("Cookie"), "the cookie is ours alone");
        drop(backend);
        let mut again = proxy.backend();
        again.head();
        again.send(OK);
        let answer = client.answer();
        assert_eq!((answer.status, answer.field("set-cookie")), (200, None));
        assert!(proxy.origins[1].is_alone());
    }
}

#[test]
fn a_known_client_is_sent_nowhere_else_when_that_would_fail_it() {
    let (proxy, mut client, mut backend, request) = known(2, "fail");
    client.send(&request);
    backend.head();
    drop(backend);
    drop(proxy.backend());
    let answer = client.answer();
    assert_eq!(answer.status, 502);
    assert!(proxy.origins[1].is_alone());
}

#[test]
fn a_known_client_moves_on_when_its_backend_breaks_for_good() {
    let (proxy, mut client, backend, request) = known(2, "rebalance");
    // So that a fresh connection is what breaks, and not an idle one.
    drop(backend);
    proxy.until("idle", 0);
    client.send(&request);
    drop(proxy.backend());
    let mut other = proxy.origins[1].accept();
    other.head();
    other.send(OK);
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .field("set-cookie")
            .is_some_and(|field| !request.contains(field.split(';').next().unwrap_or("?")))
    );
}
