//! HTTP/2 without TLS by prior knowledge (RFC 9113 3.3): a connection's first bytes are the preface, or they are not.
//! They are looked at in the socket and stay there, so whatever serves the connection finds all of them.

use std::io::{self, ErrorKind};
use std::rc::Rc;

use rustix::net::RecvFlags;
use tokio::io::Interest;

use crate::clock::{self, Deadline, Phase};
use crate::http;
use crate::io::{Stream, limited};
use crate::listener::Arrival;
use crate::worker::Worker;

/// What a client begins with (RFC 9113 3.4). No request of HTTP/1 has this method and this version.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Finds out what `arrival` speaks, in a task of its own, and gives it to what serves that.
pub(crate) fn recognise(worker: Rc<Worker>, arrival: Arrival) {
    drop(tokio::task::spawn_local(async move {
        let deadline = Rc::new(worker.wheel.deadline());
        arrival.guard.watch(&deadline, arrival.peer, worker.shared.began);
        let timeouts = arrival.guard.listener().current().plan.timeouts;
        deadline.set(Phase::Header, clock::now() + timeouts.header);
        match begins_with_preface(&arrival.stream, &deadline).await {
            Some(true) => super::serve(worker, arrival),
            Some(false) => http::serve(worker, arrival),
            None => {}
        }
    }));
}

/// `None` if it ended, or said too little in time.
async fn begins_with_preface(stream: &Stream, deadline: &Deadline) -> Option<bool> {
    loop {
        let ready = limited(deadline, stream.ready(Interest::READABLE)).await.ok()?.ok()?;
        match stream.attempt(Interest::READABLE, || look(stream)) {
            // Nothing more comes after an end.
            Err(error) if error.kind() == ErrorKind::WouldBlock && !ready.is_read_closed() => {}
            Err(_) => return None,
            Ok(found) => return found,
        }
    }
}

/// "Would block" says that more has to come.
fn look(stream: &Stream) -> io::Result<Option<bool>> {
    let mut bytes = [0; PREFACE.len()];
    let (_, count) = rustix::net::recv(stream, &mut bytes, RecvFlags::PEEK)?;
    match &bytes[..count] {
        [] => Ok(None),
        PREFACE => Ok(Some(true)),
        part if PREFACE.starts_with(part) => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(Some(false)),
    }
}
