//! By what a session is known: who speaks with which of our addresses.

use std::net::{IpAddr, SocketAddr};

/// A client and the address it sends to, as its socket says them: IPv4 on a socket for both kinds is mapped (RFC 4291
/// 2.5.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Path {
    pub(super) client: SocketAddr,
    /// Nothing where there is one address only.
    pub(super) local: Option<IpAddr>,
}

impl Path {
    /// The client, as everybody else knows it.
    pub(super) fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.client.ip().to_canonical(), self.client.port())
    }
}

/// How many datagrams came in a message of this length: a train has several.
pub(super) fn count(length: usize, segment: Option<u16>) -> u64 {
    match segment {
        Some(segment) if segment > 0 => length.div_ceil(usize::from(segment)).max(1) as u64,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_is_shown_by_its_own_kind_of_address() {
        let path = Path { client: "[::ffff:192.0.2.1]:53".parse().unwrap(), local: None };
        assert_eq!(path.peer(), "192.0.2.1:53".parse().unwrap());
    }

    #[test]
    fn datagrams_of_a_train_are_counted_one_by_one() {
        assert_eq!(count(2_500, Some(1_000)), 3);
        assert_eq!(count(2_000, Some(1_000)), 2);
        assert_eq!((count(0, None), count(900, None), count(0, Some(100))), (1, 1, 1));
    }
}
