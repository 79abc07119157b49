//! What was received of a request's body, kept so that it can be sent once more.
//!
//! Kept as it came, framing included: a further try puts it back in front of what is still to be read and begins anew,
//! so nothing has to be remembered of how far the first one was.

use crate::buffer::Buffer;

/// Received bytes that were used up, from the body's first on.
pub(crate) struct Replay {
    kept: Buffer,
    most: usize,
}

impl Replay {
    /// Keeps up to `most` bytes in `kept`, which is empty. A pooled buffer takes 64 KiB; more is freed afterwards.
    pub(crate) fn new(kept: Buffer, most: usize) -> Self {
        Self { kept, most }
    }

    /// These bytes are used up. `false` if they are more than is kept: then nothing is any more.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.most - self.kept.len() {
            return false;
        }
        if self.kept.len() + bytes.len() > self.kept.capacity() {
            self.kept.need_large();
        }
        self.kept.tail().extend_from_slice(bytes);
        true
    }

    /// Puts what is kept back in front of what has been received since.
    pub(crate) fn restore(mut self, received: &mut Buffer) {
        self.kept.tail().extend_from_slice(received.filled());
        std::mem::swap(&mut self.kept, received);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{Buffers, SMALL};

    #[test]
    fn what_was_used_comes_before_what_was_not() {
        let buffers = Buffers::new();
        let mut received = buffers.buffer();
        received.tail().extend_from_slice(b"hello, world");
        let mut replay = Replay::new(buffers.buffer(), 5);
        assert!(replay.keep(b"hello"));
        received.consume(5);
        replay.restore(&mut received);
        assert_eq!(received.filled(), b"hello, world");
    }

    #[test]
    fn more_than_is_kept_is_said() {
        let buffers = Buffers::new();
        let mut replay = Replay::new(buffers.buffer(), SMALL + 1);
        assert!(replay.keep(&[b'x'; SMALL]) && replay.keep(b"x"));
        assert!(!replay.keep(b"x"));
    }
}
