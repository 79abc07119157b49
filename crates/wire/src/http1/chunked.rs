//! The chunked transfer coding (RFC 9112 7.1), decoded byte by byte where it is framing and in one piece where
//! it is payload. Chunk extensions are read and dropped, within bounds.

use super::body::Step;
use super::parse::Limits;
use super::trailer::Trailers;
use crate::head::Head;
use crate::refusal::Refusal;
use crate::syntax::{self, VALUE};

/// Digits of the largest chunk size that 64 bits hold; no sender pads beyond it.
const MAX_SIZE_DIGITS: u8 = 16;
/// Bytes of extensions in one chunk's line.
const MAX_EXTENSION: u32 = 1024;
/// Bytes of extensions in a body beyond those of its payload: RFC 9112 7.1.1 asks for a limit, since tiny chunks
/// with long extensions make a reader work for bytes that nobody gets.
const MAX_EXCESS: u64 = 16 * 1024;

#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    size: u64,
    extension: u32,
    excess: u64,
    limits: Limits,
    /// Made at the first trailer only, which nearly no body has.
    trailers: Option<Box<Trailers>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the size, after so many digits.
    Size(u8),
    /// In the whitespace that may stand before an extension.
    Whitespace,
    Extension,
    SizeLineFeed,
    /// So many payload bytes of the chunk are to come.
    Data(u64),
    DataReturn,
    DataLineFeed,
    /// At the first byte after the last chunk.
    Last,
    /// In the line feed that ends a body without trailers.
    LastLineFeed,
    Trailers,
    Done,
}

impl Chunks {
    pub(super) fn new(limits: Limits) -> Self {
        Self { state: State::Size(0), size: 0, extension: 0, excess: 0, limits, trailers: None }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn trailers(&self) -> Option<&Head> {
        let trailers = self.trailers.as_ref().filter(|_| self.is_done())?;
        trailers.head().iter().next().is_some().then(|| trailers.head())
    }

    pub(super) fn decode(&mut self, input: &[u8]) -> Result<Step, Refusal> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            match self.state {
                State::Data(remaining) => {
                    let rest = &input[at..];
                    let taken = usize::try_from(remaining).map_or(rest.len(), |most| most.min(rest.len()));
                    self.take(remaining, taken as u64);
                    return Ok(Step { consumed: at + taken, data: at..at + taken, done: false });
                }
                State::Trailers => {
                    let trailers = self.trailers.get_or_insert_default();
                    let (taken, complete) = trailers.read_line(&input[at..], &self.limits)?;
                    at += taken;
                    self.state = if complete { State::Done } else { State::Trailers };
                }
                _ => {
                    self.state = self.framing_byte(input[at])?;
                    // The first byte of a trailer belongs to its line and is read again there.
                    at += usize::from(self.state != State::Trailers);
                }
            }
        }
        Ok(Step { consumed: at, data: at..at, done: self.is_done() })
    }

    fn take(&mut self, remaining: u64, taken: u64) {
        self.excess = self.excess.saturating_sub(taken);
        self.state = if taken == remaining { State::DataReturn } else { State::Data(remaining - taken) };
    }

    /// The state after one byte of framing.
    fn framing_byte(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size(digits), _) => self.size_byte(digits, byte),
            (State::Whitespace, b' ' | b'\t') => self.extension_byte(State::Whitespace),
            (State::Whitespace, b';') => self.extension_byte(State::Extension),
            (State::Extension, b'\r') => Ok(State::SizeLineFeed),
            (State::Extension, _) if syntax::is(VALUE, byte) => self.extension_byte(State::Extension),
            (State::SizeLineFeed, b'\n') => {
                self.extension = 0;
                Ok(if self.size == 0 { State::Last } else { State::Data(self.size) })
            }
            (State::DataReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => {
                self.size = 0;
                Ok(State::Size(0))
            }
            (State::Last, b'\r') => Ok(State::LastLineFeed),
            (State::LastLineFeed, b'\n') => Ok(State::Done),
            (State::Last, _) => Ok(State::Trailers),
            (State::Whitespace | State::Extension, _) => Err(malformed("malformed chunk extension")),
            (State::DataReturn | State::DataLineFeed, _) => Err(malformed("chunk longer than its size")),
            _ => Err(malformed("chunk line ends without CRLF")),
        }
    }

    fn size_byte(&mut self, digits: u8, byte: u8) -> Result<State, Refusal> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if digits == MAX_SIZE_DIGITS {
                return Err(malformed("chunk size too large"));
            }
            self.size = self.size << 4 | u64::from(digit);
            return Ok(State::Size(digits + 1));
        }
        match byte {
            _ if digits == 0 => Err(malformed("chunk size without digits")),
            b'\r' => Ok(State::SizeLineFeed),
            b';' => self.extension_byte(State::Extension),
            b' ' | b'\t' => self.extension_byte(State::Whitespace),
            _ => Err(malformed("malformed chunk size")),
        }
    }

    fn extension_byte(&mut self, next: State) -> Result<State, Refusal> {
        self.extension += 1;
        self.excess += 1;
        if self.extension > MAX_EXTENSION || self.excess > MAX_EXCESS {
            return Err(Refusal::malformed("chunk extensions too long", "RFC 9112 7.1.1"));
        }
        Ok(next)
    }
}

fn malformed(reason: &'static str) -> Refusal {
    Refusal::malformed(reason, "RFC 9112 7.1")
}
