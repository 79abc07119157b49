//! The PROXY protocol, versions 1 and 2: who the client is, said by the proxy before us in front of everything else, and by
//! us to a backend. Clauses are those of the specification that HAProxy publishes (proxy-protocol.txt).
//!
//! [`read()`] never guesses: a header is taken whole or refused, and one that says the same thing twice is refused too.

mod crc32c;
mod tlv;
mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

pub use crc32c::Checksum;
pub use tlv::{Ssl, Tlv, Tlvs};
pub use v1::write as write_v1;
pub use v2::{Transport, write as write_v2, write_local as write_local_v2};

use crate::refusal::Refusal;

/// The longest header that is read: version 1 ends within 107 bytes, and a version 2 header says its length, which may
/// be up to 64 KiB. Addresses take 216 bytes of it at the most; 4 KiB leave room for a client certificate's names.
pub const MAX_HEADER: usize = 4096;

/// What bytes at the start of a connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read<'a> {
    /// They may become a header: more of them have to come.
    More,
    /// They don't begin as a header does.
    Absent,
    /// A header, and how many bytes it took.
    Header(Header<'a>, usize),
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header<'a> {
    /// The proxy speaks for itself (its health check, for one): the connection's own addresses are the client's.
    Local,
    /// The proxy speaks for a client.
    Proxy(Proxied<'a>),
}

/// The connection that a proxy speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied<'a> {
    /// What kind of connection.
    pub transport: Transport,
    /// From where to where.
    pub addresses: Addresses<'a>,
    /// What else is said; nothing in version 1.
    pub tlvs: Tlvs<'a>,
}

/// The ends of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses<'a> {
    /// The proxy doesn't know them, or can't say them: the connection's own are to be used.
    Unknown,
    /// Of IPv4.
    Inet {
        /// The client.
        source: SocketAddrV4,
        /// Where it connected to.
        destination: SocketAddrV4,
    },
    /// Of IPv6.
    Inet6 {
        /// The client.
        source: SocketAddrV6,
        /// Where it connected to.
        destination: SocketAddrV6,
    },
    /// Paths of Unix sockets, without the zeros after them.
    Unix {
        /// The client's; usually empty.
        source: &'a [u8],
        /// Where it connected to.
        destination: &'a [u8],
    },
}

impl Addresses<'_> {
    /// The ends of a TCP connection. Both of IPv4 if both can be; else both of IPv6, since a header knows one family.
    #[must_use]
    pub fn between(source: SocketAddr, destination: SocketAddr) -> Self {
        let mapped = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) => SocketAddrV6::new(ip.to_ipv6_mapped(), address.port(), 0, 0),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, address.port(), 0, 0),
        };
        match (source.ip().to_canonical(), destination.ip().to_canonical()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Self::Inet {
                source: SocketAddrV4::new(from, source.port()),
                destination: SocketAddrV4::new(to, destination.port()),
            },
            _ => Self::Inet6 { source: mapped(source), destination: mapped(destination) },
        }
    }

    /// The client's address, if it has one that others can be told.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        match *self {
            Self::Inet { source, .. } => Some(source.into()),
            Self::Inet6 { source, .. } => Some(source.into()),
            Self::Unknown | Self::Unix { .. } => None,
        }
    }

    /// Where the client connected to.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        match *self {
            Self::Inet { destination, .. } => Some(destination.into()),
            Self::Inet6 { destination, .. } => Some(destination.into()),
            Self::Unknown | Self::Unix { .. } => None,
        }
    }
}

/// Reads the header that `bytes` begin with. The verdict doesn't depend on how the bytes were cut: what is malformed stays so,
/// whatever comes after it.
pub fn read(bytes: &[u8]) -> Result<Read<'_>, Refusal> {
    if begins(bytes, v2::SIGNATURE) {
        return v2::read(bytes);
    }
    if begins(bytes, v1::SIGNATURE) {
        return v1::read(bytes);
    }
    Ok(Read::Absent)
}

/// Whether `bytes` are the start of `signature`, or start with it.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let known = bytes.len().min(signature.len());
    bytes[..known] == signature[..known]
}

const fn malformed(reason: &'static str, clause: &'static str) -> Refusal {
    Refusal::malformed(reason, clause)
}
