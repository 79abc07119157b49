//! A connection to a backend.

use crate::buffer::Buffer;
use crate::io::Stream;

/// A connection to a backend, idle or in the hands of one request.
#[derive(Debug)]
pub(crate) struct Connection {
    pub stream: Stream,
    /// What was received and not used yet. After a complete answer there must be nothing here: bytes that nobody asked
    /// for would be taken for the next answer.
    pub input: Buffer,
    /// Requests whose answer was complete.
    uses: u64,
}

impl Connection {
    pub(super) fn new(stream: Stream, input: Buffer) -> Self {
        Self { stream, input, uses: 0 }
    }

    /// Whether it served a request before: then a reset may only mean that the backend closed it meanwhile.
    pub(crate) fn is_reused(&self) -> bool {
        self.uses > 0
    }

    /// Requests whose answer was complete.
    pub(crate) fn uses(&self) -> u64 {
        self.uses
    }

    pub(super) fn count_use(&mut self) {
        self.uses += 1;
    }
}
