//! PROXY on accepted connections: who the client is, said by a proxy before everything else. The header is looked at in the
//! socket and taken out of it when it is whole, so whatever serves the connection finds only what is the client's.

use std::net::SocketAddr;
use std::rc::Rc;

use fairlead_plan::spec::AcceptProxy;
use fairlead_wire::proxy_protocol::{self, Addresses, Header, MAX_HEADER, Proxied, Read, Tlvs};
use rustix::net::RecvFlags;
use tokio::io::Interest;

use super::arrival::Arrival;
use crate::clock::{self, Deadline, Phase};
use crate::io::{Peer, Stream, limited};
use crate::worker::Worker;

/// What a proxy said of a client.
#[derive(Debug)]
pub(crate) struct Told {
    /// From where the client came, and to where; a Unix socket's has none.
    pub(crate) addresses: Option<(SocketAddr, SocketAddr)>,
    /// What else it said, as it said it.
    tlvs: Box<[u8]>,
}

impl Told {
    /// What else it said.
    pub(crate) fn tlvs(&self) -> Tlvs<'_> {
        Tlvs::read(&self.tlvs).expect("invariant: these were read before they were kept")
    }
}

/// What stands at the start of a connection.
enum Start {
    /// The proxy speaks for itself, or doesn't know for whom.
    OfTheProxy,
    /// A header.
    Said(Box<Told>),
    /// Something else.
    NoHeader,
    /// A header that is refused, or a connection that ended within it.
    Broken,
}

/// Reads who the client of `arrival` is, in a task of its own, and lets it in.
pub(super) fn read(worker: &Rc<Worker>, arrival: Arrival) {
    let worker = Rc::clone(worker);
    drop(tokio::task::spawn_local(async move {
        let listener = arrival.guard.listener().current();
        let deadline = Rc::new(worker.wheel.deadline());
        arrival.guard.watch(&deadline, arrival.peer, worker.shared.began);
        deadline.set(Phase::Header, clock::now() + listener.plan.timeouts.header);
        let start = start(&arrival.stream, &deadline).await;
        let optional = listener.plan.accept_proxy == AcceptProxy::Optional;
        match start {
            Start::OfTheProxy => arrival.admit(&worker, &listener),
            Start::NoHeader if optional => arrival.admit(&worker, &listener),
            Start::Said(told) => {
                let peer = told.addresses.map_or(Peer::Unix, |(source, _)| Peer::Ip(source));
                Arrival { peer, told: Some(told), ..arrival }.admit(&worker, &listener);
            }
            Start::NoHeader | Start::Broken => arrival.close_unannounced(&listener),
        }
    }));
}

async fn start(stream: &Stream, deadline: &Deadline) -> Start {
    loop {
        let Ok(Ok(ready)) = limited(deadline, stream.ready(Interest::READABLE)).await else {
            return Start::Broken;
        };
        match stream.attempt(Interest::READABLE, || look(stream)) {
            // Nothing more comes after an end.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && !ready.is_read_closed() => {}
            Err(_) => return Start::Broken,
            Ok(start) => return start,
        }
    }
}

/// "Would block" says that more has to come.
fn look(stream: &Stream) -> std::io::Result<Start> {
    let mut bytes = [0; MAX_HEADER];
    let (_, count) = rustix::net::recv(stream, &mut bytes, RecvFlags::PEEK)?;
    if count == 0 {
        return Ok(Start::Broken);
    }
    Ok(match proxy_protocol::read(&bytes[..count]) {
        Ok(Read::More) => return Err(std::io::ErrorKind::WouldBlock.into()),
        Ok(Read::Absent) => Start::NoHeader,
        Ok(Read::Header(header, length)) => {
            let start = said(&header);
            // All of it is here, so a receive takes all of it.
            rustix::net::recv(stream, &mut bytes[..length], RecvFlags::empty())?;
            start
        }
        Err(_) => Start::Broken,
    })
}

fn said(header: &Header<'_>) -> Start {
    let Header::Proxy(Proxied { addresses, tlvs, .. }) = header else { return Start::OfTheProxy };
    if *addresses == Addresses::Unknown {
        return Start::OfTheProxy;
    }
    let addresses = addresses.source().zip(addresses.destination());
    Start::Said(Box::new(Told { addresses, tlvs: tlvs.as_bytes().into() }))
}
