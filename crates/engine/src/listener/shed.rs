//! Connections that are accepted only to be told that they can't be served now.

use std::cell::Cell;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::guard::ConnectionGuard;
use crate::io::Stream;

/// Why a connection is refused; the names are those of RFC 9209 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shed {
    ClientLimit,
    TooManyClients,
    Memory,
}

impl Shed {
    fn detail(self) -> &'static str {
        match self {
            Self::ClientLimit => {
                "error=connection_limit_reached; details=\"too many connections of this client\""
            }
            Self::TooManyClients => "error=connection_limit_reached; details=\"too many clients\"",
            Self::Memory => "error=proxy_internal_error; details=\"short of memory\"",
        }
    }
}

/// Refused connections of a worker that may linger at once; more are closed without waiting.
const LINGERING: u32 = 64;
/// For how long a refused client may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// How many refused connections of this worker linger.
#[derive(Debug, Default)]
pub(crate) struct Shedding(Rc<Cell<u32>>);

/// Answers 503 and closes. The client's request is probably on its way: closing over unread bytes would reset the
/// connection and take the answer with it, so its bytes are read for a moment.
pub(super) fn refuse(shedding: &Shedding, stream: Stream, guard: ConnectionGuard, why: Shed) {
    send(stream.as_fd(), why.detail());
    if shedding.0.get() >= LINGERING {
        return;
    }
    let count = Rc::clone(&shedding.0);
    count.set(count.get() + 1);
    tokio::task::spawn_local(async move {
        let _ = stream.shutdown_write();
        let _ = tokio::time::timeout(LINGER, discard(&stream)).await;
        count.set(count.get() - 1);
        drop(guard);
    });
}

/// Answers 503 on the last descriptor there is, which is wanted back now.
pub(super) fn refuse_at_once(socket: &impl AsFd) {
    let mut scratch = [0; 4096];
    // What has come already must not turn the close into a reset.
    while rustix::net::recv(socket, &mut scratch, RecvFlags::DONTWAIT).is_ok_and(|(_, count)| count > 0) {}
    send(socket.as_fd(), "error=connection_limit_reached; details=\"no file descriptors left\"");
}

fn send(socket: std::os::fd::BorrowedFd<'_>, detail: &str) {
    let body = "503 Service Unavailable\n";
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\nRetry-After: 1\r\nProxy-Status: fairlead; {detail}\r\n\r\n{body}"
    );
    // A fresh socket's buffer takes this whole; a client that is already gone misses nothing.
    let _ = rustix::net::send(socket, answer.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

async fn discard(stream: &Stream) {
    let mut scratch = [0; 4096];
    loop {
        if std::future::poll_fn(|cx| stream.poll_read_ready(cx)).await.is_err() {
            return;
        }
        let read = stream.attempt(tokio::io::Interest::READABLE, || {
            Ok(rustix::net::recv(stream, &mut scratch, RecvFlags::DONTWAIT)?.1)
        });
        match read {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(count) if count > 0 => {}
            _ => return,
        }
    }
}
