//! `Via` (RFC 9110 7.6.3). Off unless a pseudonym is configured: it would tell the world what stands here, and
//! loops are found by `Max-Forwards` and connection limits. That is a MUST we don't follow on purpose.

use fairlead_wire::{Head, Version};

/// Adds ours behind those of earlier hops, naming the version the message was received in.
pub(crate) fn append(head: &mut Head, pseudonym: &[u8], scratch: &mut Vec<u8>) {
    scratch.clear();
    scratch.extend_from_slice(match head.version() {
        Version::Http10 => b"1.0 ",
        Version::Http11 => b"1.1 ",
        // RFC 9110 2.5: a version without minor ones is named with a 0.
        Version::Http2 => b"2.0 ",
    });
    scratch.extend_from_slice(pseudonym);
    head.append(b"Via", scratch);
}

#[cfg(test)]
mod tests {
    use fairlead_wire::{Head, Known, Version};

    use super::append;

    #[test]
    fn ours_stands_last_and_names_the_received_version() {
        let mut head = Head::new();
        head.start_request(b"GET", b"/", Version::Http10);
        head.append(b"Via", b"1.1 first");
        append(&mut head, b"edge", &mut Vec::new());
        assert_eq!(head.known_all(Known::Via).collect::<Vec<_>>(), [&b"1.1 first"[..], b"1.0 edge"]);
    }
}
