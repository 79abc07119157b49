//! Answers (RFC 9113 8.3.2), interim ones too.

use super::extent::Extent;
use super::fields::{self, Fields};
use crate::head::{Head, Version};
use crate::http1::{Framing, Limits};
use crate::name::Known;
use crate::refusal::Refusal;

const CLAUSE: &str = "RFC 9113 8.3.2";

/// Reads an answer to a request with `request_method` from its fields in the order they came; what follows it is said.
/// `ends`: the stream ends with them. Every refusal is a 502.
pub fn read<'a>(
    list: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ends: bool,
    request_method: &[u8],
    limits: &Limits,
    head: &mut Head,
) -> Result<Extent, Refusal> {
    read_list(list, ends, request_method, limits, head).map_err(Refusal::of_backend)
}

fn read_list<'a>(
    list: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ends: bool,
    request_method: &[u8],
    limits: &Limits,
    head: &mut Head,
) -> Result<Extent, Refusal> {
    let mut fields = Fields::new(head, limits);
    let mut status = None;
    let mut begun = false;
    for (name, value) in list {
        fields.charge(name, value)?;
        if let [b':', name @ ..] = name {
            if begun {
                return Err(Refusal::malformed("pseudo-header field after others", "RFC 9113 8.3"));
            }
            if name != b"status" {
                return Err(Refusal::malformed("unknown pseudo-header field", "RFC 9113 8.3"));
            }
            if status.replace(parse(value)?).is_some() {
                return Err(Refusal::malformed("pseudo-header field sent twice", "RFC 9113 8.3"));
            }
            continue;
        }
        begin(status, &mut begun, fields.head)?;
        let known = fields.check(name, value)?;
        fields.add(name, value, known)?;
    }
    begin(status, &mut begun, fields.head)?;
    fields.finish();
    extent(&mut fields, ends, request_method)
}

fn begin(status: Option<u16>, begun: &mut bool, head: &mut Head) -> Result<(), Refusal> {
    if !std::mem::replace(begun, true) {
        let status = status.ok_or(Refusal::malformed("no :status", CLAUSE))?;
        head.start_response(status, &[], Version::Http2);
    }
    Ok(())
}

/// Three digits from 100 to 599, without 101: a stream switches to no other protocol (RFC 9113 8.6).
fn parse(value: &[u8]) -> Result<u16, Refusal> {
    let &[hundreds @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = value else {
        return Err(Refusal::malformed("status isn't three digits from 100 to 599", CLAUSE));
    };
    let status = [hundreds, tens, ones].iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    if status == 101 {
        return Err(Refusal::malformed("101 in HTTP/2", "RFC 9113 8.6"));
    }
    Ok(status)
}

fn extent(fields: &mut Fields<'_>, ends: bool, request_method: &[u8]) -> Result<Extent, Refusal> {
    let status = fields.head.status;
    if status < 200 {
        if ends {
            return Err(Refusal::malformed("stream ends with an interim answer", "RFC 9113 8.1"));
        }
        fields.head.remove_known(Known::ContentLength);
        return Ok(Extent::None);
    }
    if status == 204 {
        // RFC 9110 8.6: it may not be there, and some reader may wait for what it announces.
        fields.head.remove_known(Known::ContentLength);
    }
    if matches!(status, 204 | 304) || request_method == b"HEAD" {
        // The length is that of another answer. Without data the stream may still end later.
        return Ok(Extent::None);
    }
    Extent::new(fields.length, ends)
}

/// Gives `field` an answer's fields in the order they are sent, `:status` first. What concerns the connection it came on
/// has been removed, but is left out in any case; so is the reason phrase.
///
/// A switch of protocols can't be said so (RFC 9113 8.6): that answer is another one on a stream, and made by the caller.
pub fn write(head: &Head, framing: Framing, scratch: &mut Vec<u8>, mut field: impl FnMut(&[u8], &[u8])) {
    let status = head.status();
    debug_assert!(status != 101, "a stream doesn't switch protocols");
    let digits = [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8);
    field(b":status", &digits);
    fields::write(head, framing, scratch, &mut field);
}
