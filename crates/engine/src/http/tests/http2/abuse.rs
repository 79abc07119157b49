//! Clients that send what costs us and brings nothing.

use super::super::PATIENCE;
use super::client::{Client, Frames, RST_STREAM};
use super::start;

const ENHANCE_YOUR_CALM: u32 = 11;
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A client that sends this as long as it is taken is told to calm down, while another one is served.
fn is_calmed(mut flood: impl FnMut(&mut Frames, u32) -> bool) {
    let proxy = start();
    let mut hostile = Frames::connect(proxy.address);
    for round in 0..20_000 {
        if !flood(&mut hostile, round) {
            break;
        }
    }
    // A reset may take the GOAWAY away; that it ended is what counts then.
    let said = hostile.goaway();
    assert!(said.is_none_or(|code| code == ENHANCE_YOUR_CALM), "{said:?}");
    let mut client = Client::connect(proxy.address);
    let asked = client.get();
    // Connections of requests that were given up come before it.
    let deadline = crate::clock::now() + PATIENCE;
    loop {
        let mut backend = proxy.backend();
        if backend.try_head().is_some_and(|head| head.contains("x.example")) {
            backend.send(OK);
            break;
        }
        assert!(crate::clock::now() < deadline, "nobody asks a backend");
    }
    assert_eq!(client.answer(asked).expect("an answer").body, "ok");
}

#[test]
fn settings() {
    is_calmed(|client, _| client.send(4, 0, 0, &[0, 3, 0, 0, 0, 100]));
}

#[test]
fn pings() {
    is_calmed(|client, _| client.send(6, 0, 0, &[0; 8]));
}

#[test]
fn priorities() {
    is_calmed(|client, _| client.send(2, 0, 1, &[0, 0, 0, 3, 0]));
}

#[test]
fn window_updates() {
    is_calmed(|client, _| client.send(8, 0, 0, &[0, 0, 0, 1]));
}

#[test]
fn frames_that_nobody_knows() {
    is_calmed(|client, _| client.send(0x77, 0, 0, b"abc"));
}

#[test]
fn empty_data() {
    is_calmed(|client, round| match round {
        // POST, http, /, and `:authority` literally.
        0 => client.send(1, 4, 1, &[0x83, 0x86, 0x84, 0x41, 1, b'x']),
        _ => client.send(0, 0, 1, &[]),
    });
}

#[test]
fn streams_that_are_reset_at_once() {
    is_calmed(|client, round| {
        let stream = round * 2 + 1;
        client.get(stream) && client.send(RST_STREAM, 0, stream, &[0, 0, 0, 8])
    });
}

#[test]
fn a_head_that_never_ends() {
    is_calmed(|client, round| match round {
        0 => client.send(1, 1, 1, &[0x82, 0x86, 0x84, 0x41, 1, b'x']),
        // `a: b`, never indexed.
        _ => client.send(9, 0, 1, &[0x10, 1, b'a', 1, b'b'].repeat(200)),
    });
}
