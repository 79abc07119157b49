//! Checks of backends on real sockets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use fairlead_balance::Live;
use fairlead_plan::spec::{BackendAddress, Spec};
use fairlead_plan::{HealthCheck, Plan};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, LocalOptions};

use super::{Failure, Success, probe};
use crate::clock;
use crate::upstream::DialFailure;

/// Longer than anything here takes, but for what is meant to take too long.
const PATIENCE: u64 = 20_000;

fn http(change: &Value) -> Value {
    let mut http = json!({
        "method": "GET", "path": "/health", "host": null, "headers": [], "expect_statuses": [[200, 399]],
        "expect_body": null, "expect_headers": [],
    });
    for (key, value) in change.as_object().unwrap() {
        http[key] = value.clone();
    }
    json!({"http": http})
}

fn check(timeout_ms: u64, port: Option<u16>, probe: &Value) -> std::sync::Arc<HealthCheck> {
    told(&Value::Null, timeout_ms, port, probe)
}

/// The check of a pool whose backends are told who their clients are.
fn told(
    send_proxy: &Value,
    timeout_ms: u64,
    port: Option<u16>,
    probe: &Value,
) -> std::sync::Arc<HealthCheck> {
    let whole = json!({
        "version": 1, "max_memory_bytes": null, "zone": null, "drain_timeout_ms": 0, "access_log": null, "listeners": [],
        "pools": [{
            "name": "app", "algorithm": "round_robin", "backends": [], "resolved": true, "drain_ms": 0,
            "tls": null, "send_proxy": send_proxy,
            "idle_connections": {"max": 0, "timeout_ms": 1, "max_uses": null},
            "timeouts": {"connect_ms": 1, "tunnel_ms": 1},
            "queue": null,
            "health_check": {
                "interval_ms": 10_000, "fast_interval_ms": 1_000, "timeout_ms": timeout_ms, "healthy_threshold": 2,
                "unhealthy_threshold": 3, "initially_up": false, "port": port, "probe": probe,
            },
            "affinity": null, "passive_health": null, "panic_threshold_thousandths": 0, "slow_start_ms": 0,
            "circuit_breaker": null,
        }],
    });
    let spec: Spec = serde_json::from_value(whole).unwrap();
    let plan = Plan::build(&spec, &Live::new()).unwrap();
    plan.pools[0].check.clone().unwrap()
}

/// What a check of a backend that writes `pieces` one after the other finds, and what it was asked. The backend then closes,
/// or waits until the check has gone.
fn answered(check: &HealthCheck, pieces: &[&[u8]], closes: bool) -> (Result<Success, Failure>, String) {
    local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = BackendAddress::Ip(listener.local_addr().unwrap());
        let backend = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 1024];
            let length = peer.read(&mut asked).await.unwrap();
            for piece in pieces {
                if peer.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            if !closes {
                let _ = peer.read(&mut [0]).await;
            }
            String::from_utf8_lossy(&asked[..length]).into_owned()
        };
        tokio::join!(probe(check, &address, None), backend)
    })
}

fn local<T>(test: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap().block_on(test)
}

