//! Options of sockets that nobody else has a call for.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};

/// How many connections may have sent bytes with their SYN and not be through with the handshake yet; 0 ends it.
pub(crate) fn set_fast_open(listening: impl AsFd, pending: u32) -> io::Result<()> {
    set(listening, (libc::IPPROTO_TCP, libc::TCP_FASTOPEN), pending.cast_signed())
}

/// Lets a socket be bound to an address that isn't this machine's; the port is chosen when it connects, so that a
/// backend's connections from different clients may share one.
pub(crate) fn set_transparent(socket: impl AsFd, ipv6: bool) -> io::Result<()> {
    let transparent = if ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT)
    } else {
        (libc::IPPROTO_IP, libc::IP_TRANSPARENT)
    };
    set(&socket, transparent, 1)?;
    set(&socket, (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT), 1)
}

/// Whether this thread has the right to [`set_transparent`]: `CAP_NET_ADMIN`.
pub(crate) fn may_be_transparent() -> io::Result<bool> {
    let probe = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    match set_transparent(&probe, false) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => Ok(false),
        outcome => outcome.map(|()| true),
    }
}

fn set(socket: impl AsFd, (level, name): (c_int, c_int), value: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call, and the value is one int whose size is passed with it.
    let status = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn fast_open_is_switched_on_and_off_while_it_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_fast_open(&listener, 64).unwrap();
        set_fast_open(&listener, 0).unwrap();
    }

    #[test]
    fn a_right_that_lacks_is_no_failure() {
        // Whoever runs the tests has it or not.
        may_be_transparent().unwrap();
    }
}
