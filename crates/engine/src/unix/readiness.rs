//! Waiting for a socket that somebody else owns.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A socket of the process: dropping a worker's handle doesn't close it.
pub(crate) struct SharedSocket(Arc<OwnedFd>);

impl AsRawFd for SharedSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for SharedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lets the loop of this thread say when `socket` can be accepted from.
pub(crate) fn watch(socket: Arc<OwnedFd>) -> io::Result<AsyncFd<SharedSocket>> {
    // SAFETY: the handle inside keeps this very descriptor open, and says the same one, until the `AsyncFd` is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(SharedSocket(socket), Interest::READABLE) }?)
}

/// The same for a socket of a worker's own.
pub(crate) fn watch_own(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is open for as long as its owner, which the `AsyncFd` is from now on, and is always the same.
    Ok(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?)
}
