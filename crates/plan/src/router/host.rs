//! Hosts: what a route may ask for, and what a request asked for, brought to one form.

use std::borrow::Cow;

/// A name has at most 253 bytes (RFC 1035 2.3.4, without the length bytes); what is longer than this names nobody.
pub const MAX_HOST: usize = 255;

/// A host that a route asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostRule {
    /// This name and no other.
    Exact(Box<str>),
    /// `*.example.com`, kept as `.example.com`: every name that ends so and has something before it.
    Wildcard(Box<str>),
}

impl HostRule {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, wildcard) = match text.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') => (&suffix[1..], true),
            _ => (text, false),
        };
        let bracketed = name.starts_with('[') && name.ends_with(']') && !wildcard;
        let name = name.strip_suffix('.').unwrap_or(name);
        let complaint = if name.split('.').any(str::is_empty) {
            "a name has something before and after each dot"
        } else if name.contains('*') {
            "\"*\" stands only before a name, as in \"*.example.com\"; without a host the route takes every host"
        } else if name.contains(':') && !bracketed {
            "a host is written without its port"
        } else if name.len() >= MAX_HOST {
            "a name is at most 253 bytes long"
        } else if name.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || b"/?#@\\".contains(&byte)) {
            "not the name of a host (international names are written in their xn-- form)"
        } else {
            let name = name.to_ascii_lowercase();
            return Ok(if wildcard {
                Self::Wildcard(format!(".{name}").into())
            } else {
                Self::Exact(name.into())
            });
        };
        Err(format!("host {text:?}: {complaint}"))
    }

    /// Whether a host in [`canonical`] form is meant.
    pub(crate) fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(name) => name.as_bytes() == host,
            Self::Wildcard(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_bytes()),
        }
    }
}

/// The host of a request without port and trailing dot. `None` if it is too long to be a name.
pub(crate) fn without_port(host: &[u8]) -> Option<&[u8]> {
    let end = if host.first() == Some(&b'[') {
        memchr::memchr(b']', host).map_or(host.len(), |bracket| bracket + 1)
    } else {
        memchr::memchr(b':', host).unwrap_or(host.len())
    };
    let host = &host[..end];
    let host = host.strip_suffix(b".").unwrap_or(host);
    (host.len() <= MAX_HOST).then_some(host)
}

/// The form in which hosts are compared (RFC 9110 4.2.3): lower case, no port, no trailing dot.
pub(crate) fn canonical(host: &[u8]) -> Option<Cow<'_, [u8]>> {
    let host = without_port(host)?;
    Some(if is_lower(host) { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) })
}

pub(crate) fn is_lower(host: &[u8]) -> bool {
    // Without an early exit, so that the compiler takes many bytes at once.
    !host.iter().fold(false, |upper, byte| upper | byte.is_ascii_uppercase())
}
