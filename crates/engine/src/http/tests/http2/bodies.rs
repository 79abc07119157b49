//! Bodies both ways: streamed, cut, too long, with trailers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::super::wire::Wire;
use super::super::{Proxy, route};
use super::client::{Asked, Client, request};
use super::{start, with};

/// An upload of which a backend has some.
struct Upload {
    proxy: Proxy,
    client: Client,
    asked: Asked,
    backend: Wire,
}

impl Upload {
    fn begin() -> Self {
        let proxy = start();
        let mut client = Client::connect(proxy.address);
        let mut asked = client.ask(post(&[]), false);
        let mut backend = proxy.backend();
        backend.head();
        client.send(&mut asked.body, Bytes::from_static(b"abcd"), false);
        assert_eq!(backend.take(9), "4\r\nabcd\r\n");
        Self { proxy, client, asked, backend }
    }
}

fn post(fields: &[(&str, &str)]) -> http::Request<()> {
    request("POST", "http://x.example/", fields)
}

#[test]
fn a_body_of_a_known_length_arrives_as_it_was_sent() {
    let proxy = start();
    let body = "0123456789abcdef".repeat(40_000);
    let length = body.len().to_string();
    let mut client = Client::connect(proxy.address);
    let mut asked = client.ask(post(&[("content-length", &length)]), false);
    let mut backend = proxy.backend();
    assert!(backend.head().contains(&format!("\r\nContent-Length: {length}\r\n")));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| backend.take(body.len()));
        client.send(&mut asked.body, Bytes::from(body.clone()), true);
        assert!(reader.join().expect("a backend") == body, "the body differs");
    });
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            backend.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"));
        });
        assert!(client.answer(asked).expect("an answer").body == body, "the body differs");
        writer.join().expect("a backend");
    });
}

#[test]
fn a_body_without_a_length_comes_in_chunks_and_trailers_pass_both_ways() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let mut asked = client.ask(post(&[]), false);
    let mut backend = proxy.backend();
    assert!(backend.head().contains("\r\nTransfer-Encoding: chunked\r\n"));
    client.send(&mut asked.body, Bytes::from_static(b"abcd"), false);
    assert_eq!(backend.take(9), "4\r\nabcd\r\n");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    asked.body.send_trailers(trailers).expect("sent");
    client.go();
    assert_eq!(backend.take(15), "0\r\nx-sum: 1\r\n\r\n");
    backend.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 2\r\n\r\n");
    let answer = client.answer(asked).expect("an answer");
    assert_eq!((answer.body.as_str(), answer.field("transfer-encoding")), ("abc", None));
    assert_eq!(answer.trailers.expect("trailers")["x-sum"], "2");
}

#[test]
fn an_answer_streams_while_its_request_does() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let mut asked = client.ask(post(&[]), false);
    let mut backend = proxy.backend();
    backend.head();
    client.send(&mut asked.body, Bytes::from_static(b"a"), false);
    assert_eq!(backend.take(6), "1\r\na\r\n");
    backend.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n");
    let (head, mut stream, mut body) = client.head(asked).expect("a head");
    assert_eq!(head.status(), 200);
    let piece = client.wait(stream.data()).expect("data").expect("a piece");
    assert_eq!(piece, "b");
    client.send(&mut body, Bytes::from_static(b"c"), true);
    assert_eq!(backend.take(11), "1\r\nc\r\n0\r\n\r\n");
    backend.send("0\r\n\r\n");
    assert_eq!(client.rest(stream).expect("an end").0, "");
}

#[test]
fn an_upload_that_its_client_resets_is_never_ended_cleanly() {
    let Upload { proxy, mut client, mut asked, mut backend } = Upload::begin();
    asked.body.send_reset(h2::Reason::CANCEL);
    client.go();
    assert!(backend.try_rest().is_ok_and(|rest| rest.is_empty()), "no last chunk");
    proxy.until("in_flight", 0);
    // The connection goes on.
    let asked = client.get();
    let mut backend = proxy.backend();
    backend.head();
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer(asked).expect("an answer").status(), 200);
}

