//! What is done to a head between its two sides: one file each, all of them plain edits of one [`Head`], none of
//! them aware of a socket or a protocol version.
//!
//! A request passes `hop_by_hop` first, because a header that `Connection` names must be gone before ours are set
//! (a client could otherwise have us drop our own), then `forwarding` and `request_id`, which replace what only a
//! trusted peer may say, then `via`. An answer passes `hop_by_hop`, `date` and `via`.
//!
//! [`Head`]: fairlead_wire::Head

pub(crate) mod date;
pub(crate) mod forwarding;
pub(crate) mod hop_by_hop;
pub(crate) mod request_id;
pub(crate) mod via;

/// Whether two field names are the same to a backend that maps them to variables (CGI, WSGI, PHP): there case is
/// lost and `-` becomes `_`, so `X_Forwarded_For` would speak for `X-Forwarded-For`.
fn alike(name: &[u8], other: &[u8]) -> bool {
    name.len() == other.len() && name.iter().zip(other).all(|(&a, &b)| folded(a) == folded(b))
}

const fn folded(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::alike;

    #[test]
    fn names_that_a_gateway_interface_would_confuse_are_alike() {
        assert!(alike(b"X_Forwarded-for", b"x-forwarded-for"));
        assert!(alike(b"FORWARDED", b"forwarded"));
        assert!(!alike(b"x-forwarded-form", b"x-forwarded-for"));
        assert!(!alike(b"xxforwarded-for", b"x-forwarded-for"));
    }
}
