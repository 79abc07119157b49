//! Connections that switch protocols and become tunnels.

use super::Proxy;
use super::wire::{Wire, field};

const ASKING: &str = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-A: 1\r\n\r\n";

fn tunnel(proxy: &Proxy) -> (Wire, Wire) {
    let (mut client, mut backend, _) = proxy.exchange(ASKING);
    backend.send(SWITCHED);
    assert_eq!(client.answer_head().status, 101);
    (client, backend)
}

#[test]
fn an_upgrade_is_agreed_on_end_to_end() {
    let proxy = Proxy::start();
    let (mut client, mut backend, head) = proxy.exchange(&format!("{ASKING}early"));
    assert_eq!((field(&head, "connection"), field(&head, "upgrade")), (Some("upgrade"), Some("websocket")));
    backend.send(format!("{SWITCHED}first"));
    let answer = client.answer_head();
    assert_eq!((answer.field("connection"), answer.field("upgrade")), (Some("upgrade"), Some("websocket")));
    assert_eq!(answer.field("sec-a"), Some("1"));
    assert_eq!(client.take(5), "first");
    assert_eq!(backend.take(5), "early");
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(backend.take(18), "GET / HTTP/1.1\r\n\r\n");
    backend.send("pong");
    assert_eq!(client.take(4), "pong");
    assert_eq!(proxy.figure("in_flight"), 1);
}

#[test]
fn a_switch_to_what_was_not_offered_is_refused() {
    for upgrade in ["Upgrade: foo\r\n", "Upgrade: websocket, foo\r\n", ""] {
        let proxy = Proxy::start();
        let (mut client, mut backend, _) = proxy.exchange(ASKING);
        backend.send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{upgrade}\r\n"));
        assert_eq!(client.answer_head().status, 502, "{upgrade:?}");
    }
}

#[test]
fn each_direction_ends_by_itself() {
    let proxy = Proxy::start();
    let (mut client, mut backend) = tunnel(&proxy);
    client.finish();
    backend.has_ended();
    backend.send("still here");
    assert_eq!(client.take(10), "still here");
    drop(backend);
    client.has_ended();
    proxy.until("in_flight", 0);
}

#[test]
fn a_break_on_one_side_is_a_break_on_the_other() {
    let proxy = Proxy::start();
    let (mut client, backend) = tunnel(&proxy);
    backend.reset();
    client.was_reset();
    let (client, mut backend) = tunnel(&proxy);
    client.reset();
    backend.was_reset();
    proxy.until("in_flight", 0);
}

#[test]
fn a_backend_may_decline() {
    let proxy = Proxy::start();
    let (mut client, mut backend, _) = proxy.exchange(ASKING);
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().body, "ok");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(field(&backend.head(), "upgrade"), None);
}

#[test]
fn http_2_by_upgrade_stays_http_1() {
    let proxy = Proxy::start();
    let (_client, _backend, head) = proxy.exchange(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n",
    );
    for name in ["connection", "upgrade", "http2-settings"] {
        assert_eq!(field(&head, name), None, "{name}");
    }
}

#[test]
fn a_tunnel_outlives_the_plans_it_began_under() {
    let mut proxy = Proxy::start();
    let (mut client, mut backend) = tunnel(&proxy);
    for _ in 0..100 {
        proxy.reload(|_| {});
        let stats = serde_json::to_value(proxy.engine.stats(false)).expect("statistics");
        assert!(stats["plans_alive"].as_u64().is_some_and(|alive| alive <= 2), "{}", stats["plans_alive"]);
    }
    client.send("ping");
    assert_eq!(backend.take(4), "ping");
}
