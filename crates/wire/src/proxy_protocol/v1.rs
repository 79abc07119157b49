//! Version 1: a line of text, at most 107 bytes with its CRLF.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

use super::tlv::Tlvs;
use super::v2::Transport;
use super::{Addresses, Header, Proxied, Read, malformed};
use crate::refusal::Refusal;

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// "a 108-byte buffer is always enough to store all the line and a trailing zero".
const MAX_LINE: usize = 107;

const CLAUSE: &str = "PROXY protocol 2.1";

pub(super) fn read(bytes: &[u8]) -> Result<Read<'_>, Refusal> {
    let before_end = &bytes[..bytes.len().min(MAX_LINE - 1)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', before_end) else {
        return if before_end.len() == MAX_LINE - 1 {
            Err(malformed("line longer than 107 bytes", CLAUSE))
        } else {
            Ok(Read::More)
        };
    };
    match (bytes[end], bytes.get(end + 1)) {
        (b'\r', Some(b'\n')) => {}
        (b'\r', None) => return Ok(Read::More),
        _ => return Err(malformed("line ends without CRLF", CLAUSE)),
    }
    // The signature has no end of a line in it, so this one is behind it.
    let addresses = addresses(&bytes[SIGNATURE.len()..end])?;
    let header = Header::Proxy(Proxied { transport: Transport::Stream, addresses, tlvs: Tlvs::default() });
    Ok(Read::Header(header, end + 2))
}

fn addresses(fields: &[u8]) -> Result<Addresses<'static>, Refusal> {
    let mut fields = fields.split(|&byte| byte == b' ');
    let family = fields.next().unwrap_or_default();
    if family == b"UNKNOWN" {
        // "the receiver must ignore anything presented before the CRLF is found".
        return Ok(Addresses::Unknown);
    }
    let mut next = || fields.next().ok_or(malformed("a field is missing", CLAUSE));
    let (source, destination) = (next()?, next()?);
    let (from, to) = (port(next()?)?, port(next()?)?);
    if fields.next().is_some() {
        return Err(malformed("more fields than there are", CLAUSE));
    }
    match family {
        b"TCP4" => Ok(Addresses::Inet {
            source: SocketAddrV4::new(address::<Ipv4Addr>(source)?, from),
            destination: SocketAddrV4::new(address::<Ipv4Addr>(destination)?, to),
        }),
        b"TCP6" => Ok(Addresses::Inet6 {
            source: SocketAddrV6::new(address::<Ipv6Addr>(source)?, from, 0, 0),
            destination: SocketAddrV6::new(address::<Ipv6Addr>(destination)?, to, 0, 0),
        }),
        _ => Err(malformed("unknown protocol", CLAUSE)),
    }
}

fn address<A: FromStr>(text: &[u8]) -> Result<A, Refusal> {
    let address = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    address.ok_or(malformed("invalid address", CLAUSE))
}

/// "Heading zeroes are not permitted": another reader may take them for octal.
fn port(text: &[u8]) -> Result<u16, Refusal> {
    let plain = text.iter().all(u8::is_ascii_digit) && (text.len() == 1 || text.first() != Some(&b'0'));
    let port = str::from_utf8(text).ok().filter(|_| plain).and_then(|text| text.parse().ok());
    port.ok_or(malformed("invalid port", CLAUSE))
}

/// Appends the line for a client's connection. What isn't of IP is told as unknown, which a backend has to accept.
pub fn write(addresses: &Addresses<'_>, out: &mut Vec<u8>) {
    let line = match addresses {
        Addresses::Inet { source: from, destination: to } => {
            format!("PROXY TCP4 {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
        }
        Addresses::Inet6 { source: from, destination: to } => {
            format!("PROXY TCP6 {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
        }
        Addresses::Unknown | Addresses::Unix { .. } => "PROXY UNKNOWN\r\n".to_owned(),
    };
    out.extend_from_slice(line.as_bytes());
}
