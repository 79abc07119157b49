//! Path patterns: literal segments, `*` for exactly one segment, `/*` at the end for the path itself and all below.

use fairlead_wire::path::{EncodedSlashes, normalise};

/// Segments of a pattern; a tree of patterns is walked as deep as its deepest one.
const MAX_SEGMENTS: usize = 64;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) segments: Vec<Segment>,
    /// It ends in `/*`.
    pub(crate) below: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(Box<[u8]>),
    /// Any one segment that isn't empty.
    Any,
}

impl Pattern {
    /// The literal segments are brought to the form in which requests' paths are compared.
    pub(crate) fn parse(text: &str, slashes: EncodedSlashes) -> Result<Self, String> {
        let complain = |complaint: &str| Err(format!("path {text:?}: {complaint}"));
        if !text.starts_with('/') {
            return complain("a path starts with \"/\"");
        }
        if text.contains(['?', '#']) {
            return complain("a path has no query and no fragment");
        }
        let mut path = Vec::with_capacity(text.len());
        if let Err(refusal) = normalise(&escaped(text), slashes, &mut path) {
            return complain(refusal.reason);
        }
        let mut parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').skip(1).collect();
        let below = parts.last() == Some(&&b"*"[..]);
        if below {
            parts.pop();
        }
        if parts.len() > MAX_SEGMENTS {
            return complain("a pattern has at most 64 segments");
        }
        if parts.iter().any(|part| part.len() > 1 && part.contains(&b'*')) {
            return complain("\"*\" stands for a whole segment; for a part of one write {regex: …}");
        }
        let segments = parts
            .into_iter()
            .map(|part| if part == b"*" { Segment::Any } else { Segment::Literal(part.into()) })
            .collect();
        Ok(Self { segments, below })
    }

    /// Whether it has no `*` at all.
    pub(crate) fn is_exact(&self) -> bool {
        !self.below && !self.segments.contains(&Segment::Any)
    }

    /// Literal segments; the empty one behind a last slash says nothing and isn't counted.
    pub(crate) fn literals(&self) -> usize {
        self.segments
            .iter()
            .filter(|segment| matches!(segment, Segment::Literal(text) if !text.is_empty()))
            .count()
    }

    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let Some(path) = path.strip_prefix(b"/") else { return false };
        let mut parts = path.split(|&byte| byte == b'/');
        for segment in &self.segments {
            match (segment, parts.next()) {
                (Segment::Literal(literal), Some(part)) if **literal == *part => {}
                (Segment::Any, Some(part)) if !part.is_empty() => {}
                _ => return false,
            }
        }
        self.below || parts.next().is_none()
    }
}

/// What a client would have to send: everything that isn't visible ASCII is percent-encoded (RFC 3986 2.1).
fn escaped(text: &str) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() {
            escaped.push(byte);
        } else {
            escaped.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    escaped
}
