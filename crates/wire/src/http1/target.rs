//! Request targets (RFC 9112 3.2): which form it is, and the origin-form that is matched and sent on.

use crate::head::{Head, Span};
use crate::host;
use crate::refusal::Refusal;
use crate::syntax::{self, TARGET};

/// Sets the head's target, origin-form and authority from `buf[start..end]`.
pub(super) fn parse(buf: &[u8], start: usize, end: usize, head: &mut Head) -> Result<(), Refusal> {
    let target = &buf[start..end];
    head.target = Span::new(start, end);
    match (head.method, target) {
        (method, _) if &buf[method.range()] == b"CONNECT" => {
            Err(Refusal::with_status(405, "CONNECT isn't offered", "RFC 9110 9.3.6"))
        }
        (_, [b'/', ..]) => origin_form(buf, start, end, head),
        (method, b"*") => {
            if &buf[method.range()] != b"OPTIONS" {
                return Err(Refusal::malformed("asterisk-form without OPTIONS", "RFC 9112 3.2.4"));
            }
            head.path_and_query = head.target;
            head.path_end = head.target.end;
            Ok(())
        }
        _ => absolute_form(buf, start, end, head),
    }
}

fn origin_form(buf: &[u8], start: usize, end: usize, head: &mut Head) -> Result<(), Refusal> {
    let path_length = syntax::path_length(&buf[start..end])
        .ok_or(Refusal::malformed("invalid character in the target", "RFC 9112 3.2"))?;
    head.path_and_query = Span::new(start, end);
    head.path_end = (start + path_length) as u32;
    Ok(())
}

fn absolute_form(buf: &[u8], start: usize, end: usize, head: &mut Head) -> Result<(), Refusal> {
    let target = &buf[start..end];
    let scheme_length = scheme_length(target)
        .ok_or(Refusal::malformed("target is in none of the four forms", "RFC 9112 3.2"))?;
    let authority_start = start + scheme_length;
    let rest = &target[scheme_length..];
    let authority_length = rest.iter().position(|&byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = &rest[..authority_length];
    if authority.is_empty() {
        return Err(Refusal::malformed("target without a host", "RFC 9110 4.2.1"));
    }
    host::check(authority)?;
    let authority_end = authority_start + authority_length;
    head.authority = Span::new(authority_start, authority_end);
    // Without a path this leaves a query or nothing; `complete` puts the slash before it.
    if rest.get(authority_length) == Some(&b'/') {
        return origin_form(buf, authority_end, end, head);
    }
    if authority_end < end && !syntax::all(TARGET, &buf[authority_end..end]) {
        return Err(Refusal::malformed("invalid character in the target", "RFC 9112 3.2"));
    }
    head.path_and_query = Span::new(authority_end, end);
    head.path_end = authority_end as u32;
    Ok(())
}

/// Gives an absolute-form without a path the one it stands for: `/`, or `*` for OPTIONS without a query
/// (RFC 9112 3.2.4). Needs the head's bytes in place.
pub(super) fn complete(head: &mut Head) {
    let received = head.path_and_query;
    if head.path_end > received.start {
        return;
    }
    let start = head.bytes.len();
    if received.start == received.end && head.method() == b"OPTIONS" {
        head.bytes.push(b'*');
    } else {
        head.bytes.push(b'/');
        head.bytes.extend_from_within(received.range());
    }
    head.path_and_query = Span::new(start, head.bytes.len());
    head.path_end = start as u32 + 1;
}

/// Length of `http://` or `https://`, in any case.
fn scheme_length(target: &[u8]) -> Option<usize> {
    let begins =
        |scheme: &&[u8]| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    [&b"http://"[..], b"https://"].into_iter().find(begins).map(<[u8]>::len)
}
