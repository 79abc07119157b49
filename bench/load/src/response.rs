//! Reads one answer from a connection and is strict about its end: an answer that was cut is an error, never a short one.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Where the bytes of one connection are gathered; kept from answer to answer.
pub(crate) struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// What is known of an answer once it was read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
    pub(crate) keep_alive: bool,
    /// The value of the header that was asked for.
    pub(crate) label: Option<String>,
}

struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    label: Option<String>,
}

fn cut(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what.to_owned())
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Reader {
    pub(crate) fn new(size: usize) -> Self {
        Self { buffer: vec![0; size], start: 0, end: 0 }
    }

    /// Reads one answer. `label` names a header whose value is wanted (lower case).
    pub(crate) async fn answer(&mut self, stream: &mut TcpStream, label: Option<&str>) -> io::Result<Answer> {
        let head = loop {
            let bytes = &self.buffer[self.start..self.end];
            if let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") {
                let head = parse(&bytes[..end + 2], label)?;
                self.start += end + 4;
                if (100..200).contains(&head.status) && head.status != 101 {
                    continue;
                }
                break head;
            }
            if self.fill(stream).await? == 0 {
                let seen = self.end - self.start;
                return Err(if seen == 0 {
                    cut("closed before an answer")
                } else {
                    cut("cut within the head")
                });
            }
        };
        let body_bytes = match (head.chunked, head.length) {
            (true, _) => self.chunks(stream).await?,
            (false, Some(length)) => self.skip(stream, length).await?,
            (false, None) if head.status == 204 || head.status == 304 => 0,
            (false, None) => self.until_close(stream).await?,
        };
        let keep_alive = !head.close && (head.chunked || head.length.is_some() || body_bytes == 0);
        Ok(Answer { status: head.status, body_bytes, keep_alive, label: head.label })
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            return Err(malformed("a head or chunk line larger than the buffer"));
        }
        let read = stream.read(&mut self.buffer[self.end..]).await?;
        self.end += read;
        Ok(read)
    }

    async fn skip(&mut self, stream: &mut TcpStream, length: u64) -> io::Result<u64> {
        let mut left = length;
        loop {
            let here = (self.end - self.start).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.start += here;
            left -= here as u64;
            if left == 0 {
                return Ok(length);
            }
            if self.fill(stream).await? == 0 {
                return Err(cut("cut within the body"));
            }
        }
    }

    async fn line(&mut self, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        loop {
            let bytes = &self.buffer[self.start..self.end];
            if let Some(end) = memchr::memmem::find(bytes, b"\r\n") {
                let line = bytes[..end].to_vec();
                self.start += end + 2;
                return Ok(line);
            }
            if self.fill(stream).await? == 0 {
                return Err(cut("cut within a chunk line"));
            }
        }
    }

    async fn chunks(&mut self, stream: &mut TcpStream) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let line = self.line(stream).await?;
            let text = std::str::from_utf8(&line).map_err(|_| malformed("chunk size"))?;
            let digits = text.split(';').next().unwrap_or("").trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| malformed("chunk size"))?;
            if size == 0 {
                while !self.line(stream).await?.is_empty() {}
                return Ok(total);
            }
            total += self.skip(stream, size).await?;
            if !self.line(stream).await?.is_empty() {
                return Err(malformed("bytes after a chunk"));
            }
        }
    }

    async fn until_close(&mut self, stream: &mut TcpStream) -> io::Result<u64> {
        let mut total = 0;
        loop {
            total += (self.end - self.start) as u64;
            self.start = self.end;
            if self.fill(stream).await? == 0 {
                return Ok(total);
            }
        }
    }
}

fn parse(head: &[u8], label: Option<&str>) -> io::Result<Head> {
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    let status = status.and_then(|digits| digits.parse().ok()).ok_or_else(|| malformed("status line"))?;
    let mut parsed =
        Head { status, length: None, chunked: false, close: head.starts_with(b"HTTP/1.0"), label: None };
    let mut rest = head;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = &rest[..end.saturating_sub(1)];
        rest = &rest[end + 1..];
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            parsed.length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            parsed.chunked = true;
        } else if name.eq_ignore_ascii_case(b"connection") {
            parsed.close = value.eq_ignore_ascii_case(b"close");
        } else if label.is_some_and(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes())) {
            parsed.label = Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    Ok(parsed)
}
