//! What a version 2 header says besides addresses: typed values, one after the other.

use super::malformed;
use crate::refusal::Refusal;

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const NOOP: u8 = 0x04;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
const SSL_SIG_ALG: u8 = 0x24;
const SSL_KEY_ALG: u8 = 0x25;
const NETNS: u8 = 0x30;

/// Type and length of a value.
const PREFIX: usize = 3;
/// What the checksum takes.
pub(super) const CHECKSUM_SIZE: usize = PREFIX + 4;
/// "up to 128 bytes".
const MAX_UNIQUE_ID: usize = 128;
/// `client`, 8 bits, and `verify`, 32 bits, before the values within.
const SSL_FIXED: usize = 5;

const CLAUSE: &str = "PROXY protocol 2.2";

/// One thing that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tlv<'a> {
    /// The protocol that the client and the proxy agreed on.
    Alpn(&'a [u8]),
    /// The name that the client asked for, in UTF-8: of TLS the SNI.
    Authority(&'a [u8]),
    /// What tells this connection from all others, up to 128 bytes.
    UniqueId(&'a [u8]),
    /// The client's TLS.
    Ssl(Ssl<'a>),
    /// The network namespace of the proxy.
    Netns(&'a [u8]),
    /// Something that isn't told apart here.
    Other {
        /// Its type.
        kind: u8,
        /// As it was sent.
        value: &'a [u8],
    },
}

/// The TLS between a client and a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ssl<'a> {
    /// Bits: 1 the client used TLS, 2 it showed a certificate on this connection, 4 on this session.
    pub client: u8,
    /// 0 if the client's certificate was verified, or it showed none.
    pub verify: u32,
    /// `TLSv1.3`, for example.
    pub version: Option<&'a [u8]>,
    /// The common name of the client's certificate, in UTF-8.
    pub common_name: Option<&'a [u8]>,
    /// The cipher's name.
    pub cipher: Option<&'a [u8]>,
    /// The algorithm that the proxy's certificate is signed by.
    pub signature: Option<&'a [u8]>,
    /// The algorithm of the proxy's key.
    pub key: Option<&'a [u8]>,
}

/// Everything that a header says besides addresses; found good as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tlvs<'a>(&'a [u8]);

impl<'a> Tlvs<'a> {
    /// The values in their order, without what only fills or protects the header.
    pub fn iter(&self) -> impl Iterator<Item = Tlv<'a>> + use<'a> {
        Raw(self.0).map_while(Result::ok).filter_map(|(kind, value)| Tlv::parse(kind, value).ok().flatten())
    }

    /// As they stand in the header.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Finds these good, or not. A checksum among them is that of the header they stood in: it isn't checked here.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut seen = Seen::default();
        for raw in Raw(bytes) {
            let (kind, value) = raw?;
            seen.add(kind)?;
            Tlv::parse(kind, value)?;
        }
        Ok(Self(bytes))
    }

    /// Where the checksum's four bytes stand.
    pub(super) fn checksum_at(&self) -> Option<usize> {
        let mut at = 0;
        for (kind, value) in Raw(self.0).map_while(Result::ok) {
            if kind == CRC32C {
                return Some(at + PREFIX);
            }
            at += PREFIX + value.len();
        }
        None
    }
}

/// Which values occurred already. Two that contradict each other would be read in one way by us and in another elsewhere.
#[derive(Default)]
struct Seen(u64);

impl Seen {
    fn add(&mut self, kind: u8) -> Result<(), Refusal> {
        let bit = match kind {
            ALPN | AUTHORITY | CRC32C | UNIQUE_ID | SSL..=SSL_KEY_ALG | NETNS => 1 << kind,
            _ => 0,
        };
        if self.0 & bit != 0 {
            return Err(malformed("the same value twice", CLAUSE));
        }
        self.0 |= bit;
        Ok(())
    }
}

/// Types and values, as they stand.
struct Raw<'a>(&'a [u8]);

impl<'a> Iterator for Raw<'a> {
    type Item = Result<(u8, &'a [u8]), Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        match *bytes {
            [] => None,
            [kind, high, low, ref rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some((value, rest)) = rest.split_at_checked(length) else {
                    return Some(Err(malformed("a value longer than the header", CLAUSE)));
                };
                self.0 = rest;
                Some(Ok((kind, value)))
            }
            _ => Some(Err(malformed("a value's length is missing", CLAUSE))),
        }
    }
}

