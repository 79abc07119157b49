//! HTTP/1.0 and 1.1 (RFC 9112): heads to and from bytes, bodies out of and into their framing.
//!
//! Strict by the letter wherever two readers could disagree about where a message ends: what is ambiguous is
//! refused, never repaired and passed on.

pub mod body;
pub mod encode;
pub mod parse;

mod chunked;
mod field_line;
mod framing;
mod start_line;
mod target;
mod trailer;

pub use crate::refusal::Refusal;
pub use body::{Decoder, Step};
pub use encode::Framing;
pub use framing::Body;
pub use parse::{Limits, Request, Response, Scan};

#[cfg(test)]
mod tests;
