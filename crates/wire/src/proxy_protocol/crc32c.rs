//! The checksum of a version 2 header: CRC32C (RFC 4960 Appendix B), the polynomial of Castagnoli.

use super::malformed;
use crate::refusal::Refusal;

/// Whether a header that is written carries its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// It does.
    Added,
    /// It doesn't.
    Left,
}

impl Checksum {
    pub(super) fn is_wanted(self) -> bool {
        self == Self::Added
    }
}

/// By byte; headers are short and rare, so a larger table would only take more of the cache.
const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0x82f6_3b78 } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

/// The checksum of these parts, one after the other.
pub(super) fn of(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    !bytes.fold(!0, |sum, &byte| TABLE[((sum ^ u32::from(byte)) & 0xff) as usize] ^ sum >> 8)
}

/// Checks the sum that stands at `at`, computed while its own four bytes are zero.
pub(super) fn verify(header: &[u8], at: usize) -> Result<(), Refusal> {
    let (before, rest) = header.split_at(at);
    let (stated, after) = rest.split_at(4);
    if of(&[before, &[0; 4], after]).to_be_bytes() != *stated {
        return Err(malformed("checksum doesn't match", "PROXY protocol 2.2.3"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn sums_are_those_of_the_rfc() {
        // RFC 3720 B.4.
        assert_eq!(of(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(of(&[&[0xff; 32]]), 0x62a8_ab43);
        assert_eq!(of(&[b"1234", b"", b"56789"]), 0xe306_9283);
    }
}
