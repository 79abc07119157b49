//! What a client may ask of us besides requests.
//!
//! Frames that carry neither a request nor a body cost us as much as others, and nobody waits for what they bring: floods
//! of them (SETTINGS, PING, PRIORITY, `WINDOW_UPDATE`, empty DATA, CONTINUATION, streams that are reset as soon as they are
//! open) are how HTTP/2 is abused. So a connection has a credit for them. Time fills it slowly, and so does everything that
//! makes an honest client send such frames: a request that was answered, a body that moves.

use std::time::{Duration, Instant};

/// What a connection starts with, and has at the most.
const MOST: i64 = 1_000;

/// Frames a second that are nobody's business.
const PER_SECOND: u32 = 100;

/// A stream that is reset made work for a backend.
const RESET: i64 = 5;

/// A request may have its PRIORITY and `WINDOW_UPDATE`, whatever becomes of it.
const REQUEST: i64 = 2;

/// An answer that is whole earns what it cost: a client may reset others, or measure the way to us by a PING.
const ANSWER: i64 = 5;

/// A piece of a body earns an update of each window, and more if it is large.
const PIECE: i64 = 2;
const PIECE_BYTES: u32 = 4 * 1024;

/// The connection preface (RFC 9113 3.4), which is no frame.
const PREFACE: u32 = 24;

/// Length of a frame's head (RFC 9113 4.1).
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// One connection's credit, and where it is in what it receives.
pub(super) struct Credit {
    left: i64,
    filled_at: Instant,
    head: [u8; HEAD],
    /// Bytes of the head that are here.
    read: usize,
    /// Bytes that are passed over: of a payload, of the preface.
    skip: u32,
}

impl Credit {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: MOST, filled_at: now, head: [0; HEAD], read: 0, skip: PREFACE }
    }

    /// These bytes came, in the order of the connection, cut anywhere.
    pub(super) fn received(&mut self, mut bytes: &[u8], now: Instant) {
        self.fill(now);
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = bytes.len().min(self.skip as usize);
                self.skip -= skipped as u32;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = bytes.len().min(HEAD - self.read);
            self.head[self.read..self.read + taken].copy_from_slice(&bytes[..taken]);
            self.read += taken;
            bytes = &bytes[taken..];
            if self.read == HEAD {
                self.read = 0;
                self.frame();
            }
        }
    }

    /// So much of an answer's body was given.
    pub(super) fn gave(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.earn(PIECE + i64::from(bytes / PIECE_BYTES));
    }

    /// An answer is whole.
    pub(super) fn answered(&mut self) {
        self.earn(ANSWER);
    }

    /// It asked for more than it may.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.left < 0
    }

    fn frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.skip = length;
        match kind {
            DATA if length > 0 => self.earn(i64::from(length / PIECE_BYTES)),
            DATA if flags & END_STREAM != 0 => {}
            HEADERS => self.earn(REQUEST),
            RST_STREAM => self.left -= RESET,
            _ => self.left -= 1,
        }
    }

    fn earn(&mut self, amount: i64) {
        // Who is overdrawn stays so: its connection is as good as closed.
        if self.left >= 0 {
            self.left = (self.left + amount).min(MOST);
        }
    }

    fn fill(&mut self, now: Instant) {
        let each = Duration::from_secs(1) / PER_SECOND;
        let passed = now.saturating_duration_since(self.filled_at);
        let due = u32::try_from(passed.as_nanos() / each.as_nanos()).unwrap_or(u32::MAX);
        if i64::from(due) >= MOST {
            self.filled_at = now;
        } else {
            self.filled_at += each * due;
        }
        self.earn(due.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    struct Client {
        credit: Credit,
        now: Instant,
    }

    impl Client {
        fn new() -> Self {
            let now = clock::now();
            let mut credit = Credit::new(now);
            credit.received(&[b'x'; PREFACE as usize], now);
            Self { credit, now }
        }

        fn send(&mut self, kind: u8, flags: u8, length: usize) {
            let head = [0, (length >> 8) as u8, length as u8, kind, flags, 0, 0, 0, 1];
            self.credit.received(&head, self.now);
            self.credit.received(&vec![0; length], self.now);
        }

        /// How many of these it may send before it is overdrawn, up to 100,000.
        fn may(mut self, mut each: impl FnMut(&mut Self)) -> usize {
            for sent in 0..100_000 {
                if self.credit.is_overdrawn() {
                    return sent;
                }
                each(&mut self);
            }
            100_000
        }
    }

    #[test]
    fn frames_that_bring_nothing_are_bounded_whatever_they_are() {
        for (kind, length) in [(2, 5), (4, 6), (4, 0), (6, 8), (8, 4), (9, 10), (0x16, 3), (DATA, 0)] {
            assert_eq!(Client::new().may(|client| client.send(kind, 0, length)), MOST as usize + 1, "{kind}");
        }
    }

    #[test]
    fn streams_that_are_reset_at_once_are_bounded() {
        let resets = Client::new().may(|client| {
            client.send(HEADERS, 5, 20);
            client.send(RST_STREAM, 0, 4);
        });
        assert!((300..400).contains(&resets), "{resets}");
    }

    #[test]
    fn requests_bodies_and_what_belongs_to_them_are_free() {
        let requests = Client::new().may(|client| {
            client.send(HEADERS, 4, 20);
            client.send(2, 0, 5);
            client.send(DATA, 0, 10);
            client.send(DATA, END_STREAM, 0);
            client.credit.gave(10);
            client.send(8, 0, 4);
            client.send(8, 0, 4);
            client.credit.answered();
            client.send(6, 0, 8);
        });
        assert_eq!(requests, 100_000);
    }

    #[test]
    fn time_gives_back_what_was_used() {
        let slow = Client::new().may(|client| {
            client.now += Duration::from_millis(11);
            client.send(6, 0, 8);
        });
        assert_eq!(slow, 100_000);
        let quick = Client::new().may(|client| {
            client.now += Duration::from_millis(1);
            client.send(6, 0, 8);
        });
        assert!((1_050..1_200).contains(&quick), "{quick}");
    }

    #[test]
    fn frames_are_told_apart_however_they_are_cut() {
        let now = clock::now();
        for piece in 1..40 {
            let mut credit = Credit::new(now);
            let bytes = [&[b'x'; PREFACE as usize][..], &PING.repeat(100)].concat();
            for part in bytes.chunks(piece) {
                credit.received(part, now);
            }
            assert_eq!(credit.left, MOST - 100, "in pieces of {piece}");
        }
    }
}
