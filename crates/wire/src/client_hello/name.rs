//! The name in a ClientHello, in the form in which names are compared.

use std::net::IpAddr;

use crate::refusal::Refusal;

/// Bytes of the longest name (RFC 1035 2.3.4, without the length bytes of the wire).
pub const MAX_NAME: usize = 253;
/// Bytes of the longest part of one.
const MAX_LABEL: usize = 63;

/// The name of a host, in lower case and without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName(Box<str>);

impl ServerName {
    /// `None` for an address, which isn't to be put there (RFC 6066 3) and says nothing about whom it is for.
    pub(super) fn parse(name: &[u8]) -> Result<Option<Self>, Refusal> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let invalid = Refusal::malformed("invalid server name", "RFC 6066 3");
        let text = str::from_utf8(name).map_err(|_| invalid)?;
        if name.contains(&b':') || is_ipv4(name) {
            return text.parse::<IpAddr>().map(|_| None).map_err(|_| invalid);
        }
        if name.len() > MAX_NAME || !name.split(|&byte| byte == b'.').all(is_label) {
            return Err(invalid);
        }
        Ok(Some(Self(text.to_ascii_lowercase().into())))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Letters, digits and hyphens; underscores too, which names in use have.
fn is_label(label: &[u8]) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A last part of digits alone is that of an address, not of a name.
fn is_ipv4(name: &[u8]) -> bool {
    let last = name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    !last.is_empty() && last.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::ServerName;

    /// As it is compared; an empty text for no name, `None` if it is refused.
    fn read(name: &str) -> Option<String> {
        let read = ServerName::parse(name.as_bytes()).ok()?;
        Some(read.map(|name| name.as_str().to_owned()).unwrap_or_default())
    }

    #[test]
    fn names_are_lowered_and_lose_a_trailing_dot() {
        for (given, read_as) in [
            ("a.example", "a.example"),
            ("A.EXAMPLE.", "a.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("_dns.a-b.c3", "_dns.a-b.c3"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(read(given).as_deref(), Some(read_as), "{given}");
        }
    }

    #[test]
    fn an_address_is_no_name() {
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(read(address).as_deref(), Some(""), "{address}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let long = ["a"; 128].join(".");
        let label = "a".repeat(64);
        for name in
            ["", ".", "a..b", ".a", "*.a", "a b", "a\0", "ä.example", "a/b", "1.2", "a:1", &long, &label]
        {
            assert_eq!(read(name), None, "{name:?}");
        }
        assert!(read(&long[..253]).is_some());
    }
}
