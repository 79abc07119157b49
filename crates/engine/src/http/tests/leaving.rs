//! Clients that go away: by half, and altogether.

use super::{Proxy, listener};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_client_that_only_stops_sending_gets_its_answer() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    client.finish();
    assert!(backend.is_silent(), "the backend is left alone");
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().body, "ok");
    client.has_ended();
}

#[test]
fn a_client_that_stops_sending_is_gone_where_that_is_configured() {
    let proxy = Proxy::with(1, |spec| listener(spec)["http"]["abort_on_close"] = true.into());
    let (client, mut backend, _) = proxy.exchange(GET);
    client.finish();
    assert!(backend.try_rest().is_ok());
    proxy.until("in_flight", 0);
}

#[test]
fn a_client_that_resets_frees_its_backend_at_once() {
    let proxy = Proxy::start();
    let (client, mut backend, _) = proxy.exchange(GET);
    client.reset();
    let _ = backend.try_rest();
    proxy.until("in_flight", 0);
}

#[test]
fn a_client_that_resets_amid_a_silent_answer_frees_its_backend() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    client.answer_head();
    client.take(3);
    client.reset();
    let _ = backend.try_rest();
    proxy.until("in_flight", 0);
}

#[test]
fn a_client_that_resets_amid_its_body_frees_its_backend() {
    let proxy = Proxy::start();
    let (client, mut backend, _) =
        proxy.exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
    client.reset();
    let _ = backend.try_rest();
    proxy.until("in_flight", 0);
}

#[test]
fn a_client_that_resets_while_its_backend_takes_nothing_frees_it() {
    let proxy = Proxy::start();
    let size = 256 * 1024 * 1024;
    let (mut client, backend, _) =
        proxy.exchange(&format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"));
    assert!(client.fill(size) < size);
    client.reset();
    proxy.until("in_flight", 0);
    drop(backend);
}

#[test]
fn a_client_with_a_pipeline_is_seen_to_go_too() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(GET);
    client.send(GET);
    client.reset();
    let _ = backend.try_rest();
    proxy.until("in_flight", 0);
}
