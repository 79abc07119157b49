//! Reading heads. Line by line, in the order of the bytes: whatever pieces they arrive in, the same head comes
//! out, or the same refusal, as soon as the line at fault is there.

use std::ops::Range;

use super::framing::{Body, Survey};
use super::{field_line, start_line, target};
use crate::head::{Head, Span, Version};
use crate::host;
use crate::name::Known;
use crate::refusal::Refusal;

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole head, its line ends included; below 4 GiB.
    pub max_bytes: usize,
    /// Number of fields.
    pub max_fields: usize,
}

/// Where reading a head goes on when more bytes have come, so that one that drips in is still read in linear
/// time. It is as new again after every head and every refusal.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    searched: usize,
    line: usize,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the start line, after so many empty lines.
    Leading(u8),
    Fields,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Leading(0)
    }
}

/// A request's head, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Bytes of the buffer that the head took, empty lines before it included.
    pub len: usize,
    /// How the body is delimited; never [`Body::Close`].
    pub body: Body,
    /// Whether the client can send another request on this connection.
    pub persistent: bool,
    /// The client waits for a 100 before it sends the body; false when there is no body to wait with.
    pub expect_continue: bool,
    /// The client offers to switch protocols (RFC 9110 7.8).
    pub upgrade: bool,
}

/// An answer's head, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// Bytes of the buffer that the head took.
    pub len: usize,
    /// How the body is delimited.
    pub body: Body,
    /// Whether the connection can be used again after the body.
    pub persistent: bool,
    /// The protocol was switched: 101.
    pub upgrade: bool,
}

/// The most empty lines accepted before a request line (RFC 9112 2.2 asks for one; two are seen after a POST
/// of old clients).
pub const MAX_LEADING_LINES: u8 = 2;

/// Reads a request's head from the start of `buf`; `None` when it isn't whole yet. Call again with the same
/// bytes and more, the same `scan` and the same `head`.
///
/// A refused request leaves in `head` what was read before the fault, for the log.
pub fn request(
    buf: &[u8],
    scan: &mut Scan,
    limits: &Limits,
    head: &mut Head,
) -> Result<Option<Request>, Refusal> {
    begin(scan, head);
    let lines = request_lines(buf, scan, limits, head);
    keep(buf, scan, head);
    let outcome = match lines {
        Ok(Some(len)) => conclude_request(len, head).map(Some),
        Ok(None) => return Ok(None),
        Err(refusal) => Err(refusal),
    };
    *scan = Scan::default();
    outcome
}

/// Reads an answer's head, as [`request`] does; `request_method` decides with the status whether there is a
/// body. Every refusal is a 502.
pub fn response(
    buf: &[u8],
    scan: &mut Scan,
    limits: &Limits,
    request_method: &[u8],
    head: &mut Head,
) -> Result<Option<Response>, Refusal> {
    begin(scan, head);
    let lines = response_lines(buf, scan, limits, head);
    keep(buf, scan, head);
    let outcome = match lines {
        Ok(Some(len)) => conclude_response(len, request_method, head).map(Some),
        Ok(None) => return Ok(None),
        Err(refusal) => Err(refusal),
    };
    *scan = Scan::default();
    outcome.map_err(Refusal::of_backend)
}

fn begin(scan: &Scan, head: &mut Head) {
    if scan.line == 0 {
        head.clear();
    }
}

/// Copies the lines read since the last call: spans are offsets in `buf` and become offsets in the head.
fn keep(buf: &[u8], scan: &Scan, head: &mut Head) {
    let kept = head.bytes.len();
    head.bytes.extend_from_slice(&buf[kept..scan.line]);
}

/// Reads lines until the empty one that ends the head; the length of it all, or `None` for not yet.
fn request_lines(
    buf: &[u8],
    scan: &mut Scan,
    limits: &Limits,
    head: &mut Head,
) -> Result<Option<usize>, Refusal> {
    while let Stage::Leading(empty) = scan.stage {
        if let Some(&first) = buf.get(scan.line) {
            start_line::begins_request(first)?;
        }
        let Some(line) = next_line(buf, scan, limits)? else { return Ok(None) };
        if line.start < line.end {
            read_request_line(buf, line, head)?;
            scan.stage = Stage::Fields;
        } else if empty < MAX_LEADING_LINES {
            scan.stage = Stage::Leading(empty + 1);
        } else {
            return Err(Refusal::malformed("too many empty lines before a request", "RFC 9112 2.2"));
        }
    }
    field_lines(buf, scan, limits, head)
}

fn response_lines(
    buf: &[u8],
    scan: &mut Scan,
    limits: &Limits,
    head: &mut Head,
) -> Result<Option<usize>, Refusal> {
    if scan.stage != Stage::Fields {
        let Some(line) = next_line(buf, scan, limits)? else { return Ok(None) };
        let parts = start_line::status(&buf[line.clone()])?;
        head.version = parts.version;
        head.status = parts.status;
        head.reason = Span::new(line.start + parts.reason_start, line.end);
        scan.stage = Stage::Fields;
    }
    field_lines(buf, scan, limits, head)
}

