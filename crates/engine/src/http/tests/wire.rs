//! One end of a connection, as bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::PATIENCE;

pub(super) struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer as a client sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Start line and fields.
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    /// The value of a field; names are compared in any case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

/// The first value of a field in a head.
pub(super) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

impl Wire {
    pub(super) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("a connection"))
    }

    pub(super) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self { stream, received: Vec::new() }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("sent");
    }

    /// As [`Wire::send`], where the peer may have had enough.
    pub(super) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// The next head, its empty line included.
    pub(super) fn head(&mut self) -> String {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.receive().expect("a head") > 0, "it ended before a whole head: {:?}", self.text());
        };
        String::from_utf8(self.received.drain(..end).collect()).expect("text")
    }

    /// The next head, unless it ends before.
    pub(super) fn try_head(&mut self) -> Option<String> {
        while !self.received.windows(4).any(|window| window == b"\r\n\r\n") {
            if self.receive().ok()? == 0 {
                return None;
            }
        }
        Some(self.head())
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> String {
        while self.received.len() < count {
            assert!(self.receive().expect("bytes") > 0, "it ended early: {:?}", self.text());
        }
        String::from_utf8_lossy(&self.received.drain(..count).collect::<Vec<_>>()).into_owned()
    }

    /// A head, and the body that its `Content-Length` announces.
    pub(super) fn answer(&mut self) -> Answer {
        let mut answer = self.answer_head();
        let length = answer.field("content-length").map_or(0, |length| length.parse().expect("a number"));
        answer.body = self.take(length);
        answer
    }

    /// A head without the body behind it.
    pub(super) fn answer_head(&mut self) -> Answer {
        let head = self.head();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head, body: String::new() }
    }

    /// Everything up to an orderly end.
    pub(super) fn rest(&mut self) -> String {
        self.try_rest().expect("an orderly end")
    }

    /// Everything up to the end, or the reset.
    pub(super) fn try_rest(&mut self) -> io::Result<String> {
        while self.receive()? > 0 {}
        Ok(String::from_utf8_lossy(&std::mem::take(&mut self.received)).into_owned())
    }

    /// It ended, and nothing more had come.
    pub(super) fn has_ended(&mut self) {
        assert_eq!(self.rest(), "");
    }

    /// It was reset.
    pub(super) fn was_reset(&mut self) {
        let ended = self.try_rest();
        assert_eq!(ended.as_ref().map_err(io::Error::kind), Err(ErrorKind::ConnectionReset));
    }

    /// Whether nothing comes for a moment: for what must not happen, which no signal can show.
    pub(super) fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(150))).expect("a timeout");
        let silent = self.receive().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        silent
    }

    /// Says that nothing more will be sent.
    pub(super) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("a connection");
    }

    /// Breaks the connection.
    pub(super) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("an option");
    }

    /// Takes no more than a few bytes before it is read: a slow reader.
    pub(super) fn with_little_room(self) -> Self {
        SockRef::from(&self.stream).set_recv_buffer_size(4096).expect("an option");
        self
    }

    /// Sends up to `most` bytes until the peer takes no more for a moment; how many it took.
    pub(super) fn fill(&mut self, most: usize) -> usize {
        self.stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let piece = [b'x'; 16_384];
        let mut taken = 0;
        while taken < most {
            match self.stream.write(&piece[..piece.len().min(most - taken)]) {
                Ok(sent) => taken += sent,
                Err(_) => break,
            }
        }
        taken
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16_384];
        let received = self.stream.read(&mut piece)?;
        self.received.extend_from_slice(&piece[..received]);
        Ok(received)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}
