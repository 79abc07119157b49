//! The form of a host with its port (RFC 9112 3.2, RFC 3986 3.2.2), in Host and in an absolute-form target.

use std::net::Ipv6Addr;

use crate::refusal::Refusal;
use crate::syntax::{self, HOST};

/// Checks `uri-host [":" port]`. Empty is allowed by the grammar, and is what a client sends whose target has
/// no authority.
pub(crate) fn check(host: &[u8]) -> Result<(), Refusal> {
    let rest = if let [b'[', literal @ ..] = host {
        let end = memchr::memchr(b']', literal).ok_or(invalid())?;
        check_ipv6(&literal[..end])?;
        &literal[end + 1..]
    } else {
        let name_length = run_of_name(host)?;
        if name_length == 0 && !host.is_empty() {
            // RFC 9110 4.2.1: an http URI with an empty host is invalid.
            return Err(invalid());
        }
        &host[name_length..]
    };
    match rest {
        [] => Ok(()),
        [b':', port @ ..] => check_port(port),
        _ => Err(invalid()),
    }
}

/// Length of the registered name or IPv4 address that `host` begins with.
fn run_of_name(host: &[u8]) -> Result<usize, Refusal> {
    let mut length = 0;
    loop {
        length += syntax::run(HOST, &host[length..]);
        match host.get(length..) {
            Some([b'%', high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => length += 3,
            Some([b'%', ..]) => return Err(invalid()),
            _ => return Ok(length),
        }
    }
}

fn check_ipv6(literal: &[u8]) -> Result<(), Refusal> {
    // Zones mean nothing to another host (RFC 6874 4), and no future form of address was ever assigned.
    let text = str::from_utf8(literal).map_err(|_| invalid())?;
    text.parse::<Ipv6Addr>().map(drop).map_err(|_| invalid())
}

fn check_port(port: &[u8]) -> Result<(), Refusal> {
    // `port = *DIGIT`: none at all stands for the scheme's own.
    match syntax::decimal(port) {
        Some(0..=65535) => Ok(()),
        None if port.is_empty() => Ok(()),
        _ => Err(Refusal::malformed("invalid port in the host", "RFC 3986 3.2.3")),
    }
}

fn invalid() -> Refusal {
    Refusal::malformed("invalid host", "RFC 9112 3.2")
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_addresses_and_ports_are_hosts() {
        for host in [
            "",
            "a",
            "example.com",
            "example.com:80",
            "example.com:",
            "127.0.0.1:65535",
            "[::1]",
            "[2001:db8::1]:8080",
            "under_score",
            "a%20b",
            "[::ffff:1.2.3.4]",
        ] {
            assert!(check(host.as_bytes()).is_ok(), "{host}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_a_host_is_refused() {
        for host in [
            "user@a",
            "a?b",
            "a#b",
            "a/b",
            "a:b",
            "a:80:80",
            "a:-1",
            "a:65536",
            "[::1",
            "::1",
            "[::1]a",
            "[]",
            "[a]",
            "[fe80::1%25eth0]",
            "[v1.x]",
            ":80",
            "a b",
            "a%2",
            "a%zz",
            "a\\b",
            "a,b c",
            "http://a",
            "\u{e9}",
            "a]",
        ] {
            assert!(check(host.as_bytes()).is_err(), "{host}");
        }
    }
}