fn read_request_line(buf: &[u8], line: Range<usize>, head: &mut Head) -> Result<(), Refusal> {
    let start = line.start;
    let parts = start_line::request(&buf[line])?;
    head.version = parts.version;
    head.method = Span::new(start, start + parts.method_end);
    target::parse(buf, start + parts.method_end + 1, start + parts.target_end, head)
}

fn field_lines(
    buf: &[u8],
    scan: &mut Scan,
    limits: &Limits,
    head: &mut Head,
) -> Result<Option<usize>, Refusal> {
    while let Some(line) = next_line(buf, scan, limits)? {
        if line.start == line.end {
            return Ok(Some(scan.line));
        }
        if head.fields.len() >= limits.max_fields {
            return Err(Refusal::with_status(431, "too many fields", "RFC 6585 5"));
        }
        let field = field_line::parse(buf, line.start, line.end)?;
        head.push_field(field);
    }
    Ok(None)
}

/// The next whole line without its CRLF; `scan.line` is then where the one after it begins.
fn next_line(buf: &[u8], scan: &mut Scan, limits: &Limits) -> Result<Option<Range<usize>>, Refusal> {
    let Some(found) = memchr::memchr(b'\n', &buf[scan.searched..]) else {
        scan.searched = buf.len();
        return if buf.len() >= limits.max_bytes { Err(too_large(scan.stage)) } else { Ok(None) };
    };
    let line_feed = scan.searched + found;
    if line_feed >= limits.max_bytes {
        return Err(too_large(scan.stage));
    }
    let start = scan.line;
    if line_feed == start || buf[line_feed - 1] != b'\r' {
        // Allowed to be taken for a line end, and exactly what others take differently.
        return Err(Refusal::malformed("line ends without a carriage return", "RFC 9112 2.2"));
    }
    scan.line = line_feed + 1;
    scan.searched = scan.line;
    Ok(Some(start..line_feed - 1))
}

fn too_large(stage: Stage) -> Refusal {
    match stage {
        Stage::Leading(_) => Refusal::with_status(414, "request line too long", "RFC 9112 3"),
        Stage::Fields => Refusal::with_status(431, "head too large", "RFC 6585 5"),
    }
}

fn conclude_request(len: usize, head: &mut Head) -> Result<Request, Refusal> {
    let survey = Survey::of(head)?;
    check_hosts(&survey, head)?;
    let body = survey.announced().unwrap_or(Body::None);
    let expects = expects_continue(head)?;
    if !head.authority.is_empty() {
        head.host_from_authority();
    }
    target::complete(head);
    Ok(Request {
        len,
        body,
        persistent: survey.persistent(head.version),
        expect_continue: expects && !matches!(body, Body::None | Body::Length(0)),
        upgrade: survey.upgrade(head.version),
    })
}

fn check_hosts(survey: &Survey, head: &Head) -> Result<(), Refusal> {
    const CLAUSE: &str = "RFC 9112 3.2";
    match survey.hosts {
        0 if head.version == Version::Http11 => Err(Refusal::malformed("no Host", CLAUSE)),
        0 => Ok(()),
        1 => head.known(Known::Host).map_or(Ok(()), host::check),
        _ => Err(Refusal::malformed("more than one Host", CLAUSE)),
    }
}

/// Whether the client waits for a 100 before it sends its body; what else it expects is refused.
pub(crate) fn expects_continue(head: &mut Head) -> Result<bool, Refusal> {
    if head.version == Version::Http10 {
        // RFC 9110 10.1.1: it is ignored, and so can't go on in what will be an HTTP/1.1 request.
        head.remove_known(Known::Expect);
    }
    let mut expects = false;
    for value in head.known_all(Known::Expect) {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::with_status(417, "unknown expectation", "RFC 9110 10.1.1"));
        }
        expects = true;
    }
    Ok(expects)
}

fn conclude_response(len: usize, request_method: &[u8], head: &mut Head) -> Result<Response, Refusal> {
    let survey = Survey::of(head)?;
    let bodiless = matches!(head.status, 100..=199 | 204);
    let body = if bodiless || head.status == 304 || request_method == b"HEAD" {
        Body::None
    } else {
        survey.announced().unwrap_or(Body::Close)
    };
    if bodiless {
        // RFC 9110 8.6 and RFC 9112 6.1: neither may be there, and some reader may wait for what they announce.
        head.remove_known(Known::ContentLength);
        head.remove_known(Known::TransferEncoding);
    }
    Ok(Response {
        len,
        body,
        persistent: body != Body::Close && survey.persistent(head.version),
        upgrade: head.status == 101,
    })
}
