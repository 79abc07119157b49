//! How long a body is, and whether it is as long as was said (RFC 9113 8.1.1).

use crate::refusal::Refusal;

const CLAUSE: &str = "RFC 9113 8.1.1";

/// What a head says of the body behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// It ends with the stream, perhaps with trailers.
    Stream,
}

impl Extent {
    /// The extent of a message that says it has `length` bytes, or nothing about it; `ends`: the stream is over with its
    /// head.
    pub(super) fn new(length: Option<u64>, ends: bool) -> Result<Self, Refusal> {
        match (length, ends) {
            (None | Some(0), true) => Ok(Self::None),
            (Some(_), true) => Err(shorter()),
            (Some(length), false) => Ok(Self::Length(length)),
            (None, false) => Ok(Self::Stream),
        }
    }
}

/// Counts the bytes of DATA frames against what was announced. One that doesn't fit makes the message malformed, and
/// what was passed on of it must not look complete.
#[derive(Debug, Clone)]
pub struct Count {
    /// Bytes that are still due; `None`: any number.
    left: Option<u64>,
}

impl Count {
    /// At the start of a body.
    #[must_use]
    pub fn new(extent: Extent) -> Self {
        Self {
            left: match extent {
                Extent::None => Some(0),
                Extent::Length(length) => Some(length),
                Extent::Stream => None,
            },
        }
    }

    /// So many bytes came, padding not counted.
    pub fn data(&mut self, bytes: usize) -> Result<(), Refusal> {
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(bytes as u64)
                .ok_or(Refusal::malformed("more data than Content-Length says", CLAUSE))?;
        }
        Ok(())
    }

    /// The stream ended.
    pub fn end(&self) -> Result<(), Refusal> {
        if self.left.unwrap_or(0) == 0 { Ok(()) } else { Err(shorter()) }
    }
}

fn shorter() -> Refusal {
    Refusal::malformed("less data than Content-Length says", CLAUSE)
}
