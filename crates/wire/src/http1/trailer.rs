//! Trailers (RFC 9112 7.1.2): read like fields, within the limits of a head, and only some passed on.

use super::field_line;
use super::parse::Limits;
use crate::head::Head;
use crate::refusal::Refusal;
use crate::trailer::is_forbidden;

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