fn said(change: &Value, answer: &str) -> String {
    let check = check(PATIENCE, None, &http(change));
    match answered(&check, &[answer.as_bytes()], true).0 {
        Ok(success) => format!("good: {success}"),
        Err(failure) => format!("bad: {failure}"),
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-State: ready\r\n\r\nfine\n";

#[test]
fn the_request_is_what_the_check_says() {
    let check = check(PATIENCE, None, &http(&json!({"host": "app.test", "headers": [["X-Check", "a b"]]})));
    let (found, asked) = answered(&check, &[OK.as_bytes()], true);
    assert_eq!(found, Ok(Success::Status(200)));
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET /health HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nUser-Agent: fairlead-health/{version}\r\n\
         Accept: */*\r\nX-Check: a b\r\n\r\n"
    );
    assert_eq!(asked, expected);
}

#[test]
fn a_proxy_header_comes_before_everything_else() {
    let v1 = told(&json!("v1"), PATIENCE, None, &http(&json!({})));
    let (found, asked) = answered(&v1, &[OK.as_bytes()], true);
    assert_eq!(found, Ok(Success::Status(200)));
    assert!(asked.starts_with("PROXY UNKNOWN\r\nGET /health HTTP/1.1\r\n"), "{asked}");
    let v2 = told(&json!("v2"), PATIENCE, None, &json!({"tcp": {}}));
    let (found, asked) = answered(&v2, &[], true);
    assert_eq!(found, Ok(Success::Connected));
    assert_eq!(asked, "\r\n\r\n\0\r\nQUIT\n \0\0\0");
}

#[test]
fn an_answer_is_judged_by_status_headers_and_body() {
    let none = json!({});
    let body = |test: &Value| json!({"expect_body": test});
    let state = |test: &Value| json!({"expect_headers": [["x-state", test]]});
    for (expected, change, answer) in [
        ("good: status 200", &none, OK),
        ("bad: status 503", &none, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
        (
            "good: status 204",
            &json!({"expect_statuses": [[204, 204], [500, 599]]}),
            "HTTP/1.1 204 No\r\n\r\n",
        ),
        ("bad: status 200", &json!({"expect_statuses": [[204, 204], [500, 599]]}), OK),
        ("good: status 200", &body(&json!({"text": "fine"})), OK),
        ("good: status 200", &body(&json!({"regex": "^f.*e$|^fine\n$"})), OK),
        ("bad: body is not as expected", &body(&json!({"text": "f.ne"})), OK),
        ("good: status 200", &state(&json!({"pattern": "re*y"})), OK),
        ("bad: header x-state is not as expected", &state(&json!({"pattern": "read"})), OK),
        ("good: status 200", &state(&json!({"regex": "ead"})), OK),
        ("good: status 200", &state(&json!({"present": true})), OK),
        ("bad: header x-state is not as expected", &state(&json!({"present": false})), OK),
    ] {
        let found = said(change, answer);
        assert_eq!(found, expected, "{change} {answer}");
    }
}

#[test]
fn interim_answers_say_nothing() {
    let answer = format!("HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n{OK}");
    assert_eq!(said(&json!({"expect_body": {"text": "fine"}}), &answer), "good: status 200");
}

#[test]
fn interim_answers_without_end_are_a_bad_result() {
    let interim = |count: usize| "HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
    assert_eq!(said(&json!({}), &format!("{}{OK}", interim(10))), "good: status 200");
    let check = check(PATIENCE, None, &http(&json!({})));
    let (found, _) = answered(&check, &[interim(11).as_bytes()], false);
    assert_eq!(found, Err(Failure::Interim));
}

#[test]
fn an_answer_in_pieces_is_one_answer() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nfin\r\n2\r\ne\n\r\n0\r\n\r\n";
    let check = check(PATIENCE, None, &http(&json!({"expect_body": {"regex": "^fine\n$"}})));
    for size in [1, 7, 20] {
        let pieces: Vec<&[u8]> = answer.as_bytes().chunks(size).collect();
        assert_eq!(answered(&check, &pieces, false).0, Ok(Success::Status(200)), "{size}");
    }
}

#[test]
fn a_body_may_end_with_its_connection_but_not_before_its_end() {
    let change = json!({"expect_body": {"text": "fine"}});
    assert_eq!(said(&change, "HTTP/1.1 200 OK\r\n\r\nfine"), "good: status 200");
    let cut = said(&change, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfine");
    assert_eq!(cut, "bad: invalid answer: body ended too early (RFC 9112 8)");
}

#[test]
fn of_a_large_body_the_beginning_is_looked_at() {
    let check = check(PATIENCE, None, &http(&json!({"expect_body": {"text": "late"}})));
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    let early = [vec![b'x'; 60_000], b"late".to_vec(), vec![b'x'; 20_000]].concat();
    assert_eq!(answered(&check, &[head, &early], false).0, Ok(Success::Status(200)));
    let late = [vec![b'x'; 70_000], b"late".to_vec()].concat();
    let found = answered(&check, &[head, &late], false).0.unwrap_err();
    assert_eq!(found.to_string(), "body is not as expected");
}

#[test]
fn what_is_no_http_is_invalid() {
    assert!(said(&json!({}), "SSH-2.0-OpenSSH\r\n").starts_with("bad: invalid answer: "));
    assert!(said(&json!({}), "HTTP/1.1 200 OK\r\nA : b\r\n\r\n").starts_with("bad: invalid answer: "));
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(80_000));
    let found = said(&json!({}), &endless);
    assert!(
        found.starts_with("bad: invalid answer: ") || found.starts_with("bad: head of the answer"),
        "{found}"
    );
    assert_eq!(said(&json!({}), ""), "bad: connection closed without an answer");
    assert_eq!(said(&json!({}), "HTTP/1.1 200 O"), "bad: connection closed without an answer");
}

#[test]
fn one_that_says_nothing_is_given_up_in_time() {
    for (pieces, expected) in [
        (&[][..], "no answer within 50ms"),
        (&[b"HTTP/1.1 200 OK\r\nA: b\r\n".as_slice()], "no answer within 50ms"),
        (&[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfin".as_slice()], "answer not complete within 50ms"),
    ] {
        let check = check(50, None, &http(&json!({"expect_body": {"text": "fine"}})));
        assert_eq!(answered(&check, pieces, false).0.unwrap_err().to_string(), expected);
    }
}

#[test]
fn one_that_drips_is_given_up_in_time() {
    let check = check(100, None, &http(&json!({"expect_body": {"text": "fine"}})));
    let took = local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = BackendAddress::Ip(listener.local_addr().unwrap());
        let drip = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            while peer.write_all(b"HTTP/1.1 102 Wait\r\n\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let begun = clock::now();
        let (found, ()) = tokio::join!(probe(&check, &address, None), drip);
        assert_eq!(found.unwrap_err().to_string(), "no answer within 100ms");
        clock::now().saturating_duration_since(begun)
    });
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn refused_and_reset_connections_are_told_apart() {
    let tcp = check(PATIENCE, None, &json!({"tcp": {}}));
    let asks = check(PATIENCE, None, &http(&json!({})));
    local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = BackendAddress::Ip(listener.local_addr().unwrap());
        assert_eq!(probe(&tcp, &address, None).await, Ok(Success::Connected));
        let reset = async {
            // The connection of the check above comes first.
            let _ = listener.accept().await.unwrap();
            let (mut peer, _) = listener.accept().await.unwrap();
            let _ = peer.read(&mut [0; 4096]).await;
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        };
        let (found, ()) = tokio::join!(probe(&asks, &address, None), reset);
        assert_eq!(found, Err(Failure::Reset));
        drop(listener);
        let refused = Err(Failure::Dial(DialFailure::Refused));
        assert_eq!(probe(&tcp, &address, None).await, refused);
        assert_eq!(probe(&asks, &address, None).await, refused);
    });
}

#[test]
fn a_check_may_ask_another_port() {
    local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bound = listener.local_addr().unwrap();
        let check = check(PATIENCE, Some(bound.port()), &json!({"tcp": {}}));
        let elsewhere = BackendAddress::Ip("127.0.0.1:1".parse().unwrap());
        assert_eq!(probe(&check, &elsewhere, None).await, Ok(Success::Connected));
    });
}

#[test]
fn a_unix_socket_is_asked_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let address = BackendAddress::Unix(path.to_str().unwrap().to_owned());
    let check = check(PATIENCE, None, &http(&json!({})));
    local(async {
        let listener = UnixListener::bind(&path).unwrap();
        let backend = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let length = peer.read(&mut asked).await.unwrap();
            assert!(String::from_utf8_lossy(&asked[..length]).contains("\r\nHost: localhost\r\n"));
            peer.write_all(OK.as_bytes()).await.unwrap();
        };
        let (found, ()) = tokio::join!(probe(&check, &address, None), backend);
        assert_eq!(found, Ok(Success::Status(200)));
        drop(listener);
        assert_eq!(probe(&check, &address, None).await, Err(Failure::Dial(DialFailure::Refused)));
    });
}
