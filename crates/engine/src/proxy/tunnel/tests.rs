use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{End, Moved, Summary, Terms, run as tunnel};
use crate::buffer::{Buffer, Buffers};
use crate::clock::{Deadline, Phase, now};
use crate::io::tests::{deadline, run, tcp_pair, unix_pair};
use crate::io::{Fault, Stream};
use crate::proxy::pump::{PumpError, Side};
use crate::proxy::splice::Pipes;

const HOUR: Duration = Duration::from_hours(1);

/// A buffer with `text` in it.
fn buffer(text: &[u8]) -> Buffer {
    let mut buffer = Buffers::new().buffer();
    buffer.tail().extend_from_slice(text);
    buffer
}

async fn between(client: &Stream, backend: &Stream, deadline: &Deadline) -> Summary {
    let (mut from_client, mut from_backend) = (buffer(b"early up "), buffer(b"early down "));
    let client = End { stream: client, input: &mut from_client, first: buffer(b"") };
    let backend = End { stream: backend, input: &mut from_backend, first: buffer(b"101 ") };
    let mut told = Moved::default();
    let summary = tunnel(client, backend, &Terms { deadline, idle: HOUR, pipes: &Pipes::new() }, |moved| {
        told.up += moved.up;
        told.down += moved.down;
        told.spliced += moved.spliced;
    })
    .await;
    assert_eq!(told, summary.moved, "all that moved was told while it did");
    summary
}

#[test]
fn each_side_may_end_first_and_still_gets_what_the_other_sends() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (client, mut client_peer) = tcp_pair().await;
        let (backend, mut backend_peer) = unix_pair();
        let session = async {
            client_peer.write_all(b"question").await.unwrap();
            client_peer.shutdown().await.unwrap();
            let mut asked = String::new();
            backend_peer.read_to_string(&mut asked).await.unwrap();
            assert_eq!(asked, "early up question");
            backend_peer.write_all(b"answer").await.unwrap();
            backend_peer.shutdown().await.unwrap();
            let mut answered = String::new();
            client_peer.read_to_string(&mut answered).await.unwrap();
            assert_eq!(answered, "101 early down answer");
        };
        let (summary, ()) = tokio::join!(between(&client, &backend, &deadline), session);
        assert_eq!(summary.result, Ok(()));
        assert_eq!(summary.moved, Moved { up: 17, down: 21, spliced: 0 });
        assert_eq!(summary.closed, Some(Side::From));
    });
}

#[test]
fn megabytes_pass_both_ways_at_once() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (client, client_peer) = tcp_pair().await;
        let (backend, backend_peer) = tcp_pair().await;
        let (mut from_client, mut to_client) = client_peer.into_split();
        let (mut from_backend, mut to_backend) = backend_peer.into_split();
        let (up, down) = (vec![1; 2_000_003], vec![2; 3_000_001]);
        let (mut up_taken, mut down_taken) = (Vec::new(), Vec::new());
        let (summary, ..) = tokio::join!(
            between(&client, &backend, &deadline),
            async {
                to_client.write_all(&up).await.unwrap();
                to_client.shutdown().await.unwrap();
            },
            async {
                to_backend.write_all(&down).await.unwrap();
                to_backend.shutdown().await.unwrap();
            },
            from_backend.read_to_end(&mut up_taken),
            from_client.read_to_end(&mut down_taken),
        );
        assert_eq!(summary.result, Ok(()));
        assert!(up_taken.ends_with(&up) && up_taken.len() == up.len() + 9);
        assert!(down_taken.ends_with(&down) && down_taken.len() == down.len() + 15);
    });
}

#[test]
fn a_flood_is_spliced_and_a_message_after_it_is_copied() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (client, mut client_peer) = tcp_pair().await;
        let (backend, mut backend_peer) = tcp_pair().await;
        let flood = vec![7; 8_000_000];
        let (mut from_client, mut from_backend) = (buffer(b""), buffer(b""));
        let pipes = Pipes::new();
        let terms = Terms { deadline: &deadline, idle: HOUR, pipes: &pipes };
        let ends = (
            End { stream: &client, input: &mut from_client, first: buffer(b"") },
            End { stream: &backend, input: &mut from_backend, first: buffer(b"") },
        );
        let session = async {
            let mut taken = vec![0; flood.len()];
            tokio::join!(async { client_peer.write_all(&flood).await.unwrap() }, async {
                backend_peer.read_exact(&mut taken).await.unwrap();
            });
            assert!(taken == flood, "the bytes are the same");
            // The first may still go through the pipe; the second finds that only a message came.
            for _ in 0..2 {
                client_peer.write_all(b"message").await.unwrap();
                backend_peer.read_exact(&mut taken[..7]).await.unwrap();
                tokio::task::yield_now().await;
            }
            (client_peer, backend_peer)
        };
        let summary = async { tunnel(ends.0, ends.1, &terms, |_| {}).await };
        let (summary, ()) = tokio::join!(summary, async { drop(session.await) });
        assert!(summary.moved.spliced > 4_000_000, "{summary:?}");
        assert!(summary.moved.spliced <= 8_000_007, "{summary:?}");
    });
}

