//! Changing a head: what filters do, and how Fairlead's own messages are built.

use super::{Field, Head, Span, Version};
use crate::name::Known;

/// Fields that concern one connection only and never travel on (RFC 9110 7.6.1). `Trailer` isn't among them:
/// trailers are passed on, and it announces them.
const HOP_BY_HOP: u32 = Known::Connection.bit()
    | Known::KeepAlive.bit()
    | Known::ProxyConnection.bit()
    | Known::Te.bit()
    | Known::TransferEncoding.bit()
    | Known::Upgrade.bit();

/// Fields that `Connection` can't take away: without them a message would mean something else to the next hop
/// than it did here.
const UNTOUCHABLE: u32 = Known::Host.bit() | Known::ContentLength.bit();

impl Head {
    /// Begins a request from scratch. `target` is in origin-form or `*`.
    pub fn start_request(&mut self, method: &[u8], target: &[u8], version: Version) {
        self.clear();
        self.version = version;
        self.method = self.push(method);
        self.set_path_and_query(target);
        self.target = self.path_and_query;
    }

    /// Begins an answer from scratch.
    pub fn start_response(&mut self, status: u16, reason: &[u8], version: Version) {
        self.clear();
        self.version = version;
        self.status = status;
        self.reason = self.push(reason);
    }

    /// Replaces what a backend will see as the request's target.
    pub fn set_path_and_query(&mut self, path_and_query: &[u8]) {
        let span = self.push(path_and_query);
        let path_length = memchr::memchr(b'?', path_and_query).unwrap_or(path_and_query.len());
        self.path_and_query = span;
        self.path_end = span.start + path_length as u32;
    }

    /// Adds a field after all others. The caller vouches for both: a token, and a value without control
    /// characters.
    pub fn append(&mut self, name: &[u8], value: &[u8]) {
        debug_assert!(is_one_line(name) && is_one_line(value), "a field must stay on its line");
        let start = self.bytes.len();
        // Written as it will be sent, so that the encoder copies it together with its neighbours.
        self.bytes.reserve(name.len() + value.len() + 4);
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
        let colon = start + name.len();
        self.push_field(Field {
            name: Span::new(start, colon),
            value: Span::new(colon + 2, colon + 2 + value.len()),
            known: Known::of(name),
            removed: false,
            verbatim: true,
        });
    }

    /// Gives the field this one value: the first of its name keeps its place, the others go; appended if there
    /// was none.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        debug_assert!(is_one_line(value), "a field must stay on its line");
        let mut place = None;
        for (index, field) in self.fields.iter_mut().enumerate() {
            if field.removed || !self.bytes[field.name.range()].eq_ignore_ascii_case(name) {
                continue;
            }
            field.removed = place.is_some();
            place = place.or(Some(index));
        }
        let Some(index) = place else { return self.append(name, value) };
        let value = self.push(value);
        self.fields[index].value = value;
        self.fields[index].verbatim = false;
    }

    /// Gives each field of this name the value that `edit` writes for it; it says `false` where the field stays as it is,
    /// and a field whose new value is empty goes. `scratch` is where values are written.
    pub fn edit(
        &mut self,
        name: &[u8],
        scratch: &mut Vec<u8>,
        mut edit: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) {
        for index in 0..self.fields.len() {
            let field = self.fields[index];
            if field.removed || !self.text(field.name).eq_ignore_ascii_case(name) {
                continue;
            }
            scratch.clear();
            if !edit(self.text(field.value), scratch) {
                continue;
            }
            debug_assert!(is_one_line(scratch), "a field must stay on its line");
            let value = self.push(scratch);
            let field = &mut self.fields[index];
            field.removed = value.is_empty();
            field.value = value;
            field.verbatim = false;
        }
    }

    /// Removes every field of this name, in any case.
    pub fn remove(&mut self, name: &[u8]) {
        self.remove_matching(|found| found.eq_ignore_ascii_case(name));
    }

    /// Removes every field of a known name.
    pub fn remove_known(&mut self, known: Known) {
        self.remove_all_of(known.bit());
    }

    /// Removes every field whose name the predicate holds for, such as look-alikes with `_`.
    pub fn remove_matching(&mut self, mut matches: impl FnMut(&[u8]) -> bool) {
        for field in &mut self.fields {
            field.removed = field.removed || matches(&self.bytes[field.name.range()]);
        }
    }

    /// Removes what concerns only the connection the message came on: the fields of RFC 9110 7.6.1 and every
    /// one that `Connection` names, except `Host` and `Content-Length`. Who passes an upgrade on adds
    /// `Connection` and `Upgrade` again.
    pub fn remove_hop_by_hop(&mut self) {
        if self.present & HOP_BY_HOP == 0 {
            return;
        }
        for index in 0..self.fields.len() {
            let field = self.fields[index];
            if field.known == Some(Known::Connection) && !field.removed {
                self.remove_listed(field.value);
            }
        }
        self.remove_all_of(HOP_BY_HOP);
    }

    /// Removes the fields that a `Connection` value names.
    fn remove_listed(&mut self, list: Span) {
        let Self { bytes, fields, .. } = self;
        for option in bytes[list.range()].split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            // By far the most frequent options name no field that isn't removed anyway.
            if matches!(Known::of(option), Some(Known::KeepAlive | Known::Upgrade)) || option == b"close" {
                continue;
            }
            for field in fields.iter_mut() {
                let untouchable = field.known.is_some_and(|known| known.bit() & UNTOUCHABLE != 0);
                if !untouchable && bytes[field.name.range()].eq_ignore_ascii_case(option) {
                    field.removed = true;
                }
            }
        }
    }

    fn remove_all_of(&mut self, set: u32) {
        if self.present & set == 0 {
            return;
        }
        for field in &mut self.fields {
            field.removed = field.removed || field.known.is_some_and(|known| known.bit() & set != 0);
        }
        self.present &= !set;
    }

    /// Gives Host the absolute-form's authority (RFC 9112 3.2.2: the one received is ignored).
    pub(crate) fn host_from_authority(&mut self) {
        let authority = self.authority;
        let mut hosts = self.fields.iter_mut().filter(|field| field.known == Some(Known::Host));
        if let Some(host) = hosts.next() {
            host.value = authority;
            host.verbatim = false;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(b"Host");
        self.push_field(Field {
            name: Span::new(start, start + 4),
            value: authority,
            known: Some(Known::Host),
            removed: false,
            verbatim: false,
        });
    }

    pub(crate) fn push_field(&mut self, field: Field) {
        self.present |= field.known.map_or(0, Known::bit);
        self.fields.push(field);
    }

    pub(crate) fn push(&mut self, text: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        Span::new(start, self.bytes.len())
    }
}

fn is_one_line(text: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, text).is_none()
}
