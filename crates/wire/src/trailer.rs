//! Which trailers are passed on (RFC 9110 6.5.1): the same in every version of HTTP.

/// Fields that must not come after the body, since whoever merges trailers into the head would frame, route,
/// authenticate or read the message by them (RFC 9110 6.5.1).
const FORBIDDEN: &[&[u8]] = &[
    b"age",
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"date",
    b"expect",
    b"expires",
    b"forwarded",
    b"host",
    b"keep-alive",
    b"location",
    b"max-forwards",
    b"pragma",
    b"range",
    b"retry-after",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"vary",
    b"via",
    b"warning",
    b"www-authenticate",
    b"x-request-id",
];

/// Families of such fields.
const FORBIDDEN_PREFIXES: &[&[u8]] = &[b"if-", b"proxy-", b"x-forwarded-"];

/// Whether a trailer of this name, or of one that a CGI-like server takes for it, is dropped.
pub(crate) fn is_forbidden(name: &[u8]) -> bool {
    let equals = |text: &[u8], listed: &[u8]| {
        text.iter().zip(listed).all(|(&byte, &wanted)| fold(byte) == wanted) && text.len() == listed.len()
    };
    FORBIDDEN.iter().any(|listed| equals(name, listed))
        || FORBIDDEN_PREFIXES
            .iter()
            .any(|prefix| name.get(..prefix.len()).is_some_and(|start| equals(start, prefix)))
}

fn fold(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::is_forbidden;

    #[test]
    fn trailers_that_frame_route_or_vouch_are_forbidden_in_every_spelling() {
        for name in
            ["Content-Length", "TRANSFER_ENCODING", "host", "X-Forwarded-For", "x_forwarded_host", "If-Match"]
        {
            assert!(is_forbidden(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn ordinary_trailers_are_passed_on() {
        for name in ["Digest", "grpc-status", "Server-Timing", "Hosts", "X", "ETag"] {
            assert!(!is_forbidden(name.as_bytes()), "{name}");
        }
    }
}