impl<'a> Tlv<'a> {
    /// `None` for what says nothing by itself.
    fn parse(kind: u8, value: &'a [u8]) -> Result<Option<Self>, Refusal> {
        let wrong = |reason| Err(malformed(reason, CLAUSE));
        Ok(Some(match kind {
            ALPN if value.is_empty() || value.len() > 255 => return wrong("invalid ALPN"),
            ALPN => Self::Alpn(value),
            AUTHORITY if !is_text(value) || value.len() > 255 => return wrong("invalid authority"),
            AUTHORITY => Self::Authority(value),
            CRC32C if value.len() != 4 => return wrong("a checksum has four bytes"),
            CRC32C | NOOP => return Ok(None),
            UNIQUE_ID if value.is_empty() || value.len() > MAX_UNIQUE_ID => {
                return wrong("invalid unique id");
            }
            UNIQUE_ID => Self::UniqueId(value),
            SSL => Self::Ssl(Ssl::parse(value)?),
            NETNS if !is_text(value) || !value.is_ascii() => return wrong("invalid network namespace"),
            NETNS => Self::Netns(value),
            kind => Self::Other { kind, value },
        }))
    }

    /// Appends it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Alpn(value) => put(out, ALPN, value),
            Self::Authority(value) => put(out, AUTHORITY, value),
            Self::UniqueId(value) => put(out, UNIQUE_ID, value),
            Self::Netns(value) => put(out, NETNS, value),
            Self::Other { kind, value } => put(out, kind, value),
            Self::Ssl(ssl) => ssl.write(out),
        }
    }
}

impl<'a> Ssl<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, Refusal> {
        let [client, a, b, c, d, ref rest @ ..] = *value else {
            return Err(malformed("TLS of the client without its verification", CLAUSE));
        };
        let mut ssl = Self { client, verify: u32::from_be_bytes([a, b, c, d]), ..Self::default() };
        let mut seen = Seen::default();
        for raw in Raw(rest) {
            let (kind, value) = raw?;
            seen.add(kind)?;
            let field = match kind {
                SSL_VERSION => &mut ssl.version,
                SSL_CN => &mut ssl.common_name,
                SSL_CIPHER => &mut ssl.cipher,
                SSL_SIG_ALG => &mut ssl.signature,
                SSL_KEY_ALG => &mut ssl.key,
                _ => continue,
            };
            if !is_text(value) {
                return Err(malformed("TLS of the client: not a text", CLAUSE));
            }
            *field = Some(value);
        }
        Ok(ssl)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[SSL, 0, 0, self.client]);
        out.extend_from_slice(&self.verify.to_be_bytes());
        let fields = [
            (SSL_VERSION, self.version),
            (SSL_CN, self.common_name),
            (SSL_CIPHER, self.cipher),
            (SSL_SIG_ALG, self.signature),
            (SSL_KEY_ALG, self.key),
        ];
        for (kind, value) in fields {
            if let Some(value) = value {
                put(out, kind, value);
            }
        }
        debug_assert!(out.len() - start >= PREFIX + SSL_FIXED, "client and verify are always there");
        let length = ((out.len() - start - PREFIX) as u16).to_be_bytes();
        out[start + 1..start + PREFIX].copy_from_slice(&length);
    }
}

/// A checksum still to be computed: zero, as it is while it is computed.
pub(super) fn write_empty_checksum(out: &mut Vec<u8>) {
    put(out, CRC32C, &[0; 4]);
}

fn put(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

/// Text that may be shown and compared: UTF-8 without control characters, and at least something.
fn is_text(value: &[u8]) -> bool {
    !value.is_empty() && str::from_utf8(value).is_ok_and(|text| !text.chars().any(char::is_control))
}
