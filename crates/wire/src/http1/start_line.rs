//! Request lines and status lines (RFC 9112 3 and 4): exactly one space between the parts, nothing before or
//! after them.

use crate::head::Version;
use crate::refusal::Refusal;
use crate::syntax::{self, TOKEN};

/// The parts of a request line, as offsets in it.
#[derive(Debug)]
pub(super) struct RequestLine {
    pub(super) method_end: usize,
    pub(super) target_end: usize,
    pub(super) version: Version,
}

pub(super) fn request(line: &[u8]) -> Result<RequestLine, Refusal> {
    const CLAUSE: &str = "RFC 9112 3";
    let method_end = syntax::run(TOKEN, line);
    if method_end == 0 {
        return Err(invalid_method());
    }
    match line.get(method_end) {
        Some(b' ') => {}
        Some(_) => return Err(invalid_method()),
        None => return Err(Refusal::malformed("request line without a target", CLAUSE)),
    }
    let rest = &line[method_end + 1..];
    let Some(target_length) = memchr::memchr(b' ', rest) else {
        return Err(Refusal::malformed("request line without a version", CLAUSE));
    };
    if target_length == 0 {
        return Err(Refusal::malformed("more than one space in the request line", CLAUSE));
    }
    let version = match version(&rest[target_length + 1..]) {
        Some(Ok(version)) => version,
        Some(Err(())) => {
            return Err(Refusal::with_status(505, "HTTP version not supported", "RFC 9110 15.6.6"));
        }
        None => return Err(Refusal::malformed("malformed HTTP version", "RFC 9112 2.3")),
    };
    Ok(RequestLine { method_end, target_end: method_end + 1 + target_length, version })
}

/// A request can't begin with this byte, so there is no need to wait for the rest of its line.
pub(super) fn begins_request(byte: u8) -> Result<(), Refusal> {
    if syntax::is(TOKEN, byte) || byte == b'\r' || byte == b'\n' { Ok(()) } else { Err(invalid_method()) }
}

fn invalid_method() -> Refusal {
    Refusal::malformed("method isn't a token", "RFC 9110 9.1")
}

/// The parts of a status line; the reason is what follows `reason_start`.
#[derive(Debug)]
pub(super) struct StatusLine {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason_start: usize,
}

pub(super) fn status(line: &[u8]) -> Result<StatusLine, Refusal> {
    const CLAUSE: &str = "RFC 9112 4";
    let version = match line.get(..8).and_then(version) {
        Some(Ok(version)) => version,
        Some(Err(())) => return Err(Refusal::malformed("HTTP version not supported", "RFC 9112 2.3")),
        None => return Err(Refusal::malformed("malformed status line", CLAUSE)),
    };
    let &[b' ', hundreds @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9', ref rest @ ..] = &line[8..]
    else {
        return Err(Refusal::malformed("status isn't three digits from 100 to 599", "RFC 9110 15"));
    };
    let status = [hundreds, tens, ones].iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    // The space before an empty reason is demanded of senders, and yet often missing.
    match rest {
        [] => Ok(StatusLine { version, status, reason_start: line.len() }),
        [b' ', reason @ ..] if syntax::is_value(reason) => {
            Ok(StatusLine { version, status, reason_start: 13 })
        }
        [b' ', ..] => Err(Refusal::malformed("control character in the reason phrase", CLAUSE)),
        _ => Err(Refusal::malformed("status isn't three digits from 100 to 599", "RFC 9110 15")),
    }
}

/// `None`: not a version at all. `Some(Err)`: a version of another major number.
fn version(text: &[u8]) -> Option<Result<Version, ()>> {
    match text {
        b"HTTP/1.0" => Some(Ok(Version::Http10)),
        // RFC 9110 2.5: a higher minor version is handled as the highest one known.
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Some(Ok(Version::Http11)),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Some(Err(())),
        _ => None,
    }
}
