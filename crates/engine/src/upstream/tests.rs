use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::Live;
use fairlead_plan::spec::BackendAddress;
use fairlead_plan::{Backend, IdleOptions};
use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{Connection, DialFailure, Upstreams};
use crate::buffer::Buffers;
use crate::clock::{Deadline, Phase, Wheel, now};
use crate::io::tests::run;

const SECOND: Duration = Duration::from_secs(1);
const OPTIONS: IdleOptions = IdleOptions { max: 8, timeout: Duration::from_mins(1), max_uses: None };

fn backend_at(address: BackendAddress) -> Backend {
    let live = Live::new().backend("app", "big");
    Backend { id: "big".into(), address, server_name: "".into(), weight: 1, live, key: 7 }
}

/// A worker's part of the upstreams, and a backend to speak to.
struct Rig {
    wheel: Rc<Wheel>,
    upstreams: Rc<Upstreams>,
    deadline: Deadline,
    listener: TcpListener,
    backend: Backend,
}

impl Rig {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = backend_at(BackendAddress::Ip(listener.local_addr().unwrap()));
        let wheel = Wheel::new(now());
        let upstreams = Upstreams::new(&wheel, &Buffers::new());
        let deadline = wheel.deadline();
        Self { wheel, upstreams, deadline, listener, backend }
    }

    /// A connection to the backend, and the backend's end of it.
    async fn connect(&self) -> (Connection, TcpStream) {
        let dial = self.upstreams.dial(&self.backend, SECOND, &self.deadline);
        let (connection, peer) = tokio::join!(dial, self.listener.accept());
        (connection.unwrap(), peer.unwrap().0)
    }

    fn give_back(&self, connection: Connection) {
        self.upstreams.give_back(&self.backend, connection, &OPTIONS);
    }
}

fn port(connection: &Connection) -> SocketAddr {
    match &connection.stream {
        crate::io::Stream::Tcp(stream) => stream.local_addr().unwrap(),
        _ => unreachable!("dialled by address"),
    }
}

/// Lets the loop learn what happened to its sockets.
async fn turn() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_connection_that_became_idle_last_is_taken_first() {
    run(async {
        let rig = Rig::new().await;
        let ((first, _first_peer), (second, _second_peer)) = (rig.connect().await, rig.connect().await);
        assert!(!first.is_reused());
        let (first_port, second_port) = (port(&first), port(&second));
        rig.give_back(first);
        rig.give_back(second);
        assert_eq!(rig.backend.live.idle(), 2);
        let taken = rig.upstreams.take_idle(&rig.backend).unwrap();
        assert!(taken.is_reused());
        assert_eq!(port(&taken), second_port);
        assert_eq!(port(&rig.upstreams.take_idle(&rig.backend).unwrap()), first_port);
        assert!(rig.upstreams.take_idle(&rig.backend).is_none());
        assert_eq!(rig.backend.live.idle(), 0);
    });
}

#[test]
fn a_new_connection_sends_without_delay() {
    run(async {
        let rig = Rig::new().await;
        let (connection, _peer) = rig.connect().await;
        let crate::io::Stream::Tcp(stream) = &connection.stream else { unreachable!("dialled by address") };
        assert!(stream.nodelay().unwrap());
    });
}

#[test]
fn one_that_its_backend_closed_or_spoke_on_is_not_taken() {
    run(async {
        let rig = Rig::new().await;
        let (good, _good_peer) = rig.connect().await;
        let good_port = port(&good);
        let ((closed, closed_peer), (loud, mut loud_peer)) = (rig.connect().await, rig.connect().await);
        let (reset, reset_peer) = rig.connect().await;
        for connection in [good, closed, loud, reset] {
            rig.give_back(connection);
        }
        drop(closed_peer);
        loud_peer.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
        reset_peer.set_zero_linger().unwrap();
        drop(reset_peer);
        turn().await;
        assert_eq!(port(&rig.upstreams.take_idle(&rig.backend).unwrap()), good_port);
        assert_eq!(rig.backend.live.idle(), 0);
    });
}

