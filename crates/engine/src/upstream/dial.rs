//! Connecting to a backend, and what it means when that fails.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fairlead_plan::Backend;
use fairlead_plan::spec::BackendAddress;
use rustix::io::Errno;
use tokio::net::{TcpSocket, UnixStream};

use crate::buffer::Buffers;
use crate::clock::{self, Deadline, Phase};
use crate::io::{Fault, Stream, limited};
use crate::tls::{self, LocalTls, Trouble};
use crate::unix::set_transparent;

/// A backend that couldn't be connected to.
#[derive(Debug, thiserror::Error)]
#[error("backend {backend} at {}: {failure}", Shown(.address))]
pub(crate) struct DialError {
    /// Its id.
    pub backend: Arc<str>,
    pub address: BackendAddress,
    pub failure: DialFailure,
}

/// Why a connection wasn't made. Nothing was sent in any of these cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialFailure {
    /// Nobody listens there, or its queue is full.
    #[error("connection refused")]
    Refused,
    /// No answer within the pool's connect timeout, or the system's.
    #[error("connecting timed out")]
    TimedOut,
    /// No way leads there, or a filter forbids it.
    #[error("unreachable")]
    Unreachable,
    /// We are short of something (descriptors, ports, memory): no other backend would do better.
    #[error("out of local resources ({0})")]
    Resource(Errno),
    /// Another limit of the request passed meanwhile.
    #[error("given up, the request's time is over")]
    Expired(Phase),
    #[error("{0}")]
    Tls(Trouble),
    #[error("{0}")]
    Other(io::ErrorKind),
}

impl DialFailure {
    /// What was wrong with the handshake, if it came to that.
    pub(crate) fn trouble(self) -> Option<Trouble> {
        if let Self::Tls(trouble) = self { Some(trouble) } else { None }
    }
}

/// What comes before a backend can be spoken to, beside a connection.
#[derive(Clone, Copy, Default)]
pub(crate) struct Way<'a> {
    /// The address to connect from, if it has to be a certain one.
    pub(crate) from: Option<IpAddr>,
    /// What is sent before everything else, in the clear.
    pub(crate) preface: &'a [u8],
    /// What a handshake is made with.
    pub(crate) tls: Option<&'a LocalTls>,
}

/// All of it within `connect`.
pub(super) async fn dial(
    backend: &Backend,
    way: Way<'_>,
    connect: Duration,
    deadline: &Deadline,
    buffers: &Rc<Buffers>,
) -> Result<Stream, DialError> {
    let limit = deadline.during(Phase::Connect, clock::now() + connect);
    let shakes = Cell::new(false);
    let outcome = limited(deadline, establish(backend, way, deadline, buffers, &shakes)).await;
    drop(limit);
    let failure = match outcome {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(failure)) => failure,
        Err(Phase::Connect) if shakes.get() => DialFailure::Tls(Trouble::TimedOut),
        Err(Phase::Connect) => DialFailure::TimedOut,
        Err(phase) => DialFailure::Expired(phase),
    };
    Err(DialError { backend: Arc::clone(&backend.id), address: backend.address.clone(), failure })
}

async fn establish(
    backend: &Backend,
    way: Way<'_>,
    deadline: &Deadline,
    buffers: &Rc<Buffers>,
    shakes: &Cell<bool>,
) -> Result<Stream, DialFailure> {
    let opened = open(&backend.address, way.from).await;
    let socket = opened.map_err(|error| classify(&error, &backend.address))?;
    if !way.preface.is_empty() {
        match socket.write_all(deadline, way.preface).await {
            Ok(()) => {}
            Err(Fault::TimedOut(Phase::Connect)) => return Err(DialFailure::TimedOut),
            Err(Fault::TimedOut(phase)) => return Err(DialFailure::Expired(phase)),
            // Nothing of what follows was sent yet.
            Err(_) => return Err(DialFailure::Refused),
        }
    }
    let Some(tls) = way.tls else { return Ok(socket) };
    shakes.set(true);
    let connection = tls.connection(backend).map_err(DialFailure::Tls)?;
    // Boxed: what a handshake needs isn't carried by connections without one.
    let stream = Box::pin(tls::connect(socket, connection, buffers)).await.map_err(DialFailure::Tls)?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// A new connection, when the system makes it. `from` is an address of the same family, and needn't be ours.
pub(crate) async fn open(address: &BackendAddress, from: Option<IpAddr>) -> io::Result<Stream> {
    match address {
        BackendAddress::Ip(address) => {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Some(from) = from {
                set_transparent(&socket, address.is_ipv6())?;
                socket.bind(SocketAddr::new(from, 0))?;
            }
            // Heads and bodies leave as whole as they are; waiting for more only delays them.
            socket.set_nodelay(true)?;
            Ok(Stream::Tcp(socket.connect(*address).await?))
        }
        BackendAddress::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
    }
}

/// What it means that a connection wasn't made.
pub(crate) fn classify(error: &io::Error, address: &BackendAddress) -> DialFailure {
    let unix = matches!(address, BackendAddress::Unix(_));
    let Some(errno) = Errno::from_io_error(error) else { return DialFailure::Other(error.kind()) };
    match errno {
        Errno::CONNREFUSED | Errno::CONNRESET => DialFailure::Refused,
        // unix(7): no such file is nobody who listens, and a full queue says "again".
        Errno::NOENT | Errno::AGAIN if unix => DialFailure::Refused,
        Errno::TIMEDOUT => DialFailure::TimedOut,
        Errno::HOSTUNREACH
        | Errno::NETUNREACH
        | Errno::HOSTDOWN
        | Errno::NETDOWN
        | Errno::ACCESS
        | Errno::PERM => DialFailure::Unreachable,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL | Errno::AGAIN => {
            DialFailure::Resource(errno)
        }
        _ => DialFailure::Other(error.kind()),
    }
}

/// An address as the configuration writes it.
struct Shown<'a>(&'a BackendAddress);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            BackendAddress::Ip(address) => address.fmt(f),
            BackendAddress::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_shortage_is_not_the_backends_fault() {
        let tcp = BackendAddress::Ip("192.0.2.1:80".parse().unwrap());
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL] {
            assert_eq!(classify(&errno.into(), &tcp), DialFailure::Resource(errno));
        }
        assert_eq!(classify(&Errno::HOSTUNREACH.into(), &tcp), DialFailure::Unreachable);
        assert_eq!(classify(&Errno::TIMEDOUT.into(), &tcp), DialFailure::TimedOut);
    }

    #[test]
    fn a_full_queue_of_a_unix_socket_is_a_refusal() {
        let unix = BackendAddress::Unix("app.sock".into());
        assert_eq!(classify(&Errno::AGAIN.into(), &unix), DialFailure::Refused);
    }
}
