//! Whole exchanges: persistence, pipelines, versions, methods and statuses without a body.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use serde_json::json;

use super::wire::field;
use super::{Proxy, listener};

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: x.example\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_request_is_forwarded_and_answered() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) = proxy.exchange(GET);
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\nHost: x.example\r\n"), "{head}");
    backend.send("HTTP/1.1 201 Made\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok");
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (201, "ok"));
    assert!(answer.head.starts_with("HTTP/1.1 201 Made\r\nX-A: 1\r\n"), "{}", answer.head);
}

#[test]
fn both_connections_serve_many_requests() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    for _ in 0..3 {
        backend.send(OK);
        assert_eq!(client.answer().field("connection"), None);
        client.send(GET);
        backend.head();
    }
    assert!(proxy.origins[0].is_alone());
}

#[test]
fn a_pipeline_is_answered_in_order() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) = proxy.exchange(
        "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    assert!(head.starts_with("GET /1 "));
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    assert!(backend.head().starts_with("POST /2 "));
    assert_eq!(backend.take(3), "abc");
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    assert!(backend.head().starts_with("GET /3 "));
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3");
    assert_eq!([client.answer().body, client.answer().body, client.answer().body], ["1", "2", "3"]);
}

#[test]
fn a_client_that_asks_for_it_is_closed() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) =
        proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(field(&head, "connection"), None, "the backend's connection is ours");
    backend.send(OK);
    assert_eq!(client.answer().field("connection"), Some("close"));
    client.has_ended();
    proxy.client().send(GET);
    assert!(backend.head().starts_with("GET "), "the backend's connection stays");
}

#[test]
fn a_backend_that_closes_is_dialed_again() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().field("connection"), None, "the client's connection is ours");
    backend.has_ended();
    client.send(GET);
    let mut second = proxy.backend();
    second.head();
    second.send(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn bodies_that_a_method_or_status_rules_out_are_not_waited_for() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    assert_eq!(client.answer_head().field("content-length"), Some("1000"));
    for status in ["204 No Content", "304 Not Modified"] {
        client.send(GET);
        backend.head();
        backend.send(format!("HTTP/1.1 {status}\r\nETag: \"a\"\r\n\r\n"));
        let answer = client.answer_head();
        assert!(answer.head.starts_with(&format!("HTTP/1.1 {status}\r\n")));
        assert_eq!(answer.field("transfer-encoding"), None);
    }
    client.send(GET);
    backend.head();
    backend.send(OK);
    assert_eq!(client.answer().body, "ok");
}

#[test]
fn an_http_1_0_client_gets_bodies_without_chunks_and_a_close() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) = proxy.exchange("GET / HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("GET / HTTP/1.1\r\nHost: \r\n"), "{head}");
    backend.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let answer = client.answer_head();
    assert_eq!((answer.field("transfer-encoding"), answer.field("connection")), (None, Some("close")));
    assert_eq!(client.rest(), "abcde");
}

#[test]
fn an_http_1_0_client_may_keep_its_connection() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    backend.send(OK);
    let answer = client.answer();
    assert_eq!((answer.field("connection"), answer.body.as_str()), (Some("keep-alive"), "ok"));
    client.send("GET / HTTP/1.0\r\n\r\n");
    backend.head();
    backend.send(OK);
    assert_eq!(client.answer().field("connection"), Some("close"));
    client.has_ended();
}

#[test]
fn an_http_1_0_backend_is_understood() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    drop(backend);
    let answer = client.answer_head();
    assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    let mut body = String::new();
    while !body.ends_with("0\r\n\r\n") {
        body.push_str(&client.take(1));
    }
    assert!(body.contains("until the end"), "{body}");
    client.send(GET);
    proxy.backend().head();
}

#[test]
fn an_answer_without_a_date_gets_one() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send(OK);
    assert!(client.answer().field("date").is_some_and(|date| date.ends_with(" GMT")));
    client.send(GET);
    backend.head();
    backend.send("HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer().field("date"), Some("then"));
}

#[test]
fn via_is_added_both_ways_where_it_is_asked_for() {
    let proxy = Proxy::with(1, |spec| listener(spec)["http"]["via"] = "edge".into());
    let (mut client, mut backend, head) = proxy.exchange("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
    assert_eq!(field(&head, "via"), Some("1.0 edge"));
    backend.send(OK);
    assert_eq!(client.answer().field("via"), Some("1.1 edge"));
}

#[test]
fn empty_lines_between_requests_are_no_request() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send(OK);
    client.answer();
    client.send("\r\n");
    assert!(client.is_silent());
    client.send(format!("\r\n{GET}"));
    backend.head();
    backend.send(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn bytes_after_an_answer_reach_nobody_and_end_the_connection() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    );
    assert_eq!(client.answer().body, "ok");
    client.send(GET);
    let mut second = proxy.backend();
    second.head();
    second.send(OK);
    assert_eq!(client.answer().body, "ok");
    assert!(client.is_silent());
}

#[test]
fn a_body_behind_an_answer_to_head_ends_the_connection() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    assert_eq!(client.answer_head().status, 200);
    client.send(GET);
    let mut second = proxy.backend();
    second.head();
    second.send(OK);
    assert_eq!(client.answer().body, "ok");
}

#[test]
fn trace_and_options_go_as_many_hops_as_they_may() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) =
        proxy.exchange("OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 2\r\n\r\n");
    assert!(head.starts_with("OPTIONS * HTTP/1.1\r\n"));
    assert_eq!(field(&head, "max-forwards"), Some("1"));
    backend.send(OK);
    client.answer();
    client.send("OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n");
    assert!(client.answer().field("allow").is_some_and(|methods| methods.contains("TRACE")));
    client.send("TRACE /t HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\nCookie: secret\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.field("content-type"), Some("message/http"));
    assert_eq!(answer.body, "TRACE /t HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n");
    client.send(GET);
    assert!(backend.head().starts_with("GET "), "nothing of the others was forwarded");
}

#[test]
fn unix_sockets_serve_on_both_sides() {
    let directory = std::env::temp_dir().join(format!("fairlead-http-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let (front, back) = (directory.join("front.sock"), directory.join("back.sock"));
    let origin = UnixListener::bind(&back).expect("a socket");
    let _proxy = Proxy::with(1, |spec| {
        let bind = json!({"text": "127.0.0.1:0", "address": {"unix": {"path": front}}, "port_hint": null});
        listener(spec)["binds"][0] = bind;
        spec["pools"][0]["backends"][0]["address"] = json!({"unix": back});
    });
    let mut client = UnixStream::connect(&front).expect("a connection");
    client.write_all(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n").expect("sent");
    let (mut backend, _) = origin.accept().expect("a connection");
    let mut head = [0; 1024];
    let received = backend.read(&mut head).expect("a head");
    let head = String::from_utf8_lossy(&head[..received]);
    assert_eq!(field(&head, "x-forwarded-for"), Some("unknown"), "{head}");
    backend.write_all(OK.as_bytes()).expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    std::fs::remove_dir_all(&directory).expect("our directory");
}
