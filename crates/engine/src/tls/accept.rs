//! The handshake of an accepted connection, in a task of its own. It counts as a connection from its start, waits without
//! a buffer, and has its time; what comes of it is counted, and nothing is logged: anybody can fail as often as he likes.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use fairlead_plan::Versions;
use fairlead_plan::spec::Protocol;
use rustix::net::SendFlags;
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;

use super::config::HTTP2;
use super::facts::Failed;
use super::session::{Session, Side};
use super::stream::{Greeting, State, TlsStream};
use crate::clock::{self, Deadline, Phase};
use crate::io::{Stream, limited};
use crate::listener::Arrival;
use crate::worker::Worker;
use crate::{http, http2, stream};

/// What a browser is told that was given the wrong scheme.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 39\r\n\
    Connection: close\r\n\r\nThis port speaks TLS: write https://.\r\n";

/// Makes the handshake of `arrival`, and gives it to what serves it.
pub(crate) fn accept(worker: &Rc<Worker>, arrival: Arrival) {
    let worker = Rc::clone(worker);
    // Boxed: what is kept until a client speaks is small. Dropping the handle detaches the task.
    drop(tokio::task::spawn_local(Box::pin(greet(worker, arrival))));
}

async fn greet(worker: Rc<Worker>, arrival: Arrival) {
    let Arrival { stream: socket, peer, told, guard } = arrival;
    let cell = guard.listener();
    let (listener, config) = (cell.current(), cell.tls());
    let deadline = Rc::new(worker.wheel.deadline());
    guard.watch(&deadline, peer, worker.shared.began);
    deadline.set(Phase::Handshake, clock::now() + listener.plan.timeouts.tls_handshake);
    let counters = Arc::clone(&listener.counters);
    let (protocol, versions) = (listener.plan.protocol, listener.plan.http.versions);
    drop(listener);
    match shake(socket, config, &worker, &deadline).await {
        Ok(tls) => {
            counters.tls().completed(tls.facts().kind);
            let speaks_http2 = match tls.facts().protocol.as_deref() {
                Some(protocol) => protocol == HTTP2,
                // Who agrees on nothing speaks what there is.
                None => versions == Versions::Http2,
            };
            let arrival = Arrival { stream: Stream::Tls(Box::new(tls)), peer, told, guard };
            match protocol {
                Protocol::Http if speaks_http2 => http2::serve(worker, arrival),
                Protocol::Http => http::serve(worker, arrival),
                Protocol::Tcp { .. } | Protocol::Udp(_) => stream::serve(worker, arrival),
            }
        }
        Err((socket, failed)) => {
            counters.tls().failed(failed);
            if failed == Failed::NotTls && protocol == Protocol::Http {
                // A fresh socket takes this whole; who is gone misses nothing.
                let _ = rustix::net::send(&socket, NOT_TLS, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
                let _ = socket.shutdown_write();
            }
        }
    }
}

async fn shake(
    socket: Stream,
    config: Option<Arc<ServerConfig>>,
    worker: &Worker,
    deadline: &Deadline,
) -> Result<TlsStream, (Stream, Failed)> {
    // Without a configuration it is one of a listener that is being taken away.
    let connection = config.map(UnbufferedServerConnection::new);
    let Some(Ok(connection)) = connection else { return Err((socket, Failed::Fairlead)) };
    let mut state = State::new(Session::new(Side::Server(connection)), &worker.buffers);
    let mut greeting = Greeting::default();
    let shaken = limited(deadline, poll_fn(|cx| state.poll_handshake(&socket, cx, &mut greeting))).await;
    match shaken {
        Ok(Ok(())) => Ok(TlsStream::new(socket, state, greeting.name)),
        Ok(Err(error)) => Err((socket, Failed::of(&error))),
        Err(_) => Err((socket, Failed::Timeout)),
    }
}
