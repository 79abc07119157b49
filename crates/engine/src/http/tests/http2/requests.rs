//! One request to its answer.

use super::super::wire::field;
use super::super::{listener, route};
use super::client::{Client, request};
use super::{start, with};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nok";

#[test]
fn a_request_reaches_its_backend_as_http1_and_the_answer_comes_back() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let asked = client.ask(
        request("GET", "http://x.example/a?b", &[("x-b", "2"), ("cookie", "a=1"), ("cookie", "b=2")]),
        true,
    );
    let mut backend = proxy.backend();
    let head = backend.head();
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{head}");
    assert_eq!((field(&head, "host"), field(&head, "x-b")), (Some("x.example"), Some("2")));
    assert_eq!(field(&head, "cookie"), Some("a=1; b=2"));
    assert_eq!(field(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert!(field(&head, "x-request-id").is_some() && !head.contains("\r\n:"), "{head}");
    backend.send(OK);
    let answer = client.answer(asked).expect("an answer");
    assert_eq!((answer.status(), answer.body.as_str()), (200, "ok"));
    assert_eq!((answer.field("x-a"), answer.field("content-length")), (Some("1"), Some("2")));
    assert!(answer.field("date").is_some() && answer.field("connection").is_none());
}

#[test]
fn requests_of_one_connection_run_side_by_side_and_keep_backends_busy() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let asked: Vec<_> = (0..3).map(|_| client.get()).collect();
    let mut backends: Vec<_> = (0..3).map(|_| proxy.backend()).collect();
    for backend in backends.iter_mut().rev() {
        backend.head();
        backend.send(OK);
    }
    for asked in asked {
        assert_eq!(client.answer(asked).expect("an answer").status(), 200);
    }
    // The next one finds an idle connection to its backend.
    let asked = client.get();
    assert!(proxy.origins[0].is_alone());
    for backend in &mut backends {
        if !backend.is_silent() {
            backend.head();
            backend.send(OK);
        }
    }
    assert_eq!(client.answer(asked).expect("an answer").status(), 200);
}

#[test]
fn a_listener_of_both_versions_serves_http1_too() {
    let proxy = start();
    let mut client = proxy.client();
    // As much of the preface as a request can begin with, and then none.
    client.send("P");
    client.send("RI / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut backend = proxy.backend();
    assert!(backend.head().starts_with("PRI / HTTP/1.1\r\n"));
    backend.send(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_listener_of_http2_alone_serves_nothing_else() {
    let proxy = with(|spec| listener(spec)["http"]["versions"] = vec!["http2"].into());
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let _ = client.try_rest();
    let mut client = Client::connect(proxy.address);
    let asked = client.get();
    let mut backend = proxy.backend();
    backend.head();
    backend.send(OK);
    assert_eq!(client.answer(asked).expect("an answer").body, "ok");
}

#[test]
fn what_fairlead_answers_itself_says_why() {
    let proxy = with(|spec| route(spec)["match"]["hosts"] = vec!["other"].into());
    let mut client = Client::connect(proxy.address);
    let asked = client.get();
    let answer = client.answer(asked).expect("an answer");
    assert_eq!((answer.status(), answer.body.as_str()), (404, "404 Not Found: no route matches\n"));
    assert_eq!(
        answer.field("proxy-status"),
        Some("fairlead; error=destination_not_found; details=\"no route matches\"")
    );
    let asked = client.ask(request("HEAD", "http://x.example/", &[]), true);
    let answer = client.answer(asked).expect("an answer");
    assert_eq!((answer.status(), answer.body.as_str()), (404, ""));
}

#[test]
fn what_only_http2_can_say_is_refused_before_a_backend_sees_it() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let refused = client.ask(request("GET", "http://x.example/", &[("host", "y.example")]), true);
    let answer = client.answer(refused).expect("an answer");
    assert_eq!(answer.status(), 400);
    assert!(answer.body.contains("host differs from :authority"), "{}", answer.body);
    assert!(proxy.origins[0].is_alone());
}

#[test]
fn a_request_that_its_only_backend_broke_is_answered_so() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let asked = client.get();
    let mut backend = proxy.backend();
    backend.head();
    drop(backend);
    let answer = client.answer(asked).expect("an answer");
    assert_eq!(answer.status(), 502);
}

#[test]
fn interim_answers_are_passed_on_and_the_final_one_follows() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let asked = client.get();
    let mut backend = proxy.backend();
    backend.head();
    backend.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    backend.send(OK);
    assert_eq!(client.answer(asked).expect("an answer").body, "ok");
}

#[test]
fn a_limit_of_a_request_answers_only_that() {
    let proxy = with(|spec| route(spec)["timeouts"]["response_ms"] = 100.into());
    let mut client = Client::connect(proxy.address);
    let late = client.get();
    let mut silent = proxy.backend();
    silent.head();
    assert_eq!(client.answer(late).expect("an answer").status(), 504);
    let asked = client.get();
    let mut backend = proxy.backend();
    backend.head();
    backend.send(OK);
    assert_eq!(client.answer(asked).expect("an answer").status(), 200);
}
