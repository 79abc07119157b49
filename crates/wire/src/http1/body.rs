//! Taking a body out of its framing, in place: the decoder says which bytes of the input are payload.

use std::ops::Range;

use super::chunked::Chunks;
use super::framing::Body;
use super::parse::Limits;
use crate::head::Head;
use crate::refusal::Refusal;

/// Takes one body out of its framing.
#[derive(Debug)]
pub struct Decoder(Kind);

#[derive(Debug)]
enum Kind {
    Length(u64),
    Chunked(Chunks),
    Close,
}

/// What a piece of input held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are dealt with; the rest is to be given again.
    pub consumed: usize,
    /// The payload among them, in one piece; may be empty.
    pub data: Range<usize>,
    /// The body is complete; what follows `consumed` isn't part of it.
    pub done: bool,
}

impl Decoder {
    /// A decoder at the start of a body; `limits` bound its trailers.
    #[must_use]
    pub fn new(body: Body, limits: Limits) -> Self {
        Self(match body {
            Body::None => Kind::Length(0),
            Body::Length(length) => Kind::Length(length),
            Body::Chunked => Kind::Chunked(Chunks::new(limits)),
            Body::Close => Kind::Close,
        })
    }

    /// Deals with the start of `input`, up to the end of the first payload in it. Call again with the rest
    /// while it consumes something and isn't done.
    ///
    /// A refusal has status 400; for what a backend sent, see [`Refusal::of_backend`].
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, Refusal> {
        match &mut self.0 {
            Kind::Length(remaining) => {
                // Lengths beyond the address space are more than any input holds.
                let taken =
                    usize::try_from(*remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
                *remaining -= taken as u64;
                Ok(Step { consumed: taken, data: 0..taken, done: *remaining == 0 })
            }
            Kind::Chunked(chunks) => chunks.decode(input),
            Kind::Close => Ok(Step { consumed: input.len(), data: 0..input.len(), done: false }),
        }
    }

    /// Payload bytes still to come, where that is known: bodies with a length.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.0 {
            Kind::Length(remaining) => Some(remaining),
            Kind::Chunked(_) | Kind::Close => None,
        }
    }

    /// Counts payload that was moved without being looked at. Nothing to count in a chunked body.
    pub fn skip(&mut self, moved: u64) {
        if let Kind::Length(remaining) = &mut self.0 {
            debug_assert!(moved <= *remaining, "more was moved than the body has");
            *remaining = remaining.saturating_sub(moved);
        }
    }

    /// Whether the body is complete. One that only the connection's end completes never is.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Kind::Length(remaining) => *remaining == 0,
            Kind::Chunked(chunks) => chunks.is_done(),
            Kind::Close => false,
        }
    }

    /// The trailers of a complete chunked body that may be passed on, if it had any.
    #[must_use]
    pub fn trailers(&self) -> Option<&Head> {
        match &self.0 {
            Kind::Chunked(chunks) => chunks.trailers(),
            Kind::Length(_) | Kind::Close => None,
        }
    }

    /// The connection ended here: was the body complete?
    pub fn finish(&self) -> Result<(), Refusal> {
        if self.is_done() || matches!(self.0, Kind::Close) {
            return Ok(());
        }
        // RFC 9112 8: neither a length unmet nor chunks without the last one are a whole message.
        Err(Refusal::malformed("body ended too early", "RFC 9112 8"))
    }
}
