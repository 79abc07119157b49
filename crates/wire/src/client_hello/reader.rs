//! Vectors of the TLS presentation language (RFC 8446 3.4): a length, then so many bytes.

use super::malformed;
use crate::refusal::Refusal;

/// Bytes still to be read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(malformed("a field is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Refusal> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Refusal> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn vector8(&mut self) -> Result<&'a [u8], Refusal> {
        let length = self.u8()?;
        self.take(length.into())
    }

    pub(super) fn vector16(&mut self) -> Result<&'a [u8], Refusal> {
        let length = self.u16()?;
        self.take(length.into())
    }
}
