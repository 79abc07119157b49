//! Bytes to meaning and back: HTTP/1.1 heads and bodies, HTTP/2 field lists, paths, forwarding fields, and what stands
//! before a protocol.
//!
//! Nothing here touches a socket, a clock or a runtime: functions take bytes and give events, so every rule of
//! the protocol can be tested byte by byte, fuzzed, and put under any event loop.
//!
//! In reading order:
//! - [`head`]: one owned buffer and spans into it; what every protocol reads into and writes from
//! - [`name`]: the field names that the data plane itself acts on, told apart once, when a head is parsed
//! - [`http1`]: RFC 9112: heads in, heads out, bodies in and out of their framing
//! - [`http2`]: RFC 9113: field lists in, field lists out
//! - [`path`]: the form of a path that routes are matched on
//! - [`cookie`]: cookies in fields
//! - [`forwarded`]: who the client is, behind trusted proxies, and how that is told to backends
//! - [`proxy_protocol`]: the client's address, said by a proxy before the first byte of anything else
//! - [`client_hello`]: the name that a TLS client asks for, read without being touched
//! - [`certificate`]: from when to when one is valid
//! - [`Refusal`]: what was wrong, whose rule says so, and the status that answers it

#![forbid(unsafe_code)]

pub mod certificate;
pub mod client_hello;
pub mod cookie;
pub mod forwarded;
pub mod head;
mod host;
pub mod http1;
pub mod http2;
pub mod name;
pub mod path;
pub mod proxy_protocol;
mod refusal;
mod syntax;
mod trailer;

pub use head::{Head, Version};
pub use name::Known;
pub use refusal::Refusal;
