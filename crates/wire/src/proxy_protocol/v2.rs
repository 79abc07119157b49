//! Version 2: 16 bytes that say what follows, then addresses, then whatever else the proxy has to say.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use super::crc32c::{self, Checksum};
use super::tlv::{self, Tlv, Tlvs};
use super::{Addresses, Header, MAX_HEADER, Proxied, Read, malformed};
use crate::refusal::Refusal;

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;

/// A path of a Unix socket, `sun_path` of Linux.
const UNIX_PATH: usize = 108;

const CLAUSE: &str = "PROXY protocol 2.2";

/// What kind of connection the client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Not said.
    #[default]
    Unspecified,
    /// TCP, or a Unix stream socket.
    Stream,
    /// UDP, or a Unix datagram socket.
    Datagram,
}

/// A family of addresses, by its number in the header.
#[derive(Clone, Copy)]
enum Family {
    Unspecified,
    Inet,
    Inet6,
    Unix,
}

impl Family {
    /// Bytes that its two addresses, with their ports, take.
    const fn block(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::Inet => 12,
            Self::Inet6 => 36,
            Self::Unix => 2 * UNIX_PATH,
        }
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Read<'_>, Refusal> {
    // In the order of the bytes, so that the first fault is the same however many have come.
    let Some(&command) = bytes.get(12) else { return Ok(Read::More) };
    if command >> 4 != 2 {
        return Err(malformed("unknown version", CLAUSE));
    }
    let local = match command & 0xf {
        0 => true,
        1 => false,
        _ => return Err(malformed("unknown command", CLAUSE)),
    };
    let Some(&kind) = bytes.get(13) else { return Ok(Read::More) };
    // "discard the protocol block including the family which is ignored".
    let kind = if local { None } else { Some(family(kind)?) };
    let Some(&[high, low]) = bytes.get(14..FIXED) else { return Ok(Read::More) };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_HEADER {
        return Err(malformed("header longer than 4 KiB", CLAUSE));
    }
    if kind.is_some_and(|(family, _)| length < FIXED + family.block()) {
        return Err(malformed("header shorter than its addresses", CLAUSE));
    }
    let Some(header) = bytes.get(..length) else { return Ok(Read::More) };
    let Some((family, transport)) = kind else { return Ok(Read::Header(Header::Local, length)) };
    let (block, rest) = header[FIXED..].split_at(family.block());
    let tlvs = Tlvs::read(rest)?;
    if let Some(at) = tlvs.checksum_at() {
        crc32c::verify(header, length - rest.len() + at)?;
    }
    let header = Header::Proxy(Proxied { transport, addresses: addresses(family, block), tlvs });
    Ok(Read::Header(header, length))
}

fn family(byte: u8) -> Result<(Family, Transport), Refusal> {
    Ok(match byte {
        0x00 => (Family::Unspecified, Transport::Unspecified),
        0x11 => (Family::Inet, Transport::Stream),
        0x12 => (Family::Inet, Transport::Datagram),
        0x21 => (Family::Inet6, Transport::Stream),
        0x22 => (Family::Inet6, Transport::Datagram),
        0x31 => (Family::Unix, Transport::Stream),
        0x32 => (Family::Unix, Transport::Datagram),
        // "Other values are unspecified and must not be emitted in version 2 … and must be rejected".
        _ => return Err(malformed("unknown family or transport", CLAUSE)),
    })
}

fn addresses(family: Family, block: &[u8]) -> Addresses<'_> {
    match family {
        Family::Unspecified => Addresses::Unknown,
        Family::Inet => {
            let (from, to, ports) = halves::<4>(block);
            Addresses::Inet {
                source: SocketAddrV4::new(Ipv4Addr::from(from), ports.0),
                destination: SocketAddrV4::new(Ipv4Addr::from(to), ports.1),
            }
        }
        Family::Inet6 => {
            let (from, to, ports) = halves::<16>(block);
            Addresses::Inet6 {
                source: SocketAddrV6::new(Ipv6Addr::from(from), ports.0, 0, 0),
                destination: SocketAddrV6::new(Ipv6Addr::from(to), ports.1, 0, 0),
            }
        }
        Family::Unix => {
            let (source, destination) = block.split_at(UNIX_PATH);
            Addresses::Unix { source: path(source), destination: path(destination) }
        }
    }
}

/// Two addresses of `N` bytes and two ports.
fn halves<const N: usize>(block: &[u8]) -> ([u8; N], [u8; N], (u16, u16)) {
    let mut from = [0; N];
    let mut to = [0; N];
    from.copy_from_slice(&block[..N]);
    to.copy_from_slice(&block[N..2 * N]);
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    (from, to, (port(2 * N), port(2 * N + 2)))
}

/// Without the zeros that fill it; an abstract name begins with one and keeps those within it.
fn path(field: &[u8]) -> &[u8] {
    let length = field.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &field[..length]
}

/// Appends the header of a connection that we make for ourselves, such as a health check.
pub fn write_local(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0x20, 0, 0, 0]);
}

/// Appends the header for a client's connection; `checksum` has its CRC32C follow. What doesn't fit in a header
/// ([`MAX_HEADER`]) is left out, last ones first: a header that says less is better than one that is refused.
pub fn write(
    transport: Transport,
    addresses: &Addresses<'_>,
    tlvs: &[Tlv<'_>],
    checksum: Checksum,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0x21, kind(transport, addresses), 0, 0]);
    match addresses {
        Addresses::Unknown => {}
        Addresses::Inet { source, destination } => {
            put_ip(out, &source.ip().octets(), &destination.ip().octets(), source.port(), destination.port());
        }
        Addresses::Inet6 { source, destination } => {
            put_ip(out, &source.ip().octets(), &destination.ip().octets(), source.port(), destination.port());
        }
        Addresses::Unix { source, destination } => {
            put_path(out, source);
            put_path(out, destination);
        }
    }
    let most = start + MAX_HEADER - if checksum.is_wanted() { tlv::CHECKSUM_SIZE } else { 0 };
    for tlv in tlvs {
        let before = out.len();
        tlv.write(out);
        if out.len() > most {
            out.truncate(before);
            break;
        }
    }
    if checksum.is_wanted() {
        tlv::write_empty_checksum(out);
    }
    let length = (out.len() - start - FIXED) as u16;
    out[start + 14..start + FIXED].copy_from_slice(&length.to_be_bytes());
    if checksum.is_wanted() {
        let end = out.len();
        let sum = crc32c::of(&[&out[start..]]);
        out[end - 4..].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The byte for family and transport. Without addresses there is no transport either.
fn kind(transport: Transport, addresses: &Addresses<'_>) -> u8 {
    let family = match addresses {
        Addresses::Unknown => return 0,
        Addresses::Inet { .. } => 0x10,
        Addresses::Inet6 { .. } => 0x20,
        Addresses::Unix { .. } => 0x30,
    };
    // An address without a transport can't be said: a connection is what we have.
    family | if transport == Transport::Datagram { 2 } else { 1 }
}

fn put_ip(out: &mut Vec<u8>, from: &[u8], to: &[u8], from_port: u16, to_port: u16) {
    out.extend_from_slice(from);
    out.extend_from_slice(to);
    out.extend_from_slice(&from_port.to_be_bytes());
    out.extend_from_slice(&to_port.to_be_bytes());
}

/// A path that doesn't fit is cut, which a path that was bound never needs.
fn put_path(out: &mut Vec<u8>, path: &[u8]) {
    let end = out.len() + UNIX_PATH;
    out.extend_from_slice(&path[..path.len().min(UNIX_PATH)]);
    out.resize(end, 0);
}
