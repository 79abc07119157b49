//! Sockets that datagrams come to. The kernel chooses one of them by the addresses and ports of both sides, so that a client
//! stays with its worker for as long as there are the same ones.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::{Domain, Socket, Type};

use super::Family;
use crate::unix::datagrams;

/// Room for datagrams that come while a worker is busy, as far as `net.core.rmem_max` allows: with the usual 208 KiB two
/// hundred small ones fill it.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// One socket a worker, and where they are. `known`: the port is ours already, so nobody else is looked for.
pub(super) fn bind(
    (mut address, family): (SocketAddr, Family),
    hint: Option<u16>,
    workers: usize,
    known: bool,
) -> io::Result<(Vec<Socket>, SocketAddr)> {
    let first = if address.port() == 0 {
        let (socket, taken) = free_port(address, family, hint)?;
        address = taken;
        socket
    } else if known {
        open(address, family, true)?
    } else {
        // The same user's second program could share the port in silence: a bind without sharing finds it.
        alone(address, family)?
    };
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(open(address, family, true)?);
    }
    Ok((sockets, address))
}

/// Nobody shares the port when it is bound; from then on our own may.
fn alone(address: SocketAddr, family: Family) -> io::Result<Socket> {
    let socket = open(address, family, false)?;
    socket.set_reuse_port(true)?;
    Ok(socket)
}

/// A port that nobody has: the one of before if possible.
fn free_port(mut address: SocketAddr, family: Family, hint: Option<u16>) -> io::Result<(Socket, SocketAddr)> {
    if let Some(port) = hint {
        address.set_port(port);
        if let Ok(socket) = alone(address, family) {
            return Ok((socket, address));
        }
        address.set_port(0);
    }
    // With sharing the kernel might pick one that the same user has already.
    let socket = alone(address, family)?;
    let taken = socket.local_addr()?.as_socket().expect("invariant: an IP socket has an IP address");
    Ok((socket, taken))
}

fn open(address: SocketAddr, family: Family, shared: bool) -> io::Result<Socket> {
    let domain = if family == Family::V4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), None)?;
    if family != Family::V4 {
        socket.set_only_v6(family == Family::V6)?;
    }
    socket.set_reuse_port(shared)?;
    // What can't be had is no reason not to serve.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = datagrams::join(socket.as_fd());
    let _ = datagrams::ask_lost(socket.as_fd());
    if address.ip().is_unspecified() {
        datagrams::ask_local(socket.as_fd(), family != Family::V4)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
