//! Who the client is, behind proxies that are trusted (`X-Forwarded-For`), and how it is told to backends
//! (`Forwarded`, RFC 7239). Text and addresses only.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The client's address: from `peer` on, the `X-Forwarded-For` values are walked from the right, each address
/// vouched for by the trusted one after it, to the first that isn't trusted. What isn't an address ends the
/// walk at whoever wrote it.
pub fn client_of<'a>(
    values: impl DoubleEndedIterator<Item = &'a [u8]>,
    peer: IpAddr,
    trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer.to_canonical();
    let elements = values.rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
    for element in elements.map(<[u8]>::trim_ascii) {
        // RFC 9110 5.6.1.2: empty list elements don't count.
        if element.is_empty() {
            continue;
        }
        if !trusted(client) {
            break;
        }
        let Some(address) = node_address(element) else { break };
        client = address;
    }
    client
}

/// The address of a node, as proxies write it: bare, in brackets, with a port, in quotes.
#[must_use]
pub fn node_address(node: &[u8]) -> Option<IpAddr> {
    let node = node.strip_prefix(b"\"").and_then(|node| node.strip_suffix(b"\"")).unwrap_or(node);
    let text = str::from_utf8(node).ok()?;
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = if let Some(inner) = bracketed {
        IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?)
    } else if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else if let Ok(socket) = text.parse::<SocketAddr>() {
        socket.ip()
    } else {
        // A port that no socket can have, as some write `:0` or leave the number out.
        IpAddr::V4(text.strip_suffix(':')?.parse::<Ipv4Addr>().ok()?)
    };
    Some(address.to_canonical())
}

/// Appends one `Forwarded` element to `out`: for whom, under which protocol and host the request came.
///
/// `host` is left out when it is empty. Values that aren't tokens are quoted (RFC 7239 4).
pub fn write_element(client: IpAddr, proto: &[u8], host: &[u8], out: &mut Vec<u8>) {
    let mut text = Text(out);
    let written = match client.to_canonical() {
        IpAddr::V4(address) => write!(text, "for={address}"),
        // RFC 7239 6: an IPv6 address is bracketed, and so quoted.
        IpAddr::V6(address) => write!(text, "for=\"[{address}]\""),
    };
    debug_assert!(written.is_ok(), "a vector takes everything");
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(proto);
    if !host.is_empty() {
        out.extend_from_slice(b";host=\"");
        for &byte in host {
            // No valid host holds either; a quoted string that ends early would forge parameters.
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
}

/// Formats addresses into a vector of bytes, without a string between.
struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Trusts 10.0.0.0/8 and the loopback of IPv6.
    fn client(values: &[&str], peer: &str) -> IpAddr {
        let trusted = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => v4.octets()[0] == 10,
            IpAddr::V6(v6) => v6.is_loopback(),
        };
        client_of(values.iter().map(|value| value.as_bytes()), address(peer), trusted)
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_claims() {
        assert_eq!(client(&["10.0.0.1, 192.0.2.1"], "198.51.100.7"), address("198.51.100.7"));
    }

    #[test]
    fn the_walk_ends_at_the_first_address_that_is_not_trusted() {
        assert_eq!(client(&["6.6.6.6, 192.0.2.1, 10.0.0.9"], "10.0.0.1"), address("192.0.2.1"));
    }

    #[test]
    fn the_walk_goes_from_the_last_field_to_the_first() {
        assert_eq!(client(&["192.0.2.1", "10.0.0.3,10.0.0.2"], "::1"), address("192.0.2.1"));
    }

    #[test]
    fn a_chain_of_trusted_addresses_gives_the_leftmost() {
        assert_eq!(client(&["10.0.0.3, 10.0.0.2"], "10.0.0.1"), address("10.0.0.3"));
        assert_eq!(client(&[], "10.0.0.1"), address("10.0.0.1"));
    }

    #[test]
    fn what_is_not_an_address_ends_the_walk_at_its_writer() {
        assert_eq!(client(&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.1"), address("10.0.0.2"));
        assert_eq!(client(&["192.0.2.1, , 10.0.0.2,"], "10.0.0.1"), address("192.0.2.1"));
    }

    #[test]
    fn mapped_addresses_are_compared_as_ipv4() {
        assert_eq!(client(&["192.0.2.1"], "::ffff:10.0.0.1"), address("192.0.2.1"));
    }

    #[test]
    fn nodes_are_read_in_every_usual_form() {
        for text in ["192.0.2.1", "192.0.2.1:80", "\"192.0.2.1:80\"", "::ffff:192.0.2.1", "192.0.2.1:"] {
            assert_eq!(node_address(text.as_bytes()), Some(address("192.0.2.1")), "{text}");
        }
        for text in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80", "\"[2001:db8::1]\""] {
            assert_eq!(node_address(text.as_bytes()), Some(address("2001:db8::1")), "{text}");
        }
        for text in ["", "unknown", "_hidden", "192.0.2", "[192.0.2.1]", "a:80", "192.0.2.1:x", "192.0.2.1 "]
        {
            assert_eq!(node_address(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn elements_quote_what_is_no_token() {
        let mut out = b"for=unknown, ".to_vec();
        write_element(address("2001:db8::1"), b"https", b"a\"b:80", &mut out);
        assert_eq!(out, br#"for=unknown, for="[2001:db8::1]";proto=https;host="a\"b:80""#);
        out.clear();
        write_element(address("::ffff:192.0.2.1"), b"http", b"", &mut out);
        assert_eq!(out, b"for=192.0.2.1;proto=http");
    }
}
