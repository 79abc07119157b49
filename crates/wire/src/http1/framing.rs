//! Where a message ends (RFC 9112 6.3), and the few fields that decide it.

use crate::head::{Head, Version};
use crate::name::Known;
use crate::refusal::Refusal;
use crate::syntax::{self, TOKEN};

/// How a message's body is delimited as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, with trailers after the last one.
    Chunked,
    /// Until the connection ends; answers only.
    Close,
}

/// More options than any sender has a use for; each costs a pass over the fields when they are removed.
const MAX_CONNECTION_OPTIONS: usize = 64;

/// What a head's framing and connection fields say, gathered in one pass.
#[derive(Debug, Default)]
pub(super) struct Survey {
    length: Option<u64>,
    chunked: bool,
    pub(super) hosts: usize,
    options: Options,
    /// An `Upgrade` field with something in it.
    upgrade_field: bool,
}

/// What `Connection` says (RFC 9110 7.6.1).
#[derive(Debug, Default)]
struct Options {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    count: usize,
}

impl Survey {
    /// Reads and checks the fields; what is malformed in them is refused whatever the framing turns out to be.
    pub(super) fn of(head: &Head) -> Result<Self, Refusal> {
        let mut survey = Self::default();
        let mut transfer_encoding = false;
        for field in &head.fields {
            let Some(known) = field.known else { continue };
            let value = head.text(field.value);
            match known {
                Known::ContentLength => survey.content_length(value)?,
                Known::TransferEncoding => transfer_encoding = true,
                Known::Connection => survey.options.read(value)?,
                Known::Upgrade => survey.upgrade_field |= !value.is_empty(),
                Known::Host => survey.hosts += 1,
                _ => {}
            }
        }
        if transfer_encoding {
            survey.transfer_encoding(head)?;
        }
        Ok(survey)
    }

    /// The length or the chunks that the fields announce.
    pub(super) fn announced(&self) -> Option<Body> {
        if self.chunked { Some(Body::Chunked) } else { self.length.map(Body::Length) }
    }

    /// Whether the connection goes on after this message (RFC 9112 9.3).
    pub(super) fn persistent(&self, version: Version) -> bool {
        !self.options.close && (version == Version::Http11 || self.options.keep_alive)
    }

    /// Whether another protocol is offered, which HTTP/1.0 can't (RFC 9110 7.8).
    pub(super) fn upgrade(&self, version: Version) -> bool {
        version == Version::Http11 && self.options.upgrade && self.upgrade_field
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        const CLAUSE: &str = "RFC 9112 6.3";
        // Lists and repeats of one equal value could be collapsed; nobody sends them in good faith.
        if self.length.is_some() {
            return Err(Refusal::malformed("more than one Content-Length", CLAUSE));
        }
        let length = syntax::decimal(value).ok_or(Refusal::malformed("malformed Content-Length", CLAUSE))?;
        self.length = Some(length);
        Ok(())
    }

    fn transfer_encoding(&mut self, head: &Head) -> Result<(), Refusal> {
        const CLAUSE: &str = "RFC 9112 6.1";
        if self.length.is_some() {
            return Err(Refusal::malformed("Content-Length beside Transfer-Encoding", CLAUSE));
        }
        if head.version() == Version::Http10 {
            return Err(Refusal::malformed("Transfer-Encoding in HTTP/1.0", CLAUSE));
        }
        let (mut count, mut chunked, mut unknown, mut last_is_chunked) = (0, 0, 0, false);
        for coding in head.known_all(Known::TransferEncoding).flat_map(elements) {
            if !syntax::all(TOKEN, coding) {
                return Err(Refusal::malformed("malformed Transfer-Encoding", CLAUSE));
            }
            last_is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            count += 1;
            chunked += usize::from(last_is_chunked);
            unknown += usize::from(!is_registered(coding));
        }
        if unknown > 0 {
            return Err(Refusal::with_status(501, "unknown transfer coding", CLAUSE));
        }
        if !last_is_chunked {
            return Err(Refusal::malformed("Transfer-Encoding doesn't end in chunked", "RFC 9112 6.3"));
        }
        if chunked > 1 {
            return Err(Refusal::malformed("chunked applied twice", CLAUSE));
        }
        if count > 1 {
            // Compressions that can't be undone here, so the framing beneath them can't be rewritten either.
            return Err(Refusal::with_status(501, "transfer coding other than chunked", CLAUSE));
        }
        self.chunked = true;
        Ok(())
    }
}

impl Options {
    fn read(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for option in elements(value) {
            self.count += 1;
            match option.len() {
                5 => self.close |= option.eq_ignore_ascii_case(b"close"),
                7 => self.upgrade |= option.eq_ignore_ascii_case(b"upgrade"),
                10 => self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive"),
                _ => {}
            }
        }
        if self.count > MAX_CONNECTION_OPTIONS {
            return Err(Refusal::malformed("too many connection options", "RFC 9110 7.6.1"));
        }
        Ok(())
    }
}

/// Codings of the IANA registry with their aliases: known by name, whether or not they are implemented.
fn is_registered(coding: &[u8]) -> bool {
    ["chunked", "gzip", "x-gzip", "deflate", "compress", "x-compress"]
        .iter()
        .any(|registered| coding.eq_ignore_ascii_case(registered.as_bytes()))
}

/// The elements of a comma list, empty ones too, without the whitespace around them.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(|&byte| byte == b',').map(syntax::trim)
}
