//! Interim answers and the wait for one of them (RFC 9110 10.1.1, 15.2).

use super::Proxy;
use super::wire::field;

const WAITING: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn the_backend_says_when_the_body_may_come() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) = proxy.exchange(WAITING);
    assert_eq!(field(&head, "expect"), Some("100-continue"));
    assert!(client.is_silent(), "nobody but the backend may ask for the body");
    backend.send("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.answer_head().status, 100);
    client.send("abc");
    assert_eq!(backend.take(3), "abc");
    backend.send(OK);
    assert_eq!(client.answer().field("connection"), None);
    client.send(WAITING);
    backend.head();
}

#[test]
fn a_client_may_send_its_body_unasked() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(WAITING);
    client.send("abc");
    assert_eq!(backend.take(3), "abc");
    backend.send(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_backend_that_wants_no_body_is_answered_for_and_the_connection_closed() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(WAITING);
    backend.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (403, Some("close")));
    client.has_ended();
    backend.has_ended();
}

#[test]
fn an_http_1_0_client_expects_nothing() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) =
        proxy.exchange("POST / HTTP/1.0\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
    assert_eq!(field(&head, "expect"), None);
    assert_eq!(backend.take(3), "abc");
    backend.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    backend.send(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn early_hints_are_passed_on() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n");
    let hints = client.answer_head();
    assert_eq!((hints.status, hints.field("link"), hints.field("x-hop")), (103, Some("</a>"), None));
    assert_eq!(client.answer_head().status, 103);
    backend.send(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_backend_that_breaks_after_an_interim_answer_is_not_asked_again() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.send("HTTP/1.1 103 Early Hints\r\n\r\n");
    client.answer_head();
    drop(backend);
    assert_eq!(client.answer().status, 502);
    assert!(proxy.origins[0].is_alone());
}
