//! The key that a request is balanced by, as its pool wants it. Read in place and hashed: nothing is copied.

use std::net::IpAddr;

use fairlead_balance::{hash, hash_address, mix};
use fairlead_plan::KeyPart;
use fairlead_wire::{Head, cookie};

/// The key of a connection, of which nothing is known but whose it is.
pub(crate) fn of_client(parts: &[KeyPart], client: Option<IpAddr>) -> Option<u64> {
    parts.iter().find_map(|part| match part {
        KeyPart::Client { v6_prefix } => client.map(|address| hash_address(address, *v6_prefix)),
        _ => None,
    })
}

/// What a key may be made of.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) head: &'a Head,
    /// The normalised path.
    pub(super) path: &'a [u8],
    /// A Unix socket's peer has no address.
    pub(super) client: Option<IpAddr>,
}

impl Source<'_> {
    /// The hash of the parts together; `None` if the request has none of them. What is missing beside others counts as
    /// missing, which is another key than an empty value.
    pub(super) fn key(self, parts: &[KeyPart]) -> Option<u64> {
        match parts {
            [] => None,
            [one] => self.part(one),
            parts => {
                let mut found = false;
                let key = parts.iter().fold(0, |key, part| {
                    let part = self.part(part);
                    found |= part.is_some();
                    mix(mix(key, u64::from(part.is_some())), part.unwrap_or(0))
                });
                found.then_some(key)
            }
        }
    }

    fn part(self, part: &KeyPart) -> Option<u64> {
        match part {
            KeyPart::Client { v6_prefix } => self.client.map(|address| hash_address(address, *v6_prefix)),
            KeyPart::Header(name) => self.head.named(name).map(hash),
            KeyPart::Cookie(name) => {
                let mut sent = self.head.named_all(b"Cookie");
                sent.find_map(|field| cookie::value(field, name)).map(hash)
            }
            KeyPart::Query(name) => self.head.query().and_then(|query| parameter(query, name)).map(hash),
            KeyPart::Path => Some(hash(self.path)),
        }
    }
}

/// The value of a parameter, as it was sent: percent-encodings of the same text are different keys.
fn parameter<'a>(query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    query.split(|&byte| byte == b'&').find_map(|pair| cookie::value_of(pair, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Head {
        let mut head = Head::new();
        for (name, value) in
            [("X-Tenant", "acme"), ("Cookie", "a=1; session=\"x y\";b"), ("Cookie", "late=7")]
        {
            head.append(name.as_bytes(), value.as_bytes());
        }
        head
    }

    fn key(parts: &[KeyPart]) -> Option<u64> {
        let head = request();
        let client = Some("2001:db8::1".parse().expect("it is an address"));
        Source { head: &head, path: b"/a", client }.key(parts)
    }

    fn named(make: fn(Box<[u8]>) -> KeyPart, name: &str) -> Option<u64> {
        key(&[make(name.as_bytes().into())])
    }

    #[test]
    fn parts_are_found_where_they_are() {
        assert_eq!(named(KeyPart::Header, "x-tenant"), Some(hash(b"acme")));
        assert_eq!(named(KeyPart::Cookie, "session"), Some(hash(b"\"x y\"")));
        assert_eq!(named(KeyPart::Cookie, "late"), Some(hash(b"7")));
        assert_eq!(named(KeyPart::Cookie, "b"), Some(hash(b"")));
        assert_eq!(key(&[KeyPart::Path]), Some(hash(b"/a")));
        assert_eq!(
            key(&[KeyPart::Client { v6_prefix: 64 }]),
            Some(hash_address("2001:db8::".parse().unwrap(), 64))
        );
    }

    #[test]
    fn what_a_request_lacks_is_no_key() {
        assert_eq!(named(KeyPart::Header, "x-other"), None);
        assert_eq!(named(KeyPart::Cookie, "sess"), None);
        assert_eq!(named(KeyPart::Query, "q"), None);
        assert_eq!(key(&[]), None);
        assert_eq!(
            key(&[KeyPart::Header(b"x".as_slice().into()), KeyPart::Cookie(b"y".as_slice().into())]),
            None
        );
    }

    #[test]
    fn several_parts_make_one_key_that_each_of_them_changes() {
        let tenant = || KeyPart::Header(b"x-tenant".as_slice().into());
        let missing = || KeyPart::Query(b"q".as_slice().into());
        let keys = [
            key(&[tenant(), KeyPart::Path]),
            key(&[KeyPart::Path, tenant()]),
            key(&[tenant(), missing()]),
            key(&[missing(), tenant()]),
            key(&[tenant()]),
        ];
        assert!(keys.iter().all(Option::is_some));
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
        }
    }

    #[test]
    fn parameters_are_found_as_they_were_sent() {
        assert_eq!(parameter(b"a=1&b=2&b=3", b"b"), Some(&b"2"[..]));
        assert_eq!(parameter(b"ab=1&a", b"a"), Some(&b""[..]));
        assert_eq!(parameter(b"ab=1", b"a"), None);
        assert_eq!(parameter(b"q=%41", b"q"), Some(&b"%41"[..]));
    }
}
