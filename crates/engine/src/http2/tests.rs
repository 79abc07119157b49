//! When bytes leave that were collected.

use std::future::poll_fn;
use std::io::{ErrorKind, Read};
use std::rc::Rc;
use std::task::Poll;

use tokio::task::{spawn_local, yield_now};

use super::link::Link;
use super::outbox::Outbox;
use crate::buffer::{Buffers, LARGE};
use crate::clock::{Wheel, now};
use crate::io::tests::{run, tcp_pair};

/// A connection with its outbox at work, and its peer.
async fn connection() -> (Rc<Link>, std::net::TcpStream) {
    let outbox = Rc::new(Outbox::default());
    spawn_local(Rc::clone(&outbox).run());
    let (stream, peer) = tcp_pair().await;
    let peer = peer.into_std().expect("a socket");
    let deadline = Rc::new(Wheel::new(now()).deadline());
    (Link::new(stream, deadline, Buffers::new().buffer(), &outbox), peer)
}

async fn append(link: &Rc<Link>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let taken = poll_fn(|cx| link.poll_append(cx, bytes)).await.expect("a connection");
        bytes = &bytes[taken..];
    }
}

/// What the peer has, without waiting for more.
fn received(peer: &mut std::net::TcpStream) -> usize {
    let mut piece = vec![0; 4 * LARGE];
    match peer.read(&mut piece) {
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_all_streams_say_in_a_turn_leaves_in_one_send() {
    run(async {
        let (link, mut peer) = connection().await;
        let seen = Rc::new(peer.try_clone().expect("a socket"));
        for _ in 0..100 {
            let (link, seen) = (Rc::clone(&link), Rc::clone(&seen));
            spawn_local(async move {
                append(&link, b"0123456789").await;
                assert!(seen.peek(&mut [0]).is_err(), "something left before the turn was over");
            });
        }
        let mut all = 0;
        while all == 0 {
            yield_now().await;
            all = received(&mut peer);
        }
        assert_eq!(all, 1_000);
        assert!(link.is_empty());
    });
}

#[test]
fn a_task_that_is_always_ready_keeps_nothing_back() {
    run(async {
        let (link, mut peer) = connection().await;
        spawn_local(async {
            loop {
                yield_now().await;
            }
        });
        append(&link, b"hello").await;
        let mut rounds = 0;
        while received(&mut peer) != 5 {
            rounds += 1;
            assert!(rounds < 8, "everybody had {rounds} turns meanwhile");
            yield_now().await;
        }
    });
}

#[test]
fn much_leaves_at_once() {
    run(async {
        let (link, mut peer) = connection().await;
        append(&link, &vec![b'x'; 20_000]).await;
        append(&link, b"y").await;
        assert_eq!(received(&mut peer), 20_000);
    });
}

#[test]
fn who_takes_nothing_is_given_no_more_until_it_does() {
    run(async {
        let (link, mut peer) = connection().await;
        let task = Rc::clone(&link);
        spawn_local(poll_fn(move |cx| {
            task.attend(cx);
            Poll::<()>::Pending
        }));
        yield_now().await;
        let mut given = 0;
        let piece = vec![b'x'; LARGE];
        loop {
            let poll = poll_fn(|cx| Poll::Ready(link.poll_append(cx, &piece))).await;
            match poll {
                Poll::Ready(taken) => given += taken.expect("a connection"),
                Poll::Pending => break,
            }
        }
        // The connection's task is who waits for the socket from now on, and sends when there is room.
        link.wake();
        let mut taken = 0;
        while taken < given {
            taken += received(&mut peer);
            yield_now().await;
        }
        assert!(taken == given && link.is_empty());
    });
}

#[test]
fn a_broken_connection_wakes_its_task() {
    run(async {
        let (link, peer) = connection().await;
        let task = Rc::clone(&link);
        let told = spawn_local(poll_fn(move |cx| {
            task.attend(cx);
            if task.fault().is_some() { Poll::Ready(()) } else { Poll::Pending }
        }));
        yield_now().await;
        socket2::SockRef::from(&peer).set_linger(Some(std::time::Duration::ZERO)).expect("an option");
        drop(peer);
        let writer = Rc::clone(&link);
        spawn_local(async move {
            while writer.fault().is_none() {
                let _ = poll_fn(|cx| writer.poll_append(cx, b"x")).await;
                yield_now().await;
            }
        });
        told.await.expect("it was told");
    });
}
