//! Fields other than the pseudo-header fields (RFC 9113 8.2), the same in requests, answers and trailers.

use crate::head::{Field, Head, Span};
use crate::http1::encode::decimal;
use crate::http1::{Framing, Limits};
use crate::name::Known;
use crate::refusal::Refusal;
use crate::syntax::{self, TOKEN};

/// What a field counts for besides its bytes (RFC 9113 6.5.2).
const OVERHEAD: usize = 32;

/// Takes fields into a head, within limits.
pub(super) struct Fields<'a> {
    pub(super) head: &'a mut Head,
    limits: &'a Limits,
    size: usize,
    count: usize,
    crumbs: usize,
    pub(super) length: Option<u64>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(head: &'a mut Head, limits: &'a Limits) -> Self {
        head.clear();
        Self { head, limits, size: 0, count: 0, crumbs: 0, length: None }
    }

    /// Counts a field, whatever it is: before anything of it is looked at.
    pub(super) fn charge(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        self.size += name.len() + value.len() + OVERHEAD;
        if self.size > self.limits.max_bytes {
            return Err(Refusal::with_status(431, "head too large", "RFC 6585 5"));
        }
        Ok(())
    }

    /// Checks a field and says what it is called among those that Fairlead knows.
    pub(super) fn check(&mut self, name: &[u8], value: &[u8]) -> Result<Option<Known>, Refusal> {
        check_name(name)?;
        check_value(value)?;
        // Crumbs count as the one field they are: browsers send each cookie apart.
        self.count += usize::from(name != b"cookie" || self.crumbs == 0);
        if self.count > self.limits.max_fields {
            return Err(Refusal::with_status(431, "too many fields", "RFC 6585 5"));
        }
        let known = Known::of(name);
        match known {
            Some(
                Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::TransferEncoding
                | Known::Upgrade,
            ) => Err(Refusal::malformed("field that concerns a connection", "RFC 9113 8.2.2")),
            Some(Known::Te) if !value.eq_ignore_ascii_case(b"trailers") => {
                Err(Refusal::malformed("TE other than trailers", "RFC 9113 8.2.2"))
            }
            known => Ok(known),
        }
    }

    /// Takes a field that was checked.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8], known: Option<Known>) -> Result<(), Refusal> {
        self.crumbs += usize::from(name == b"cookie");
        if known == Some(Known::ContentLength) {
            const CLAUSE: &str = "RFC 9110 8.6";
            let length =
                syntax::decimal(value).ok_or(Refusal::malformed("malformed Content-Length", CLAUSE))?;
            if self.length.replace(length).is_some() {
                return Err(Refusal::malformed("more than one Content-Length", CLAUSE));
            }
        }
        self.head.append(name, value);
        Ok(())
    }

    /// All fields are there.
    pub(super) fn finish(&mut self) {
        if self.crumbs > 1 {
            join_crumbs(self.head);
        }
    }
}

/// RFC 9113 8.2.1: names are lower-case, and tokens like everywhere.
fn check_name(name: &[u8]) -> Result<(), Refusal> {
    const CLAUSE: &str = "RFC 9113 8.2.1";
    if name.iter().any(u8::is_ascii_uppercase) {
        return Err(Refusal::malformed("field name in upper case", CLAUSE));
    }
    if name.is_empty() {
        return Err(Refusal::malformed("empty field name", CLAUSE));
    }
    if !syntax::all(TOKEN, name) {
        return Err(Refusal::malformed("invalid character in a field name", CLAUSE));
    }
    Ok(())
}

/// RFC 9113 8.2.1. Stricter than demanded about control characters, as HTTP/1.1 is.
pub(super) fn check_value(value: &[u8]) -> Result<(), Refusal> {
    const CLAUSE: &str = "RFC 9113 8.2.1";
    if !syntax::is_value(value) {
        return Err(Refusal::malformed("control character in a field value", CLAUSE));
    }
    if syntax::trim(value).len() != value.len() {
        return Err(Refusal::malformed("whitespace around a field value", CLAUSE));
    }
    Ok(())
}

/// Makes one field of a cookie that was sent in pieces (RFC 9113 8.2.3), since nothing but HTTP/2 and 3 knows those.
fn join_crumbs(head: &mut Head) {
    let is_cookie = |head: &Head, field: &Field| !field.removed && head.text(field.name) == b"cookie";
    let Some(first) = head.fields.iter().position(|field| is_cookie(head, field)) else { return };
    let start = head.bytes.len();
    for index in first..head.fields.len() {
        let field = head.fields[index];
        if !is_cookie(head, &field) {
            continue;
        }
        if head.bytes.len() > start {
            head.bytes.extend_from_slice(b"; ");
        }
        head.bytes.extend_from_within(field.value.range());
        head.fields[index].removed = index > first;
    }
    head.fields[first].value = Span::new(start, head.bytes.len());
    head.fields[first].verbatim = false;
}

/// Gives `field` every field of the head but those that HTTP/2 has no place for, names in lower case. `framing` says what
/// `content-length` is, as it does in HTTP/1.1.
pub(super) fn write(
    head: &Head,
    framing: Framing,
    scratch: &mut Vec<u8>,
    field: &mut impl FnMut(&[u8], &[u8]),
) {
    for Field { name, value, known, .. } in head.live() {
        match known {
            Some(
                Known::Host
                | Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::Te
                | Known::TransferEncoding
                | Known::Upgrade,
            ) => continue,
            Some(Known::ContentLength) if framing != Framing::AsIs => continue,
            _ => {}
        }
        scratch.clear();
        scratch.extend_from_slice(head.text(*name));
        scratch.make_ascii_lowercase();
        field(scratch, head.text(*value));
    }
    if let Framing::Length(length) = framing {
        scratch.clear();
        decimal(length, scratch);
        field(b"content-length", scratch);
    }
}
