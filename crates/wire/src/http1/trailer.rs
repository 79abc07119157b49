//! Trailers (RFC 9112 7.1.2): read like fields, within the limits of a head, and only some passed on.

use super::field_line;
use super::parse::Limits;
use crate::head::Head;
use crate::refusal::Refusal;

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

/// A trailer section being read. Its lines are kept here, for the input they came in isn't.
#[derive(Debug, Default)]
pub(super) struct Trailers {
    head: Head,
    line: usize,
}

impl Trailers {
    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// Reads up to the end of a line: how many bytes of `input` that took, and whether the section is complete.
    pub(super) fn read_line(&mut self, input: &[u8], limits: &Limits) -> Result<(usize, bool), Refusal> {
        let line_feed = memchr::memchr(b'\n', input);
        let taken = line_feed.map_or(input.len(), |line_feed| line_feed + 1);
        if self.head.bytes.len() + taken > limits.max_bytes {
            return Err(Refusal::malformed("trailers too large", "RFC 9110 6.5"));
        }
        self.head.bytes.extend_from_slice(&input[..taken]);
        if line_feed.is_none() {
            return Ok((taken, false));
        }
        let start = std::mem::replace(&mut self.line, self.head.bytes.len());
        let Some(line) = self.head.bytes[start..].strip_suffix(b"\r\n") else {
            return Err(Refusal::malformed("line ends without a carriage return", "RFC 9112 2.2"));
        };
        let end = start + line.len();
        if start == end {
            return Ok((taken, true));
        }
        self.keep(start, end, limits)?;
        Ok((taken, false))
    }

    fn keep(&mut self, start: usize, end: usize, limits: &Limits) -> Result<(), Refusal> {
        if self.head.fields.len() >= limits.max_fields {
            return Err(Refusal::malformed("too many trailers", "RFC 9110 6.5"));
        }
        let mut field = field_line::parse(&self.head.bytes, start, end)?;
        field.removed = is_forbidden(self.head.text(field.name));
        self.head.push_field(field);
        Ok(())
    }
}

/// Whether a trailer of this name, or of one that a CGI-like server takes for it, is dropped.
fn is_forbidden(name: &[u8]) -> bool {
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
