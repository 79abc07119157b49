//! Writing heads and the framing of bodies. Always as HTTP/1.1, which is what a proxy speaks whatever it was
//! spoken to in (RFC 9110 2.5).

use crate::head::Head;
use crate::name::Known;

/// How the body that follows is delimited, and so which framing fields the head gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The head's own fields stay as they are: there is no body, or none follows (HEAD, 304).
    AsIs,
    /// `Content-Length`, in place of any framing field.
    Length(u64),
    /// `Transfer-Encoding: chunked`, in place of any framing field.
    Chunked,
    /// No framing field at all: the end of the connection ends the body. The caller says `Connection: close`.
    Close,
}

/// Writes a request's head, its target in origin-form.
pub fn request(head: &Head, framing: Framing, out: &mut Vec<u8>) {
    reserve(head, out);
    out.extend_from_slice(head.method());
    out.push(b' ');
    out.extend_from_slice(head.path_and_query());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    fields(head, framing, out);
    out.extend_from_slice(b"\r\n");
}

/// Writes an answer's head.
pub fn response(head: &Head, framing: Framing, out: &mut Vec<u8>) {
    reserve(head, out);
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(u64::from(head.status()), out);
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
    fields(head, framing, out);
    out.extend_from_slice(b"\r\n");
}

/// Writes a chunk's first line; the chunk's bytes and a CRLF follow it.
pub fn chunk_size(size: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[size >> (4 * digit) & 0xf]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the last chunk, with which a chunked body is complete, and the trailers that follow it.
pub fn last_chunk(trailers: Option<&Head>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        fields(trailers, Framing::AsIs, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// One growth at most: an edited head is hardly larger than its buffer, and its framing field fits in 64 bytes.
fn reserve(head: &Head, out: &mut Vec<u8>) {
    out.reserve(head.bytes.len() + 4 * head.fields.len() + 64);
}

fn fields(head: &Head, framing: Framing, out: &mut Vec<u8>) {
    // Neighbours that stand in the buffer just as they are sent leave in one copy.
    let mut run = 0..0;
    for field in &head.fields {
        let framed = matches!(field.known, Some(Known::ContentLength | Known::TransferEncoding));
        if field.removed || (framed && framing != Framing::AsIs) {
            continue;
        }
        let line = field.name.range().start..field.value.range().end + 2;
        if field.verbatim && line.start == run.end {
            run.end = line.end;
            continue;
        }
        out.extend_from_slice(&head.bytes[run]);
        if field.verbatim {
            run = line;
            continue;
        }
        run = 0..0;
        out.extend_from_slice(head.text(field.name));
        out.extend_from_slice(b": ");
        out.extend_from_slice(head.text(field.value));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(&head.bytes[run]);
    match framing {
        Framing::AsIs | Framing::Close => {}
        Framing::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
}

pub(crate) fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}
