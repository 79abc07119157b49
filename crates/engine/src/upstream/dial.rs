//! Connecting to a backend, and what it means when that fails.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fairlead_plan::Backend;
use fairlead_plan::spec::BackendAddress;
use rustix::io::Errno;
use tokio::net::{TcpSocket, UnixStream};

use crate::clock::{self, Deadline, Phase};
use crate::io::{Stream, limited};
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
    Other(io::ErrorKind),
}

/// From the address `from`, if it has to be that.
pub(super) async fn dial(
    backend: &Backend,
    from: Option<IpAddr>,
    connect: Duration,
    deadline: &Deadline,
) -> Result<Stream, DialError> {
    let limit = deadline.during(Phase::Connect, clock::now() + connect);
    let outcome = limited(deadline, open(&backend.address, from)).await;
    drop(limit);
    let failure = match outcome {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => classify(&error, &backend.address),
        Err(Phase::Connect) => DialFailure::TimedOut,
        Err(phase) => DialFailure::Expired(phase),
    };
    Err(DialError { backend: Arc::clone(&backend.id), address: backend.address.clone(), failure })
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
