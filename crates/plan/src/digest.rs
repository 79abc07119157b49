//! A digest that is the same in every process and version: ids made from it are stored in metrics and by operators.

/// FNV-1a, 64 bits. Each part is ended by its length, so that two parts never run into each other.
#[derive(Clone, Copy)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn part(self, bytes: &[u8]) -> Self {
        let length = (bytes.len() as u64).to_le_bytes();
        Self(
            bytes
                .iter()
                .chain(&length)
                .fold(self.0, |state, &byte| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)),
        )
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let joined = Digest::new().part(b"ab").part(b"c").value();
        assert_ne!(joined, Digest::new().part(b"a").part(b"bc").value());
        assert_ne!(joined, Digest::new().part(b"abc").value());
    }

    #[test]
    fn digest_stays_the_same_over_versions() {
        assert_eq!(Digest::new().part(b"").value(), 0xa8c7_f832_281a_39c5);
    }
}
