//! From the value of a cookie to the member that it names.
//!
//! A tag says nothing about its member, and nobody can make one without the secret: it is a keyed hash of the member's
//! name, made once when the pool is built. So a request costs a search among the tags there are, and no hashing.
//! The search takes longer for some values than for others, which tells a client nothing that it doesn't know: every tag
//! there is is given away to whoever asks often enough.

/// The value of a cookie: 128 bits in base64url without padding (RFC 4648 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; Tag::LENGTH]);

impl Tag {
    /// Characters.
    pub const LENGTH: usize = 22;

    /// The tag of these bits.
    #[must_use]
    pub fn new(bits: [u8; 16]) -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let number = u128::from_be_bytes(bits);
        Self(std::array::from_fn(|at| {
            // 21 times six bits, then the last two with zeros behind them.
            let six = if at < Self::LENGTH - 1 { number >> (122 - 6 * at) } else { number << 4 };
            ALPHABET[(six & 63) as usize]
        }))
    }

    /// What a client sent, if it could be a tag.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        text.try_into().ok().map(Self)
    }

    /// As it is sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The tags of a pool's members.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    /// Sorted by tag.
    places: Box<[(Tag, u32)]>,
}

impl Tags {
    /// Of the members in their order.
    #[must_use]
    pub fn new(tags: impl IntoIterator<Item = Tag>) -> Self {
        let mut places: Vec<(Tag, u32)> = tags.into_iter().zip(0..).collect();
        places.sort_unstable();
        Self { places: places.into() }
    }

    /// The member that a tag names.
    #[must_use]
    pub fn member(&self, tag: &Tag) -> Option<usize> {
        let at = self.places.binary_search_by_key(tag, |&(known, _)| known).ok()?;
        Some(self.places[at].1 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_base64url() {
        // Made with Python's base64.urlsafe_b64encode.
        let bits = [0xff, 0xfe, 0xfd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 250, 251];
        assert_eq!(Tag::new(bits).as_bytes(), b"__79AAECAwQFBgcICQr6-w");
        assert_eq!(Tag::new([0; 16]).as_bytes(), b"AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Tag::new([255; 16]).as_bytes(), b"_____________________w");
    }

    #[test]
    fn each_member_is_found_by_its_tag_and_nobody_by_another() {
        let tag = |n: u8| Tag::new([n.wrapping_mul(37); 16]);
        let tags = Tags::new((0..100).map(tag));
        for n in 0..100 {
            assert_eq!(tags.member(&tag(n)), Some(usize::from(n)));
        }
        assert_eq!(tags.member(&tag(101)), None);
        assert_eq!(Tags::default().member(&tag(0)), None);
        assert_eq!(Tag::read(b"10.0.0.1:8080"), None);
        assert_eq!(Tag::read(tag(3).as_bytes()), Some(tag(3)));
    }
}
