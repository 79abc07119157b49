//! One side of a TLS connection as a machine for bytes: records in, plaintext out, and back. No socket, no clock.
//!
//! rustls' interface without buffers of its own is used, since ours are pooled: while nothing moves, a connection holds none.

use std::io::{self, ErrorKind};

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{CommonState, Error};

use crate::buffer::Buffer;

/// Bytes of plaintext that are sealed at a time, for one send: four records of the largest size.
pub(super) const BATCH: usize = 64 * 1024;

/// What `BATCH` takes when it is sealed, and what rustls may have to say before it: a whole flight's longest message.
pub(super) const SEALED: usize = BATCH + 20 * 1024;

/// Which side of a connection we are.
pub(super) enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// rustls' state of one connection.
pub(super) struct Session {
    connection: Side,
    /// The peer said that nothing more comes.
    ended: bool,
}

/// What is wanted of a step.
enum Want<'a> {
    /// To know what there is. Plaintext stays where it is.
    Look,
    /// Plaintext.
    Take(&'a mut dyn FnMut(&[u8])),
    /// Records of these bytes, in this room.
    Seal(&'a [u8], &'a mut [u8]),
    /// The alert that says that nothing more comes (RFC 8446 6.1), in this room.
    Goodbye(&'a mut [u8]),
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Something happened that is nobody's concern.
    Again,
    /// There is plaintext to be taken; or it was, if it was wanted.
    Plaintext,
    /// The peer says that nothing more comes.
    Ended,
    /// Records of so many bytes were written.
    Sealed(usize),
    /// Nothing can be done before more was received.
    Blocked,
}

impl Session {
    pub(super) fn new(connection: Side) -> Self {
        Self { connection, ended: false }
    }

    /// What is known of the connection.
    pub(super) fn state(&self) -> &CommonState {
        match &self.connection {
            Side::Server(connection) => connection,
            Side::Client(connection) => connection,
        }
    }

    pub(super) fn is_client(&self) -> bool {
        matches!(self.connection, Side::Client(_))
    }

    /// Whether the peer said that nothing more comes, after all that was received so far.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// What there is in `received`; what has to be said because of it goes to `unsent`.
    pub(super) fn look(&mut self, received: &mut Buffer, unsent: &mut Buffer) -> io::Result<Step> {
        self.step(received, unsent, Want::Look)
    }

    /// Gives `take` the plaintext of one record, after [`Session::look`] said that there is some.
    pub(super) fn take(
        &mut self,
        received: &mut Buffer,
        unsent: &mut Buffer,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<Step> {
        self.step(received, unsent, Want::Take(&mut take))
    }

    /// Seals `bytes` into `room`. What was received before has to be looked through for that: its plaintext goes to `take`.
    pub(super) fn seal(
        &mut self,
        bytes: &[u8],
        room: &mut [u8],
        buffers: (&mut Buffer, &mut Buffer),
        take: impl FnMut(&[u8]),
    ) -> io::Result<usize> {
        self.write(Want::Seal(bytes, room), buffers, take)
    }

    /// Seals that nothing more comes.
    pub(super) fn goodbye(
        &mut self,
        room: &mut [u8],
        buffers: (&mut Buffer, &mut Buffer),
        take: impl FnMut(&[u8]),
    ) -> io::Result<usize> {
        self.write(Want::Goodbye(room), buffers, take)
    }

    fn write(
        &mut self,
        want: Want<'_>,
        (received, unsent): (&mut Buffer, &mut Buffer),
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<usize> {
        // What can be written shows only when everything received was seen; that is bounded by the buffer it is in.
        loop {
            match self.look(received, unsent)? {
                Step::Blocked => break,
                Step::Plaintext => _ = self.take(received, unsent, &mut take)?,
                _ => {}
            }
        }
        match self.step(received, unsent, want)? {
            Step::Sealed(count) => Ok(count),
            // Sent away in the middle of a handshake, which nobody does.
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn step(&mut self, received: &mut Buffer, unsent: &mut Buffer, want: Want<'_>) -> io::Result<Step> {
        let bytes = received.filled_mut();
        let (discard, step) = match &mut self.connection {
            Side::Server(connection) => done(connection.process_tls_records(bytes), unsent, want),
            Side::Client(connection) => done(connection.process_tls_records(bytes), unsent, want),
        };
        received.consume(discard);
        self.ended |= matches!(step, Ok(Step::Ended));
        if step.is_err() {
            self.complain(received, unsent);
        }
        step
    }

    /// The alert that says what was wrong, if there is one: it is all that is left to be said.
    /// What was received has to be there still, since rustls knows how far it had come in it.
    fn complain(&mut self, received: &mut Buffer, unsent: &mut Buffer) {
        // Looking on for more than there is would meet the same fault again.
        while self.state().wants_write()
            && match &mut self.connection {
                Side::Server(connection) => {
                    said(connection.process_tls_records(received.filled_mut()), unsent)
                }
                Side::Client(connection) => {
                    said(connection.process_tls_records(received.filled_mut()), unsent)
                }
            }
        {}
    }
}

/// What a step came to, and how much of what was received is used up.
fn done<Data>(
    UnbufferedStatus { discard, state }: UnbufferedStatus<'_, '_, Data>,
    unsent: &mut Buffer,
    want: Want<'_>,
) -> (usize, io::Result<Step>) {
    (discard, state.map_err(failed).and_then(|state| proceed(state, unsent, want)))
}

/// Takes what is to be said, if there is something.
fn said<Data>(status: UnbufferedStatus<'_, '_, Data>, unsent: &mut Buffer) -> bool {
    match status.state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => append(unsent, |room| data.encode(room)).is_ok(),
        _ => false,
    }
}

fn proceed<Data>(
    state: ConnectionState<'_, '_, Data>,
    unsent: &mut Buffer,
    want: Want<'_>,
) -> io::Result<Step> {
    Ok(match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            if let Want::Take(take) = want
                && let Some(record) = traffic.next_record()
            {
                take(record.map_err(failed)?.payload);
            }
            Step::Plaintext
        }
        ConnectionState::EncodeTlsData(mut data) => {
            append(unsent, |room| data.encode(room))?;
            Step::Again
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Step::Again
        }
        ConnectionState::PeerClosed | ConnectionState::Closed => Step::Ended,
        ConnectionState::WriteTraffic(traffic) => written(traffic, want)?,
        // Early data is refused where configurations are made, so what is left is a handshake.
        _ => Step::Blocked,
    })
}

fn written<Data>(mut traffic: WriteTraffic<'_, Data>, want: Want<'_>) -> io::Result<Step> {
    let written = match want {
        Want::Seal(bytes, room) => traffic.encrypt(bytes, room),
        Want::Goodbye(room) => traffic.queue_close_notify(room),
        Want::Look | Want::Take(_) => return Ok(Step::Blocked),
    };
    written.map(Step::Sealed).map_err(|error| match error {
        // The keys are worn out, and this version of the protocol has no new ones.
        EncryptError::EncryptExhausted => ErrorKind::BrokenPipe.into(),
        EncryptError::InsufficientSize(size) => {
            unreachable!("invariant: {} bytes don't have room in a batch", size.required_size)
        }
    })
}

/// Appends a message that rustls has ready.
fn append(
    unsent: &mut Buffer,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> io::Result<()> {
    let size = match encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        _ => return Ok(()),
    };
    let tail = unsent.tail();
    let before = tail.len();
    tail.resize(before + size, 0);
    let encoded = encode(&mut tail[before..]).map_err(io::Error::other)?;
    tail.truncate(before + encoded);
    Ok(())
}

fn failed(error: Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
