use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::{Builder, LocalOptions};

use super::{Fault, Leave, Sink, Stream};
use crate::buffer::{Buffers, SMALL};
use crate::clock::{Deadline, Phase, Wheel, now};

/// Runs `test` as a worker would be run.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.expect("a runtime for a test").block_on(test)
}

/// A deadline on which nothing is set, and the wheel to let one pass.
pub(crate) fn deadline() -> (Rc<Wheel>, Deadline) {
    let wheel = Wheel::new(now());
    let deadline = wheel.deadline();
    (wheel, deadline)
}

/// A connection over loopback: ours, and the peer's.
pub(crate) async fn tcp_pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (peer, ours) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (ours, peer) = (ours.unwrap().0, peer.unwrap());
    for stream in [&ours, &peer] {
        stream.set_nodelay(true).unwrap();
    }
    (Stream::Tcp(ours), peer)
}

/// A connection of two Unix sockets: ours, and the peer's.
pub(crate) fn unix_pair() -> (Stream, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    (Stream::Unix(ours), peer)
}

#[test]
fn what_a_peer_sent_is_read_then_its_end() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (stream, mut peer) = tcp_pair().await;
        let mut buffer = Buffers::new().buffer();
        peer.write_all(b"hello").await.unwrap();
        peer.shutdown().await.unwrap();
        stream.readable(&deadline).await.unwrap();
        buffer.need_small();
        assert_eq!(stream.read(&deadline, &mut buffer).await, Ok(5));
        assert_eq!(buffer.filled(), b"hello");
        assert_eq!(stream.read(&deadline, &mut buffer).await, Ok(0));
    });
}

#[test]
fn a_short_read_leaves_the_stream_not_ready_until_more_comes() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (stream, mut peer) = unix_pair();
        let mut buffer = Buffers::new().buffer();
        peer.write_all(b"short").await.unwrap();
        stream.readable(&deadline).await.unwrap();
        buffer.need_small();
        stream.read(&deadline, &mut buffer).await.unwrap();
        assert!(
            !stream.is_stale(),
            "a further receive would have been needed to learn that nothing is there"
        );
        peer.write_all(&[7; SMALL]).await.unwrap();
        stream.readable(&deadline).await.unwrap();
        buffer.clear();
        assert_eq!(stream.read(&deadline, &mut buffer).await, Ok(SMALL));
        assert!(stream.is_stale(), "a read that filled the buffer says nothing of what is left");
    });
}

#[test]
fn parts_are_sent_in_their_order() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (stream, mut peer) = tcp_pair().await;
        let sent =
            poll_fn(|cx| stream.poll_write(cx, &deadline, [b"head ", b"body", b" tail"], Leave::Now)).await;
        assert_eq!(sent, Ok(14));
        stream.write_all(&deadline, b"!").await.unwrap();
        stream.shutdown_write().unwrap();
        let mut received = String::new();
        peer.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "head body tail!");
    });
}

#[test]
fn what_leaves_with_the_end_waits_for_it() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (stream, mut peer) = tcp_pair().await;
        let sent =
            poll_fn(|cx| stream.poll_write(cx, &deadline, [b"last", &[], &[]], Leave::WithTheEnd)).await;
        assert_eq!(sent, Ok(4));
        assert!(peer.try_read(&mut [0; 8]).is_err(), "it left before the end");
        stream.shutdown_write().unwrap();
        let mut received = String::new();
        peer.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "last");
    });
}

#[test]
fn a_passed_limit_ends_reads_and_writes_until_it_is_rearmed() {
    run(async {
        let (wheel, deadline) = deadline();
        let (stream, mut peer) = unix_pair();
        deadline.set(Phase::Header, now());
        wheel.advance(now() + Duration::from_secs(1));
        assert_eq!(stream.readable(&deadline).await, Err(Fault::TimedOut(Phase::Header)));
        assert_eq!(stream.write_all(&deadline, b"x").await, Err(Fault::TimedOut(Phase::Header)));
        deadline.rearm();
        stream.write_all(&deadline, b"408").await.unwrap();
        let mut answer = [0; 3];
        peer.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"408");
    });
}

#[test]
fn a_limit_that_passes_wakes_a_read_that_waits() {
    run(async {
        let (wheel, deadline) = deadline();
        let (stream, _peer) = unix_pair();
        deadline.set(Phase::Body, now());
        let passes = async { wheel.advance(now() + Duration::from_secs(1)) };
        let (read, ()) = tokio::join!(stream.readable(&deadline), passes);
        assert_eq!(read, Err(Fault::TimedOut(Phase::Body)));
    });
}

#[test]
fn a_reset_is_told_apart_from_an_end() {
    run(async {
        let (_wheel, deadline) = deadline();
        let mut buffer = Buffers::new().buffer();
        buffer.need_small();
        let (stream, peer) = tcp_pair().await;
        drop(peer);
        assert_eq!(stream.read(&deadline, &mut buffer).await, Ok(0));
        let (stream, peer) = tcp_pair().await;
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        assert_eq!(stream.read(&deadline, &mut buffer).await, Err(Fault::Reset));
    });
}

#[test]
fn reset_on_close_is_a_reset_for_the_peer() {
    run(async {
        let (stream, mut peer) = tcp_pair().await;
        stream.reset_on_close();
        drop(stream);
        let error = peer.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_is_noticed_behind_bytes_that_nobody_reads() {
    run(async {
        let (stream, mut peer) = tcp_pair().await;
        peer.write_all(b"GET /next").await.unwrap();
        let gone = stream.gone(false);
        let resets = async {
            SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
            drop(peer);
        };
        tokio::join!(gone, resets);
    });
}

#[test]
fn the_end_of_a_client_that_waits_for_its_answer_is_no_leaving() {
    run(async {
        let (stream, mut peer) = tcp_pair().await;
        peer.shutdown().await.unwrap();
        let mut gone = std::pin::pin!(stream.gone(false));
        tokio::select! {
            biased;
            () = &mut gone => panic!("a half-closed client was taken for gone"),
            () = async { for _ in 0..200 { tokio::task::yield_now().await; } } => {}
        }
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        gone.await;
    });
}

#[test]
fn the_end_of_a_client_is_its_leaving_where_that_is_asked_for() {
    run(async {
        let (stream, mut peer) = tcp_pair().await;
        peer.shutdown().await.unwrap();
        stream.gone(true).await;
        let (stream, peer) = unix_pair();
        drop(peer);
        stream.gone(false).await;
    });
}

#[test]
fn what_a_peer_has_not_taken_is_known() {
    run(async {
        let (_wheel, deadline) = deadline();
        let (stream, mut peer) = unix_pair();
        assert_eq!(stream.queued(), 0);
        stream.write_all(&deadline, &[0; 5_000]).await.unwrap();
        assert!(stream.queued() >= 5_000);
        peer.read_exact(&mut [0; 5_000]).await.unwrap();
        assert_eq!(stream.queued(), 0);
    });
}
