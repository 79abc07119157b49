//! The first message of a TLS client (RFC 8446 4.1.2), read as far as a choice of backend needs it: the name it asks for and
//! the protocols it speaks. Nothing is decrypted or changed; the bytes go on to the backend as they came.

mod extensions;
mod name;
mod reader;

pub use extensions::Alpn;
pub use name::{MAX_NAME, ServerName};

use self::extensions::Extensions;
use self::reader::Reader;
use crate::refusal::Refusal;

/// The longest message that is read. With post-quantum keys and a dozen extensions browsers send 2 KiB.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// Records that a message may be spread over. Some clients cut theirs in two or more to hide the name from others on the
/// way; nobody needs one for each of a few bytes.
const MAX_RECORDS: usize = 64;

/// Bytes after which a message is complete or refused.
pub const MAX_BYTES: usize = MAX_MESSAGE + MAX_RECORDS * RECORD_HEADER;

/// Type, version, length (RFC 8446 5.1).
const RECORD_HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
/// "The length MUST NOT exceed 2^14 bytes".
const MAX_FRAGMENT: usize = 1 << 14;

/// Type and length (RFC 8446 4).
const MESSAGE_HEADER: usize = 4;
const CLIENT_HELLO: u8 = 1;

/// What bytes at the start of a connection are.
#[derive(Debug)]
pub enum Read<'a> {
    /// They may become a whole message: more of them have to come.
    More,
    /// They don't begin as TLS does.
    NotTls,
    /// The whole message.
    Hello(Hello<'a>),
}

/// What a client asks for.
#[derive(Debug)]
pub struct Hello<'a> {
    /// The name it wants to speak to, if it says one.
    pub server_name: Option<ServerName>,
    /// The protocols it speaks, the one it likes best first.
    pub alpn: Alpn<'a>,
    /// The real message is encrypted within this one (RFC 9849): `server_name` is that of the whole site.
    pub encrypted: bool,
}

/// Reads the message that `bytes` begin with. The verdict doesn't depend on how the bytes were cut. `scratch` is used for a
/// message in several records, and for nothing else.
pub fn read<'a>(bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Read<'a>, Refusal> {
    match bytes {
        [] => return Ok(Read::More),
        [HANDSHAKE, ..] => {}
        _ => return Ok(Read::NotTls),
    }
    scratch.clear();
    let mut records = Records(bytes);
    let Some(first) = records.next().transpose()? else { return Ok(Read::More) };
    check_kind(first.received)?;
    if let Some(length) = message_length(first.received)?
        && length <= first.length
    {
        // Nearly every message is in one record: it is read where it stands.
        ends_with_record(length, first.length)?;
        return Ok(match first.received.get(MESSAGE_HEADER..length) {
            Some(message) => Read::Hello(parse(message)?),
            None => Read::More,
        });
    }
    gather(first, records, scratch)
}

/// Reads a message that one record is too short for.
fn gather<'a>(
    first: Record<'_>,
    records: Records<'_>,
    scratch: &'a mut Vec<u8>,
) -> Result<Read<'a>, Refusal> {
    // What the records announce, whether it has come or not: a fault in it is found as soon as it is known.
    let mut announced = 0;
    let mut count = 0;
    for record in std::iter::once(Ok(first)).chain(records) {
        let Record { length, received } = record?;
        count += 1;
        if count > MAX_RECORDS {
            return Err(malformed("message in more records than it needs"));
        }
        scratch.extend_from_slice(received);
        announced += length;
        check_kind(scratch)?;
        if let Some(whole) = message_length(scratch)?
            && whole <= announced
        {
            ends_with_record(whole, announced)?;
            return Ok(if scratch.len() < whole {
                Read::More
            } else {
                Read::Hello(parse(&scratch[MESSAGE_HEADER..])?)
            });
        }
    }
    Ok(Read::More)
}

fn check_kind(message: &[u8]) -> Result<(), Refusal> {
    match message.first() {
        Some(&CLIENT_HELLO) | None => Ok(()),
        Some(_) => Err(malformed("the first message isn't a ClientHello")),
    }
}

/// With its header; `None` while that isn't there.
fn message_length(message: &[u8]) -> Result<Option<usize>, Refusal> {
    let Some(&[_, high, middle, low]) = message.get(..MESSAGE_HEADER) else { return Ok(None) };
    let length = MESSAGE_HEADER + u32::from_be_bytes([0, high, middle, low]) as usize;
    if length > MAX_MESSAGE {
        return Err(malformed("ClientHello longer than 16 KiB"));
    }
    Ok(Some(length))
}

/// Nothing may follow before the server spoke.
fn ends_with_record(length: usize, announced: usize) -> Result<(), Refusal> {
    if length == announced { Ok(()) } else { Err(malformed("bytes after the ClientHello in its record")) }
}

/// A record, or as much of it as has come.
struct Record<'a> {
    /// What it says.
    length: usize,
    /// What of its fragment is there.
    received: &'a [u8],
}

/// The records that the bytes begin with; ends where a header isn't complete.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        // Byte by byte: a fault is found with the first byte that shows it.
        if bytes.first().is_some_and(|&kind| kind != HANDSHAKE) {
            return Some(Err(malformed("another record before the ClientHello is complete")));
        }
        if bytes.get(1).is_some_and(|&major| major != 3) {
            return Some(Err(malformed("unknown version of the record layer")));
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(3)?, *bytes.get(4)?]));
        if length == 0 {
            // "Implementations MUST NOT send zero-length fragments of Handshake types".
            return Some(Err(Refusal::malformed("empty record", "RFC 8446 5.1")));
        }
        if length > MAX_FRAGMENT {
            return Some(Err(Refusal::malformed("record longer than 16 KiB", "RFC 8446 5.1")));
        }
        let body = &bytes[RECORD_HEADER..];
        let (received, rest) = body.split_at(length.min(body.len()));
        self.0 = rest;
        Some(Ok(Record { length, received }))
    }
}

/// Reads the body of a whole message.
fn parse(message: &[u8]) -> Result<Hello<'_>, Refusal> {
    let mut message = Reader(message);
    message.take(2 + 32)?; // legacy_version, random
    if message.vector8()?.len() > 32 {
        return Err(malformed("session id longer than 32 bytes"));
    }
    let suites = message.vector16()?;
    if suites.is_empty() || !suites.len().is_multiple_of(2) {
        return Err(malformed("invalid list of cipher suites"));
    }
    if message.vector8()?.is_empty() {
        return Err(malformed("no compression method"));
    }
    if message.is_empty() {
        // Before TLS 1.3 extensions could be left out (RFC 5246 7.4.1.2).
        return Ok(Hello { server_name: None, alpn: Alpn::default(), encrypted: false });
    }
    let extensions = Extensions::read(message.vector16()?)?;
    if !message.is_empty() {
        return Err(malformed("bytes after the extensions"));
    }
    let Extensions { server_name, alpn, encrypted } = extensions;
    Ok(Hello { server_name, alpn, encrypted })
}

const fn malformed(reason: &'static str) -> Refusal {
    Refusal::malformed(reason, "RFC 8446 4.1.2")
}
