//! Answers that Fairlead gives itself: small, plain text, each with the reason in `Proxy-Status` (RFC 9209).

use fairlead_wire::Head;

use super::failure::Failure;

/// Seconds in `Retry-After`: a backend that is full or away may be back at the next try, and not all clients
/// should come at once, which the rounding of a second by everybody's own clock sees to.
const RETRY_AFTER: &[u8] = b"Retry-After: 1\r\n";

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It stays, as an HTTP/1.1 client takes for granted.
    Keep,
    /// It stays, and an HTTP/1.0 client that asked for it must be told.
    KeepTold,
    Close,
}

impl Persistence {
    pub(crate) fn keeps(self) -> bool {
        self != Self::Close
    }

    /// The `Connection` option that says so.
    pub(crate) const fn option(self) -> Option<&'static [u8]> {
        match self {
            Self::Keep => None,
            Self::KeepTold => Some(b"keep-alive"),
            Self::Close => Some(b"close"),
        }
    }
}

/// Writes the answer to a request that failed, and says how long its body is. `to_head`: the request was HEAD, so the
/// body is left out.
pub(crate) fn failure(
    failure: &Failure,
    persistence: Persistence,
    to_head: bool,
    date: &[u8],
    out: &mut Vec<u8>,
) -> u64 {
    let mut digits = itoa::Buffer::new();
    let status = digits.format(failure.status);
    start(failure.status, persistence, date, out);
    extend(out, &[b"Proxy-Status: fairlead; error=", failure.error.as_bytes()]);
    extend(out, &[b"; details=\"", failure.reason.as_bytes(), b"\"\r\n"]);
    if failure.status == 503 {
        out.extend_from_slice(RETRY_AFTER);
    }
    if failure.status == 405 {
        // RFC 9110 15.5.6 wants the methods that are allowed; any but CONNECT may be.
        out.extend_from_slice(b"Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, TRACE\r\n");
    }
    let length = status.len() + 1 + phrase(failure.status).len() + 2 + failure.reason.len() + 1;
    let mut digits = itoa::Buffer::new();
    extend(
        out,
        &[b"Content-Type: text/plain\r\nContent-Length: ", digits.format(length).as_bytes(), b"\r\n\r\n"],
    );
    if to_head {
        return 0;
    }
    let mut digits = itoa::Buffer::new();
    let status = digits.format(failure.status).as_bytes();
    extend(out, &[status, b" ", phrase(failure.status).as_bytes(), b": ", failure.reason.as_bytes(), b"\n"]);
    length as u64
}

/// Writes the answer to OPTIONS whose last hop is here (RFC 9110 7.6.2): what the proxy itself can do.
pub(crate) fn options(persistence: Persistence, date: &[u8], out: &mut Vec<u8>) {
    start(200, persistence, date, out);
    out.extend_from_slice(b"Proxy-Status: fairlead; error=proxy_internal_response\r\n");
    out.extend_from_slice(b"Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, TRACE\r\n");
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// Writes the answer to TRACE whose last hop is here: the head as it arrived, without what may be secret
/// (RFC 9110 9.3.8).
pub(crate) fn trace(head: &Head, persistence: Persistence, date: &[u8], out: &mut Vec<u8>) {
    const SECRET: [&[u8]; 3] = [b"authorization", b"proxy-authorization", b"cookie"];
    let told =
        || head.iter().filter(|(name, _)| !SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret)));
    let line = b"TRACE ".len() + head.target().len() + b" HTTP/1.1\r\n".len();
    let fields: usize = told().map(|(name, value)| name.len() + value.len() + b": \r\n".len()).sum();
    let mut digits = itoa::Buffer::new();
    let length = digits.format(line + fields + b"\r\n".len());
    start(200, persistence, date, out);
    out.extend_from_slice(b"Proxy-Status: fairlead; error=proxy_internal_response\r\n");
    extend(out, &[b"Content-Type: message/http\r\nContent-Length: ", length.as_bytes(), b"\r\n\r\n"]);
    extend(out, &[b"TRACE ", head.target(), b" HTTP/1.1\r\n"]);
    for (name, value) in told() {
        extend(out, &[name, b": ", value, b"\r\n"]);
    }
    out.extend_from_slice(b"\r\n");
}

fn start(status: u16, persistence: Persistence, date: &[u8], out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    extend(out, &[b"HTTP/1.1 ", digits.format(status).as_bytes(), b" ", phrase(status).as_bytes()]);
    extend(out, &[b"\r\nDate: ", date, b"\r\n"]);
    if let Some(option) = persistence.option() {
        extend(out, &[b"Connection: ", option, b"\r\n"]);
    }
}

fn extend(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The reason phrases of the statuses that we answer with (RFC 9110 15).
const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use fairlead_wire::{Head, Version};

    use super::{Persistence, failure, options, trace};
    use crate::http::failure::Failure;

    const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    fn length_is_that_of_the_body(answer: &str) -> bool {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        head.contains(&format!("Content-Length: {}", body.len()))
    }

    #[test]
    fn a_shed_request_says_why_and_when_to_come_back() {
        let answer = text(|out| _ = failure(&Failure::ALL_FULL, Persistence::Keep, false, DATE, out));
        assert!(
            answer.starts_with("HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
        );
        assert!(answer.contains("\r\nRetry-After: 1\r\n"));
        assert!(answer.contains(
            "\r\nProxy-Status: fairlead; error=connection_limit_reached; details=\"every backend is at its limit\"\r\n"
        ));
        assert!(answer.ends_with("\r\n\r\n503 Service Unavailable: every backend is at its limit\n"));
        assert!(length_is_that_of_the_body(&answer));
    }

    #[test]
    fn an_answer_to_head_has_the_length_and_no_body() {
        let whole = text(|out| _ = failure(&Failure::NO_ROUTE, Persistence::Close, false, DATE, out));
        let bare = text(|out| _ = failure(&Failure::NO_ROUTE, Persistence::Close, true, DATE, out));
        assert!(bare.ends_with("\r\n\r\n") && bare.contains("\r\nConnection: close\r\n"));
        assert!(whole.starts_with(&bare));
    }

    #[test]
    fn a_trace_that_ends_here_shows_the_head_without_secrets() {
        let mut head = Head::new();
        head.start_request(b"TRACE", b"/x", Version::Http11);
        head.append(b"Host", b"a");
        head.append(b"Cookie", b"secret");
        let answer = text(|out| trace(&head, Persistence::Keep, DATE, out));
        assert!(answer.ends_with("\r\n\r\nTRACE /x HTTP/1.1\r\nHost: a\r\n\r\n"));
        let body = answer.split_once("\r\n\r\n").expect("a head").1;
        assert!(answer.contains(&format!("Content-Length: {}\r\n", body.len())));
    }

    #[test]
    fn options_that_end_here_list_the_methods() {
        let answer = text(|out| options(Persistence::KeepTold, DATE, out));
        assert!(answer.contains("\r\nAllow: GET, ") && answer.contains("\r\nConnection: keep-alive\r\n"));
    }
}
