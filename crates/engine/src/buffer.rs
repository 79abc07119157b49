//! Receive and send buffers, pooled by worker: a connection that waits holds none.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// What a head is received into and composed in.
pub(crate) const SMALL: usize = 8 * 1024;

/// What a body moves through.
pub(crate) const LARGE: usize = 64 * 1024;

/// Free buffers kept by a worker: 2 MiB of either size. A burst may use more; what comes back above this is freed.
const FREE_SMALL: usize = 256;
const FREE_LARGE: usize = 32;

/// The free buffers of one worker.
pub(crate) struct Buffers {
    small: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty pool: buffers are made when they are first needed.
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            small: RefCell::new(Vec::with_capacity(FREE_SMALL)),
            large: RefCell::new(Vec::with_capacity(FREE_LARGE)),
        })
    }

    /// A buffer without memory, which takes some when it is first asked to.
    pub(crate) fn buffer(self: &Rc<Self>) -> Buffer {
        Buffer { bytes: Vec::new(), start: 0, home: Rc::clone(self) }
    }

    fn take(&self, size: usize) -> Vec<u8> {
        self.free(size).borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(size))
    }

    fn give_back(&self, mut bytes: Vec<u8>) {
        // One that grew for a long head isn't kept: its size is the exception.
        let size = bytes.capacity();
        if size != SMALL && size != LARGE {
            return;
        }
        bytes.clear();
        let mut free = self.free(size).borrow_mut();
        // Never above what was reserved: giving back must not allocate.
        if free.len() < free.capacity() {
            free.push(bytes);
        }
    }

    fn free(&self, size: usize) -> &RefCell<Vec<Vec<u8>>> {
        if size == SMALL { &self.small } else { &self.large }
    }
}

/// Bytes in order: appended behind, consumed in front. Its memory goes back to the pool when it is dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    home: Rc<Buffers>,
}

impl Buffer {
    /// What was appended and not consumed yet.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The same, for who changes it in its place.
    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// The length of [`Buffer::filled`].
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that can be appended without taking more memory.
    pub(crate) fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Bytes it holds when full.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The first `count` bytes were used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.bytes.len(), "consumed more than there was");
        if self.start >= self.bytes.len() {
            self.clear();
        }
    }

    /// Drops what it holds and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// To append with an encoder. What is in front of the unconsumed bytes isn't shown elsewhere, but is in the vector.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        self.need(SMALL);
        &mut self.bytes
    }

    /// Takes memory for a head, if it has none.
    pub(crate) fn need_small(&mut self) {
        self.need(SMALL);
    }

    /// Takes memory for a body, and moves what it holds there.
    pub(crate) fn need_large(&mut self) {
        self.need(LARGE);
    }

    /// Makes room for more of a head without exceeding `limit` bytes in all; `false` if it holds that many already.
    pub(crate) fn make_room(&mut self, limit: usize) -> bool {
        self.need(SMALL);
        if self.room() > 0 {
            return true;
        }
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
            return true;
        }
        let size = self.bytes.len();
        if size >= limit {
            return false;
        }
        self.bytes.reserve_exact((size * 2).min(limit) - size);
        true
    }

    /// Another buffer of the same worker, without memory.
    pub(crate) fn sibling(&self) -> Self {
        self.home.buffer()
    }

    /// Gives the memory back, if nothing is in it.
    pub(crate) fn release(&mut self) {
        if self.is_empty() && self.bytes.capacity() > 0 {
            self.start = 0;
            self.home.give_back(std::mem::take(&mut self.bytes));
        }
    }

    fn need(&mut self, size: usize) {
        if self.bytes.capacity() >= size {
            return;
        }
        let mut larger = self.home.take(size);
        larger.extend_from_slice(self.filled());
        self.start = 0;
        let smaller = std::mem::replace(&mut self.bytes, larger);
        self.home.give_back(smaller);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.bytes));
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_and_is_used_again() {
        let buffers = Buffers::new();
        let mut buffer = buffers.buffer();
        assert_eq!(buffer.capacity(), 0);
        buffer.tail().extend_from_slice(b"GET /");
        let place = buffer.filled().as_ptr();
        drop(buffer);
        let mut buffer = buffers.buffer();
        buffer.need_small();
        assert_eq!((buffer.len(), buffer.room()), (0, SMALL));
        buffer.tail().push(b'x');
        assert_eq!(buffer.filled().as_ptr(), place);
    }

    #[test]
    fn free_buffers_are_bounded() {
        let buffers = Buffers::new();
        let used: Vec<_> = (0..FREE_SMALL + 10)
            .map(|_| {
                let mut buffer = buffers.buffer();
                buffer.need_small();
                buffer
            })
            .collect();
        drop(used);
        assert_eq!(buffers.small.borrow().len(), FREE_SMALL);
    }

    #[test]
    fn consuming_all_makes_all_its_room_free() {
        let mut buffer = Buffers::new().buffer();
        buffer.tail().extend_from_slice(b"headbody");
        buffer.consume(4);
        assert_eq!(buffer.filled(), b"body");
        buffer.consume(4);
        assert_eq!(buffer.room(), SMALL);
    }

    #[test]
    fn a_head_grows_to_its_limit_and_isnt_kept_at_that_size() {
        let buffers = Buffers::new();
        let mut buffer = buffers.buffer();
        let limit = 3 * SMALL + 1;
        while buffer.make_room(limit) {
            let room = buffer.room();
            buffer.tail().extend(std::iter::repeat_n(b'x', room));
        }
        assert_eq!(buffer.len(), limit);
        drop(buffer);
        assert!(buffers.small.borrow().is_empty());
    }

    #[test]
    fn room_in_front_is_used_before_more_memory_is() {
        let mut buffer = Buffers::new().buffer();
        buffer.tail().extend(std::iter::repeat_n(b'x', SMALL));
        buffer.consume(SMALL - 3);
        assert!(buffer.make_room(64 * SMALL));
        assert_eq!((buffer.filled(), buffer.capacity()), (&b"xxx"[..], SMALL));
    }

    #[test]
    fn what_it_holds_moves_to_larger_memory_and_stops_release() {
        let mut buffer = Buffers::new().buffer();
        buffer.tail().extend_from_slice(b"kept");
        buffer.need_large();
        buffer.release();
        assert_eq!((buffer.filled(), buffer.capacity()), (&b"kept"[..], LARGE));
        buffer.consume(4);
        buffer.release();
        assert_eq!(buffer.capacity(), 0);
    }
}
