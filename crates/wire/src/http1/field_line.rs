//! One field line (RFC 9112 5), the same in heads and in trailers.

use crate::head::{Field, Span};
use crate::name::Known;
use crate::refusal::Refusal;
use crate::syntax::{self, TOKEN};

/// Reads the field on `buf[start..end]`, a line without its CRLF, which follows it in `buf`.
pub(super) fn parse(buf: &[u8], start: usize, end: usize) -> Result<Field, Refusal> {
    let line = &buf[start..end];
    let name_length = syntax::run(TOKEN, line);
    let name = &line[..name_length];
    if line.get(name_length) != Some(&b':') || name.is_empty() {
        return Err(misnamed(line, name_length));
    }
    let raw = &line[name_length + 1..];
    if !syntax::is_value(raw) {
        return Err(Refusal::malformed("control character in a field value", "RFC 9110 5.5"));
    }
    let value = syntax::trim(raw);
    // `trim` on whitespace alone gives an empty slice at the line's end, which is as good a place as any.
    let value_start = start + name_length + 1 + leading_whitespace(raw, value);
    let value_end = value_start + value.len();
    let colon = start + name_length;
    Ok(Field {
        name: Span::new(start, colon),
        value: Span::new(value_start, value_end),
        known: Known::of(name),
        removed: false,
        verbatim: value_start == colon + 2 && buf[colon + 1] == b' ' && value_end == end,
    })
}

fn leading_whitespace(raw: &[u8], value: &[u8]) -> usize {
    if value.is_empty() {
        return raw.len();
    }
    raw.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count()
}

fn misnamed(line: &[u8], name_length: usize) -> Refusal {
    match line.get(name_length) {
        // An obsolete fold, or whitespace between the start line and the first field.
        Some(b' ' | b'\t') if name_length == 0 => {
            Refusal::malformed("field line begins with whitespace", "RFC 9112 5.2")
        }
        Some(b' ' | b'\t') if syntax::trim(&line[name_length..]).first() == Some(&b':') => {
            Refusal::malformed("whitespace between field name and colon", "RFC 9112 5.1")
        }
        Some(b':') => Refusal::malformed("empty field name", "RFC 9112 5.1"),
        Some(_) => Refusal::malformed("invalid character in a field name", "RFC 9110 5.1"),
        None => Refusal::malformed("field line without a colon", "RFC 9112 5"),
    }
}
