//! The extensions that a choice of backend goes by.

use super::malformed;
use super::name::ServerName;
use super::reader::Reader;
use crate::refusal::Refusal;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// `host_name` of RFC 6066 3, the only kind there is.
const HOST_NAME: u8 = 0;
/// `ECHClientHelloType` of a message that has another within it.
const OUTER: u8 = 0;

/// What they say.
#[derive(Default)]
pub(super) struct Extensions<'a> {
    pub(super) server_name: Option<ServerName>,
    pub(super) alpn: Alpn<'a>,
    pub(super) encrypted: bool,
}

/// A list of protocols, as the client sent it; found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alpn<'a>(&'a [u8]);

impl<'a> Alpn<'a> {
    /// The protocols, the one that the client likes best first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut list = Reader(self.0);
        std::iter::from_fn(move || if list.is_empty() { None } else { list.vector8().ok() })
    }

    fn check(value: &'a [u8]) -> Result<Self, Refusal> {
        let mut value = Reader(value);
        let protocols = value.vector16()?;
        let mut list = Reader(protocols);
        let mut empty = list.is_empty();
        while !list.is_empty() {
            empty |= list.vector8()?.is_empty();
        }
        if empty || !value.is_empty() {
            return Err(Refusal::malformed("invalid list of protocols", "RFC 7301 3.1"));
        }
        Ok(Self(protocols))
    }
}

impl<'a> Extensions<'a> {
    pub(super) fn read(list: &'a [u8]) -> Result<Self, Refusal> {
        let mut found = Self::default();
        let mut seen = [false; 3];
        let mut list = Reader(list);
        while !list.is_empty() {
            let (kind, value) = (list.u16()?, list.vector16()?);
            let place = match kind {
                SERVER_NAME => 0,
                ALPN => 1,
                ENCRYPTED_CLIENT_HELLO => 2,
                _ => continue,
            };
            // "There MUST NOT be more than one extension of the same type": which one would the backend take?
            if std::mem::replace(&mut seen[place], true) {
                return Err(Refusal::malformed("the same extension twice", "RFC 8446 4.2"));
            }
            match kind {
                SERVER_NAME => found.server_name = server_name(value)?,
                ALPN => found.alpn = Alpn::check(value)?,
                _ => found.encrypted = is_outer(value)?,
            }
        }
        Ok(found)
    }
}

fn server_name(value: &[u8]) -> Result<Option<ServerName>, Refusal> {
    let invalid = Refusal::malformed("invalid list of server names", "RFC 6066 3");
    let mut value = Reader(value);
    let mut list = Reader(value.vector16()?);
    let kind = list.u8()?;
    let name = list.vector16()?;
    // A second name, or one of a kind that was never defined, would be read in other ways elsewhere.
    if kind != HOST_NAME || !list.is_empty() || !value.is_empty() {
        return Err(invalid);
    }
    ServerName::parse(name)
}

fn is_outer(value: &[u8]) -> Result<bool, Refusal> {
    match value.first() {
        Some(&OUTER) => Ok(true),
        // The inner one is never sent in the clear.
        _ => Err(malformed("invalid encrypted ClientHello")),
    }
}
