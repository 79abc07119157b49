//! The head of a request or an answer: one owned buffer and spans into it.
//!
//! Parsers copy a head's bytes in once, so a head outlives the buffer it was read from; filters edit it by
//! appending new bytes at the end and pointing spans there; encoders write it out. Both vectors are kept by
//! [`Head::clear`], so a head that is used again allocates nothing.

mod edit;
mod field;

use crate::name::Known;
pub(crate) use field::{Field, Span};

/// The version a message came in, or is to be treated as (RFC 9110 2.5: a higher minor version of HTTP/1 is
/// handled as 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}

/// A request's or an answer's start line and fields, in the order received.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fields: Vec<Field>,
    /// Known names that may be present: a bit that isn't set makes "absent" an answer without a search.
    pub(crate) present: u32,
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) method: Span,
    pub(crate) target: Span,
    /// Origin-form of the target, `*` for the asterisk-form.
    pub(crate) path_and_query: Span,
    /// Where `path_and_query` has its first `?`, or its end.
    pub(crate) path_end: u32,
    /// The absolute-form's authority; empty for every other form.
    pub(crate) authority: Span,
    pub(crate) reason: Span,
}

impl Head {
    /// An empty head without buffers; they grow at first use and stay.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the head and keeps its buffers.
    pub fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut fields = std::mem::take(&mut self.fields);
        bytes.clear();
        fields.clear();
        *self = Self { bytes, fields, ..Self::default() };
    }

    /// Bytes that the head's buffers hold on to, so that a pool can let go of one that grew too large.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.fields.capacity() * size_of::<Field>()
    }

    /// The version received.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The request's method, as received; methods are case-sensitive.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.text(self.method)
    }

    /// The request's target exactly as received, in whatever form it came.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.text(self.target)
    }

    /// The target in origin-form, which is what a backend is sent; `*` for the asterisk-form.
    #[must_use]
    pub fn path_and_query(&self) -> &[u8] {
        self.text(self.path_and_query)
    }

    /// The path as received, without the query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.text(Span { end: self.path_end, ..self.path_and_query })
    }

    /// What follows the first `?`; `None` without one.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        let end = self.path_and_query.end;
        (self.path_end < end).then(|| self.text(Span { start: self.path_end + 1, end }))
    }

    /// The host, perhaps with a port, that the request is for. The parser has already put an absolute-form's
    /// authority into Host (RFC 9112 3.2.2). Empty for an HTTP/1.0 request without Host.
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        self.known(Known::Host).unwrap_or_default()
    }

    /// The answer's status, 100 to 599.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The answer's reason phrase, perhaps empty.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        self.text(self.reason)
    }

    /// Every field that wasn't removed: name as received, value without surrounding whitespace.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.live().map(|field| (self.text(field.name), self.text(field.value)))
    }

    /// The first value of a known field.
    #[must_use]
    pub fn known(&self, known: Known) -> Option<&[u8]> {
        self.known_all(known).next()
    }

    /// Every value of a known field, in order.
    #[must_use = "iterators are lazy"]
    pub fn known_all(&self, known: Known) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        let searched = if self.present & known.bit() == 0 { &[] } else { self.fields.as_slice() };
        searched
            .iter()
            .filter(move |field| field.known == Some(known) && !field.removed)
            .map(|field| self.text(field.value))
    }

    /// The first value of the field with this name, in any case.
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Option<&[u8]> {
        self.named_all(name).next()
    }

    /// Every value of the field with this name, in any case and in order.
    #[must_use = "iterators are lazy"]
    pub fn named_all<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        self.live()
            .filter(move |field| self.text(field.name).eq_ignore_ascii_case(name))
            .map(|field| self.text(field.value))
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !field.removed)
    }

    pub(crate) fn text(&self, span: Span) -> &[u8] {
        &self.bytes[span.range()]
    }
}

#[cfg(test)]
mod tests;