#[test]
fn bytes_that_nobody_asked_for_close_a_connection() {
    run(async {
        let rig = Rig::new().await;
        let (mut connection, mut peer) = rig.connect().await;
        connection.input.tail().extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        rig.give_back(connection);
        assert_eq!(rig.upstreams.idle_connections(), 0);
        assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn a_connection_is_kept_whose_last_receive_did_not_show_that_it_is_empty() {
    run(async {
        let rig = Rig::new().await;
        let (connection, mut peer) = rig.connect().await;
        peer.write_all(b"body").await.unwrap();
        connection.stream.readable(&rig.deadline).await.unwrap();
        let taken = connection.stream.attempt(Interest::READABLE, || {
            Ok(rustix::net::recv(&connection.stream, &mut [0_u8; 4], RecvFlags::empty())?.1)
        });
        assert_eq!(taken.unwrap(), 4);
        assert!(connection.stream.is_stale(), "as far as is known without a call");
        rig.give_back(connection);
        assert!(rig.upstreams.take_idle(&rig.backend).is_some());
    });
}

#[test]
fn what_all_workers_keep_is_capped_together() {
    run(async {
        let rig = Rig::new().await;
        let other = Upstreams::new(&rig.wheel, &Buffers::new());
        let options = IdleOptions { max: 2, ..OPTIONS };
        let mut peers = Vec::new();
        for worker in [&rig.upstreams, &other, &rig.upstreams, &other] {
            let (connection, peer) = rig.connect().await;
            worker.give_back(&rig.backend, connection, &options);
            peers.push(peer);
        }
        assert_eq!((rig.upstreams.idle_connections(), other.idle_connections()), (1, 1));
        assert_eq!(rig.backend.live.idle(), 2);
        drop(other);
        assert_eq!(rig.backend.live.idle(), 1);
    });
}

#[test]
fn a_connection_is_closed_after_its_last_use() {
    run(async {
        let rig = Rig::new().await;
        let options = IdleOptions { max_uses: Some(2), ..OPTIONS };
        let (connection, _peer) = rig.connect().await;
        rig.upstreams.give_back(&rig.backend, connection, &options);
        let connection = rig.upstreams.take_idle(&rig.backend).unwrap();
        rig.upstreams.give_back(&rig.backend, connection, &options);
        assert!(rig.upstreams.take_idle(&rig.backend).is_none());
    });
}

#[test]
fn the_oldest_are_closed_when_only_some_may_stay() {
    run(async {
        let rig = Rig::new().await;
        let ((old, _old_peer), (new, _new_peer)) = (rig.connect().await, rig.connect().await);
        let newest = port(&new);
        rig.give_back(old);
        rig.give_back(new);
        rig.upstreams.keep_newest(2);
        assert_eq!(rig.backend.live.idle(), 2);
        rig.upstreams.keep_newest(1);
        assert_eq!(rig.backend.live.idle(), 1);
        assert_eq!(port(&rig.upstreams.take_idle(&rig.backend).unwrap()), newest);
    });
}

#[test]
fn connections_of_a_key_that_left_are_closed() {
    run(async {
        let rig = Rig::new().await;
        let (connection, mut peer) = rig.connect().await;
        rig.give_back(connection);
        rig.upstreams.retain(|key| key == rig.backend.key);
        assert_eq!(rig.upstreams.idle_connections(), 1);
        rig.upstreams.retain(|key| key != rig.backend.key);
        assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(rig.backend.live.idle(), 0);
    });
}

#[test]
fn an_idle_connection_is_kept_for_its_time_and_no_longer() {
    run(async {
        let rig = Rig::new().await;
        let (connection, mut peer) = rig.connect().await;
        rig.give_back(connection);
        rig.upstreams.sweep_now(now() + OPTIONS.timeout / 2);
        assert_eq!(rig.upstreams.idle_connections(), 1);
        rig.upstreams.sweep_now(now() + OPTIONS.timeout);
        assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(rig.backend.live.idle(), 0);
    });
}

#[test]
fn the_sweep_is_driven_by_the_wheel_and_finds_what_its_backend_closed() {
    run(async {
        let rig = Rig::new().await;
        let (connection, peer) = rig.connect().await;
        rig.give_back(connection);
        drop(peer);
        turn().await;
        let passes = async {
            rig.wheel.advance(now() + 2 * SECOND);
            turn().await;
        };
        tokio::select! {
            () = Rc::clone(&rig.upstreams).run() => unreachable!("it sweeps for ever"),
            () = passes => {}
        }
        assert_eq!(rig.upstreams.idle_connections(), 0);
    });
}

async fn failure(rig: &Rig, address: BackendAddress) -> (DialFailure, String) {
    let backend = backend_at(address);
    let error = rig.upstreams.dial(&backend, SECOND, &rig.deadline).await.unwrap_err();
    (error.failure, error.to_string())
}

#[test]
fn a_failed_dial_says_which_backend_where_and_why() {
    run(async {
        let rig = Rig::new().await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (refused, text) = failure(&rig, BackendAddress::Ip(closed)).await;
        assert_eq!(refused, DialFailure::Refused);
        assert_eq!(text, format!("backend big at {closed}: connection refused"));
        let (missing, text) = failure(&rig, BackendAddress::Unix("/nonexistent/app.sock".into())).await;
        assert_eq!(missing, DialFailure::Refused);
        assert_eq!(text, "backend big at unix:/nonexistent/app.sock: connection refused");
        let broadcast = BackendAddress::Ip("255.255.255.255:80".parse().unwrap());
        assert_eq!(failure(&rig, broadcast).await.0, DialFailure::Unreachable);
    });
}

/// The failure of a dial to which nobody answers, when `limits` of the request stand beside it.
fn unanswered(limits: impl FnOnce(&Deadline)) -> DialFailure {
    run(async {
        let rig = Rig::new().await;
        // A full queue of connections that nobody accepts lets further ones wait.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let address = full.local_addr().unwrap();
        let _queued =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        limits(&rig.deadline);
        let passes = async {
            turn().await;
            rig.wheel.advance(now() + 3 * SECOND);
        };
        let dial = failure(&rig, BackendAddress::Ip(address));
        let ((failure, _), ()) = tokio::join!(dial, passes);
        failure
    })
}

#[test]
fn a_backend_that_doesnt_answer_times_out() {
    assert_eq!(unanswered(|_| {}), DialFailure::TimedOut);
}

#[test]
fn a_request_whose_time_is_over_stops_dialling() {
    let over = unanswered(|deadline| deadline.set(Phase::Request, now() + SECOND / 2));
    assert_eq!(over, DialFailure::Expired(Phase::Request));
}

#[test]
fn a_dial_that_is_given_up_leaves_no_limit_behind() {
    run(async {
        let rig = Rig::new().await;
        {
            let mut dial = std::pin::pin!(rig.upstreams.dial(&rig.backend, SECOND, &rig.deadline));
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(dial.as_mut().poll(cx)));
            assert!(polled.await.is_pending());
        }
        rig.wheel.advance(now() + 2 * SECOND);
        assert_eq!(rig.deadline.expired(), None);
        assert_eq!(Arc::strong_count(&rig.backend.live), 1);
    });
}
