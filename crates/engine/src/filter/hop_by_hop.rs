//! What concerns one connection only is never forwarded (RFC 9110 7.6.1): `Connection`, all that it names, and the
//! fields that were hop-by-hop before it could name them.

use fairlead_wire::{Head, Known};

/// Removes them from a head. Where the message is about switching protocols, `Connection: upgrade` and those of
/// `Upgrade` that [may be](may_upgrade) are put back: they are agreed on end to end, each hop taking part (RFC 9110 7.8).
pub(crate) fn remove(head: &mut Head, upgrade: bool, scratch: &mut Vec<u8>) {
    if !upgrade {
        head.remove_hop_by_hop();
        return;
    }
    scratch.clear();
    for protocol in protocols(head) {
        if !scratch.is_empty() {
            scratch.extend_from_slice(b", ");
        }
        scratch.extend_from_slice(protocol);
    }
    head.remove_hop_by_hop();
    head.append(b"Connection", b"upgrade");
    head.append(b"Upgrade", scratch);
}

/// Whether something of an `Upgrade` may be forwarded. `h2c` may not: HTTP/2 inside a tunnel would reach the backend past
/// routes, filters and limits, and RFC 9113 3.1 took it out of the protocol. With nothing else the request goes on as
/// plain HTTP/1.1.
pub(crate) fn may_upgrade(head: &Head) -> bool {
    protocols(head).next().is_some()
}

fn protocols(head: &Head) -> impl Iterator<Item = &[u8]> {
    let listed = head.known_all(Known::Upgrade).flat_map(|value| value.split(|&byte| byte == b','));
    listed
        .map(<[u8]>::trim_ascii)
        .filter(|protocol| !protocol.is_empty() && !protocol.eq_ignore_ascii_case(b"h2c"))
}

#[cfg(test)]
mod tests {
    use fairlead_wire::{Head, Known, Version};

    use super::{may_upgrade, remove};

    fn head(fields: &[(&str, &str)]) -> Head {
        let mut head = Head::new();
        head.start_request(b"GET", b"/", Version::Http11);
        for (name, value) in fields {
            head.append(name.as_bytes(), value.as_bytes());
        }
        head
    }

    #[test]
    fn what_connection_names_is_dropped() {
        let mut head = head(&[("Connection", "close, X-Secret"), ("X-Secret", "1"), ("X-Kept", "2")]);
        remove(&mut head, false, &mut Vec::new());
        let names: Vec<_> = head.iter().map(|(name, _)| name.to_vec()).collect();
        assert_eq!(names, [b"X-Kept".to_vec()]);
    }

    #[test]
    fn an_upgrade_keeps_its_two_fields_and_nothing_else() {
        let mut head = head(&[
            ("Upgrade", "websocket"),
            ("Connection", "keep-alive, Upgrade, X-Secret"),
            ("X-Secret", "1"),
        ]);
        assert!(may_upgrade(&head));
        remove(&mut head, true, &mut Vec::new());
        let fields: Vec<_> = head.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        assert_eq!(
            fields,
            [(b"Connection".to_vec(), b"upgrade".to_vec()), (b"Upgrade".to_vec(), b"websocket".to_vec())]
        );
    }

    #[test]
    fn http2_by_upgrade_is_not_offered_to_a_backend() {
        assert!(!may_upgrade(&head(&[("Upgrade", "H2C"), ("Upgrade", " , h2c")])));
        let mut both =
            head(&[("Upgrade", "H2C,websocket"), ("Connection", "upgrade"), ("Upgrade", "chat/2, h2c")]);
        assert!(may_upgrade(&both));
        remove(&mut both, true, &mut Vec::new());
        let kept: Vec<_> = both.known_all(Known::Upgrade).collect();
        assert_eq!(kept, [b"websocket, chat/2"]);
    }
}