#[test]
fn an_upload_whose_connection_breaks_is_never_ended_cleanly() {
    let Upload { proxy, client, asked: _, mut backend } = Upload::begin();
    drop(client);
    assert!(backend.try_rest().is_ok_and(|rest| rest.is_empty()), "no last chunk");
    proxy.until("in_flight", 0);
}

#[test]
fn a_cut_answer_resets_its_stream_and_no_other() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let asked = client.get();
        let mut backend = proxy.backend();
        backend.head();
        backend.send(answer);
        let (head, stream, _) = client.head(asked).expect("a head");
        assert_eq!(head.status(), 200);
        drop(backend);
        let error = client.rest(stream).expect_err("it was cut");
        assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    }
    let asked = client.get();
    let mut backend = proxy.backend();
    backend.head();
    backend.send("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    drop(backend);
    assert_eq!(client.answer(asked).expect("an answer").body, "until the end");
}

#[test]
fn a_body_longer_than_allowed_is_refused() {
    let proxy = with(|spec| route(spec)["max_body_bytes"] = 10.into());
    let mut client = Client::connect(proxy.address);
    let asked = client.ask(post(&[("content-length", "11")]), false);
    assert_eq!(client.answer(asked).expect("an answer").status(), 413);
    assert!(proxy.origins[0].is_alone());
    let mut asked = client.ask(post(&[]), false);
    let mut backend = proxy.backend();
    backend.head();
    client.send(&mut asked.body, Bytes::from_static(b"12345678901"), false);
    assert_eq!(client.answer(asked).expect("an answer").status(), 413);
    assert!(!backend.rest().contains("0\r\n\r\n"), "the upload isn't ended");
}

#[test]
fn a_client_that_waits_for_a_100_gets_it_from_the_backend() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let mut asked = client.ask(post(&[("expect", "100-continue"), ("content-length", "3")]), false);
    let mut backend = proxy.backend();
    assert!(backend.head().contains("expect: 100-continue\r\n"));
    backend.send("HTTP/1.1 100 Continue\r\n\r\n");
    client.send(&mut asked.body, Bytes::from_static(b"abc"), true);
    assert_eq!(backend.take(3), "abc");
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer(asked).expect("an answer").status(), 200);
}

#[test]
fn a_reader_that_stalls_on_one_stream_holds_no_other() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let stalled = client.get();
    let mut backend = proxy.backend();
    backend.head();
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    let (_, stream, _) = client.head(stalled).expect("a head");
    // Taken is what the windows and buffers between hold, and not much more.
    let taken = backend.fill(100_000_000);
    assert!(taken < 16 * 1024 * 1024, "{taken} B were taken for a reader that reads nothing");
    let asked = client.get();
    let mut other = proxy.backend();
    other.head();
    other.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer(asked).expect("an answer").status(), 204);
    drop(stream);
}

#[test]
fn an_upload_that_its_backend_doesnt_take_is_not_kept() {
    let proxy = start();
    let mut client = Client::connect(proxy.address);
    let mut asked = client.ask(post(&[("content-length", "100000000")]), false);
    let mut backend = proxy.backend();
    backend.head();
    let mut sent = 0;
    client.wait(async {
        // What is given without waiting is what the windows and the backend's socket hold.
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        let give = async {
            loop {
                asked.body.reserve_capacity(piece.len());
                let room = std::future::poll_fn(|cx| asked.body.poll_capacity(cx)).await;
                let room = room.expect("a stream").expect("room");
                let part = piece.slice(..room.min(piece.len()));
                sent += part.len();
                asked.body.send_data(part, false).expect("sent");
            }
        };
        let _ = tokio::time::timeout(std::time::Duration::from_millis(500), give).await;
    });
    assert!(sent < 16 * 1024 * 1024, "{sent} B were taken for a backend that takes nothing");
    drop(backend);
}
