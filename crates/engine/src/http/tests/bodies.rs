//! Bodies in every framing, whole, cut, too long and broken.

use super::{Proxy, listener, route};

fn chunked(backend_end: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n{backend_end}")
}

#[test]
fn a_body_of_a_known_length_arrives_as_it_was_sent() {
    let proxy = Proxy::start();
    let body = "0123456789abcdef".repeat(20_000);
    let length = body.len();
    let (mut client, mut backend, head) =
        proxy.exchange(&format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n0123456789"));
    assert!(head.contains(&format!("\r\nContent-Length: {length}\r\n")));
    client.send(&body[10..]);
    assert!(backend.take(length) == body, "the body differs");
    backend.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"));
    assert!(client.answer().body == body, "the body differs");
}

#[test]
fn a_small_body_leaves_with_its_head() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(backend.take(3), "abc");
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn chunks_extensions_and_trailers_are_understood_on_both_sides() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) = proxy.exchange(
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4;a=\"b\"\r\nabcd\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"));
    assert_eq!(backend.take(24), "4\r\nabcd\r\n0\r\nX-Sum: 1\r\n\r\n");
    backend.send(chunked("0\r\nX-Sum: 2\r\n\r\n"));
    let answer = client.answer_head();
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    assert_eq!(client.take(23), "3\r\nabc\r\n0\r\nX-Sum: 2\r\n\r\n");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.head();
}

#[test]
fn a_body_longer_than_allowed_is_refused_before_it_is_forwarded() {
    let proxy = Proxy::with(1, |spec| route(spec)["max_body_bytes"] = 10.into());
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (413, Some("close")));
    client.has_ended();
    assert!(proxy.origins[0].is_alone());
}

#[test]
fn a_chunked_body_longer_than_allowed_is_never_completed() {
    let proxy = Proxy::with(1, |spec| listener(spec)["http"]["max_body_bytes"] = 10.into());
    let (mut client, mut backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n");
    client.send("6\r\nghijkl\r\n0\r\n\r\n");
    assert_eq!(client.answer().status, 413);
    let seen = backend.try_rest().unwrap_or_default();
    assert!(!seen.contains("0\r\n\r\n"), "{seen}");
}

#[test]
fn a_body_that_goes_bad_is_answered_and_never_completed() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    client.send("zz\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (400, Some("close")));
    let seen = backend.try_rest().unwrap_or_default();
    assert!(!seen.contains("0\r\n\r\n"), "{seen}");
    client.has_ended();
}

#[test]
fn a_body_that_came_bad_with_its_head_reaches_nobody() {
    let proxy = Proxy::start();
    let large = format!("1d00\r\n{}\r\n", "x".repeat(0x1d00));
    for good in ["", "3\r\nabc\r\n", &large] {
        let mut client = proxy.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{good}zz\r\n"));
        assert_eq!(client.answer().status, 400);
        client.has_ended();
    }
    assert!(proxy.origins[0].is_alone());
}

#[test]
fn a_body_that_ends_early_is_never_completed() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    client.finish();
    assert_eq!(client.answer().status, 400);
    assert!(backend.try_rest().is_ok_and(|seen| seen == "abc"));
}

#[test]
fn an_answer_before_the_request_ended_is_delivered() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc");
    backend.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str(), answer.field("connection")), (403, "no", Some("close")));
    client.send("more of the body that nobody wants");
    client.has_ended();
    backend.try_rest().ok();
    proxy.until("in_flight", 0);
}

#[test]
fn both_bodies_may_move_at_once() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    backend.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.answer_head();
    for _ in 0..3 {
        client.send("4\r\nping\r\n");
        assert_eq!(backend.take(9), "4\r\nping\r\n");
        backend.send("4\r\npong\r\n");
        assert_eq!(client.take(9), "4\r\npong\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(backend.take(5), "0\r\n\r\n");
    backend.send("0\r\n\r\n");
    assert_eq!(client.take(5), "0\r\n\r\n");
}

#[test]
fn a_cut_answer_of_a_known_length_is_reset() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    client.answer_head();
    assert_eq!(client.take(3), "abc");
    drop(backend);
    client.was_reset();
    proxy.until("in_flight", 0);
}

#[test]
fn a_cut_answer_in_chunks_has_no_last_one() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.send(chunked(""));
    client.answer_head();
    drop(backend);
    assert_eq!(client.rest(), "3\r\nabc\r\n");
}

#[test]
fn a_cut_answer_that_only_its_end_delimits_is_reset() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("GET / HTTP/1.0\r\n\r\n");
    backend.send(chunked(""));
    client.answer_head();
    assert_eq!(client.take(3), "abc");
    drop(backend);
    client.was_reset();
}

#[test]
fn a_backend_whose_chunks_go_bad_cuts_the_answer() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    backend.send(chunked(""));
    client.answer_head();
    client.take(8);
    backend.send("nonsense\r\n");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_slow_reader_holds_its_backend_back() {
    let proxy = Proxy::start();
    let mut client = proxy.client().with_little_room();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut backend = proxy.backend().with_little_room();
    backend.head();
    let size = 256 * 1024 * 1024;
    backend.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
    let taken = backend.fill(size);
    assert!(taken < size / 2, "{taken} bytes were taken of a body that nobody reads");
    client.answer_head();
}
