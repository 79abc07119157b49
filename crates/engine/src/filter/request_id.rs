//! The request id: one name for a request in every log it passes. Kept only from a trusted peer, since whoever
//! chooses ids can make two requests look like one.

use fairlead_wire::Head;

/// Longer ids are replaced: they would go into every log line.
const LONGEST: usize = 128;

/// Makes sure that the request carries exactly one id in the field `name` and leaves it in `id`.
/// `random` is used for a new one: 128 bits, so that ids of all workers and nodes never meet.
pub(crate) fn ensure(
    head: &mut Head,
    name: &[u8],
    trusted: bool,
    random: impl FnOnce() -> u128,
    id: &mut Vec<u8>,
) {
    id.clear();
    if trusted
        && let Some(given) = head.named(name)
        && acceptable(given)
    {
        id.extend_from_slice(given);
    } else {
        write_hex(random(), id);
    }
    head.set(name, id);
}

fn acceptable(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

fn write_hex(value: u128, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in value.to_be_bytes() {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use fairlead_wire::{Head, Version};

    use super::ensure;

    const NAME: &[u8] = b"X-Request-ID";

    fn after(given: &[u8], trusted: bool) -> (Vec<u8>, Vec<u8>) {
        let mut head = Head::new();
        head.start_request(b"GET", b"/", Version::Http11);
        if !given.is_empty() {
            head.append(b"x-request-id", given);
        }
        let mut id = Vec::new();
        ensure(&mut head, NAME, trusted, || 0xAB, &mut id);
        (head.named(NAME).expect("an id").to_vec(), id)
    }

    #[test]
    fn a_trusted_id_is_kept() {
        assert_eq!(after(b"abc", true).0, b"abc");
    }

    #[test]
    fn an_id_of_a_stranger_is_replaced() {
        let (sent, logged) = after(b"abc", false);
        assert_eq!(sent, b"000000000000000000000000000000ab");
        assert_eq!(logged, sent);
    }

    #[test]
    fn a_missing_or_unusable_id_is_made() {
        for given in [&b""[..], b"a b", &[b'x'; 129]] {
            assert_eq!(after(given, true).0, b"000000000000000000000000000000ab");
        }
    }
}
