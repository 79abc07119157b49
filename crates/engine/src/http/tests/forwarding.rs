//! What a backend learns of the client, and what it must not believe.

use super::wire::field;
use super::{Proxy, listener, route};

const CLAIMS: &str = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: other\r\n\
                      x_forwarded_for: 1\r\nForwarded: for=1\r\nX-Request-ID: mine\r\n";

fn claiming() -> String {
    format!("GET / HTTP/1.1\r\nHost: x.example:81\r\n{CLAIMS}\r\n")
}

#[test]
fn a_stranger_is_not_believed() {
    let proxy = Proxy::start();
    let (_client, _backend, head) = proxy.exchange(&claiming());
    assert_eq!(field(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(field(&head, "x-forwarded-proto"), Some("http"));
    assert_eq!(field(&head, "x-forwarded-host"), Some("x.example:81"));
    assert_eq!(field(&head, "x-forwarded-port"), Some("81"));
    assert_eq!((field(&head, "x_forwarded_for"), field(&head, "forwarded")), (None, None));
    let id = field(&head, "x-request-id").expect("an id");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
}

#[test]
fn a_trusted_peer_is_believed() {
    let proxy = Proxy::with(1, |spec| listener(spec)["trusted"] = vec!["127.0.0.0/8"].into());
    let (_client, _backend, head) = proxy.exchange(&claiming());
    assert_eq!(field(&head, "x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(field(&head, "x-forwarded-proto"), Some("https"));
    assert_eq!(field(&head, "x-forwarded-host"), Some("other"));
    assert_eq!(field(&head, "x-request-id"), Some("mine"));
}

#[test]
fn the_form_is_the_routes_choice() {
    for (form, forwarded, x_forwarded) in
        [("forwarded", true, false), ("both", true, true), ("none", false, false)]
    {
        let proxy = Proxy::with(1, |spec| {
            route(spec)["request"]["forwarded"] = form.into();
            route(spec)["request"]["id"] = serde_json::Value::Null;
        });
        let (_client, _backend, head) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let expected = forwarded.then_some("for=127.0.0.1;host=\"x\";proto=http");
        assert_eq!(field(&head, "forwarded"), expected, "{form}");
        assert_eq!(field(&head, "x-forwarded-for").is_some(), x_forwarded, "{form}");
        assert_eq!(field(&head, "x-request-id"), None, "{form}");
    }
}

#[test]
fn what_concerns_one_hop_stays_on_it() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) = proxy.exchange(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Hop, X-Forwarded-For\r\nKeep-Alive: 1\r\nTE: trailers\r\nX-Hop: 1\r\nProxy-Connection: x\r\nX-End: 1\r\n\r\n",
    );
    for name in ["connection", "keep-alive", "te", "x-hop", "proxy-connection"] {
        assert_eq!(field(&head, name), None, "{name}");
    }
    assert_eq!((field(&head, "x-end"), field(&head, "x-forwarded-for")), (Some("1"), Some("127.0.0.1")));
    backend.send(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-End: 1\r\nContent-Length: 0\r\n\r\n",
    );
    let answer = client.answer();
    for name in ["connection", "keep-alive", "x-hop"] {
        assert_eq!(answer.field(name), None, "{name}");
    }
    assert_eq!(answer.field("x-end"), Some("1"));
}

#[test]
fn the_authority_of_an_absolute_target_replaces_host() {
    let proxy = Proxy::start();
    let (_client, _backend, head) =
        proxy.exchange("GET http://real.example:82/a?b HTTP/1.1\r\nHost: other\r\n\r\n");
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\nHost: real.example:82\r\n"), "{head}");
    assert_eq!(field(&head, "x-forwarded-host"), Some("real.example:82"));
}