#[test]
fn a_session_in_which_nothing_moves_ends_by_its_gap() {
    run(async {
        let (wheel, deadline) = deadline();
        let (client, _client_peer) = unix_pair();
        let (backend, _backend_peer) = unix_pair();
        let passes = async {
            for part in [HOUR.mul_f64(0.9), HOUR.mul_f64(1.1)] {
                tokio::task::yield_now().await;
                wheel.advance(now() + part);
            }
        };
        let (summary, ()) = tokio::join!(between(&client, &backend, &deadline), passes);
        let fault = Fault::TimedOut(Phase::Tunnel);
        assert_eq!(summary.result, Err(PumpError { side: Side::From, fault }));
    });
}

#[test]
fn a_reset_of_the_backend_ends_the_session_on_its_side() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (client, _client_peer) = tcp_pair().await;
        let (backend, backend_peer) = tcp_pair().await;
        let resets = async {
            socket2::SockRef::from(&backend_peer).set_linger(Some(Duration::ZERO)).unwrap();
            drop(backend_peer);
        };
        let (summary, ()) = tokio::join!(between(&client, &backend, &deadline), resets);
        assert_eq!(summary.result, Err(PumpError { side: Side::To, fault: Fault::Reset }));
    });
}

#[test]
fn what_comes_with_an_end_arrives_and_so_does_the_end() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (client, mut client_peer) = tcp_pair().await;
        let (backend, mut backend_peer) = tcp_pair().await;
        // Both are there before the tunnel looks.
        backend_peer.write_all(b"answer").await.unwrap();
        backend_peer.shutdown().await.unwrap();
        client_peer.write_all(b"question").await.unwrap();
        client_peer.shutdown().await.unwrap();
        while !(client.is_ending() && backend.is_ending()) {
            tokio::task::yield_now().await;
        }
        let peers = async {
            let (mut asked, mut answered) = (String::new(), String::new());
            backend_peer.read_to_string(&mut asked).await.unwrap();
            client_peer.read_to_string(&mut answered).await.unwrap();
            assert_eq!((&*asked, &*answered), ("early up question", "101 early down answer"));
        };
        let (summary, ()) = tokio::join!(between(&client, &backend, &deadline), peers);
        assert_eq!(summary.result, Ok(()));
    });
}

#[test]
fn a_reset_that_comes_with_bytes_is_no_end() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (client, mut client_peer) = tcp_pair().await;
        let (backend, mut backend_peer) = tcp_pair().await;
        backend_peer.write_all(b"half of an answer").await.unwrap();
        socket2::SockRef::from(&backend_peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(backend_peer);
        backend.broken().await;
        assert!(!backend.is_ending());
        let mut answered = Vec::new();
        let (summary, _) =
            tokio::join!(between(&client, &backend, &deadline), client_peer.read_to_end(&mut answered));
        assert_eq!(summary.result, Err(PumpError { side: Side::To, fault: Fault::Reset }));
    });
}

#[test]
fn a_session_that_waits_holds_no_memory() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (client, mut client_peer) = unix_pair();
        let (backend, mut backend_peer) = unix_pair();
        let (mut from_client, mut from_backend) = (buffer(b"a"), buffer(b"b"));
        let ends = (
            End { stream: &client, input: &mut from_client, first: buffer(b"") },
            End { stream: &backend, input: &mut from_backend, first: buffer(b"") },
        );
        let terms = Terms { deadline: &deadline, idle: HOUR, pipes: &Pipes::new() };
        let talk = async {
            client_peer.write_all(b"c").await.unwrap();
            backend_peer.read_exact(&mut [0; 2]).await.unwrap();
            tokio::task::yield_now().await;
        };
        tokio::select! {
            biased;
            _ = tunnel(ends.0, ends.1, &terms, |_| {}) => panic!("nobody ended it"),
            () = talk => {}
        }
        assert_eq!((from_client.capacity(), from_backend.capacity()), (0, 0));
    });
}
