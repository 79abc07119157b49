//! Replies of all sessions on their way to the clients: received where they are sent from, and sent many in one call.

use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;

use super::path::{Path, count};
use super::receiver::Receiver;
use crate::telemetry::Dropped;
use crate::unix::datagrams::{Batch, MESSAGES, cannot_cut};

/// Messages that are taken from one backend's socket in one call. Few have more than one, and each costs a little.
const AT_ONCE: usize = 8;

/// Replies that wait for the end of the turn.
#[derive(Default)]
pub(super) struct Replies {
    batch: Option<Batch>,
    waiting: usize,
    segments: [Option<u16>; MESSAGES],
    /// By whose socket they go.
    by: Option<Rc<Receiver>>,
}

/// What came from a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    /// There was no more.
    pub(super) all: bool,
}

impl Replies {
    /// Takes what has come to `socket`, for the client of `path`, who asked by `receiver`.
    pub(super) fn take(
        &mut self,
        receiver: &Rc<Receiver>,
        socket: impl AsFd,
        path: &Path,
    ) -> io::Result<Came> {
        if !self.by.as_ref().is_some_and(|by| Rc::ptr_eq(by, receiver)) {
            self.send();
            self.by = Some(Rc::clone(receiver));
        }
        let batch = self.batch.get_or_insert_with(Batch::new);
        let first = self.waiting;
        let places = first..(first + AT_ONCE).min(MESSAGES);
        let room = places.len();
        let messages = batch.receive(socket, places)?;
        let mut came = Came { all: messages < room, ..Came::default() };
        for place in first..first + messages {
            let length = batch.bytes(place).len();
            let segment = batch.told(place).segment;
            came.datagrams += count(length, segment);
            came.bytes += length as u64;
            batch.address(place, &path.client, path.local, segment);
            self.segments[place] = segment;
        }
        self.waiting += messages;
        if self.waiting == MESSAGES {
            self.send();
        }
        Ok(came)
    }

    /// Sends what goes by this receiver, whose socket is about to be closed.
    pub(super) fn let_go(&mut self, receiver: &Rc<Receiver>) {
        if self.by.as_ref().is_some_and(|by| Rc::ptr_eq(by, receiver)) {
            self.send();
            self.by = None;
        }
    }

    /// Sends what waits.
    pub(super) fn send(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let by = self.by.take();
        let (Some(batch), Some(receiver), 1..) = (&mut self.batch, by, waiting) else { return };
        let counters = receiver.counters();
        let (socket, datagrams) = (receiver.socket(), counters.datagrams());
        let mut next = 0;
        while next < waiting {
            let sent = match batch.send(socket, next..waiting) {
                Ok(messages) => {
                    for place in next..next + messages {
                        let length = batch.bytes(place).len();
                        datagrams.sent.add(count(length, self.segments[place]));
                        counters.bytes_out.add(length as u64);
                    }
                    messages
                }
                Err(error) => {
                    let length = batch.bytes(next).len();
                    let pieces = count(length, self.segments[next]);
                    match self.segments[next] {
                        Some(segment) if cannot_cut(&error) => {
                            let sent = batch.send_apart(socket, next, segment) as u64;
                            datagrams.sent.add(sent);
                            datagrams.drop(Dropped::Unsendable, pieces.saturating_sub(sent));
                        }
                        _ if is_full(&error) => datagrams.drop(Dropped::ClientBuffer, pieces),
                        _ => datagrams.drop(Dropped::Unsendable, pieces),
                    }
                    1
                }
            };
            next += sent.max(1);
        }
        self.by = Some(receiver);
    }
}

fn is_full(error: &io::Error) -> bool {
    [libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM].contains(&error.raw_os_error().unwrap_or_default())
}
