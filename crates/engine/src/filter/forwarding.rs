//! Who the client is, told to the backend: `X-Forwarded-*` or `Forwarded` (RFC 7239).
//!
//! From a trusted peer what it says is kept and its own address added; from everybody else all of it is removed
//! first, with the look-alikes that a gateway interface would take for the real ones, so that nobody but a trusted
//! hop can put an address into a backend's log or access rule.

use std::io::Write as _;
use std::net::IpAddr;

use fairlead_plan::spec::Forwarded;
use fairlead_wire::{Head, Known};

use super::alike;

/// What only a trusted peer may say; the request id comes on top.
const CLAIMS: [&[u8]; 5] =
    [b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"forwarded"];

/// The hop that a request came over.
pub(crate) struct Hop<'a> {
    /// The peer's address as text; a Unix socket's peer has none.
    pub(crate) peer: Option<&'a [u8]>,
    pub(crate) ipv6: bool,
    pub(crate) trusted: bool,
    /// Whether it was encrypted.
    pub(crate) tls: bool,
}

impl Hop<'_> {
    fn scheme(&self) -> &'static [u8] {
        if self.tls { b"https" } else { b"http" }
    }
}

/// Removes what a peer that isn't trusted says about the client, and a request id if `id` names the field.
pub(crate) fn remove_claims(head: &mut Head, id: Option<&[u8]>) {
    head.remove_matching(|name| {
        CLAIMS.iter().any(|claim| alike(name, claim)) || id.is_some_and(|id| alike(name, id))
    });
}

/// The client: the peer, or whom a trusted peer names.
pub(crate) fn client(head: &Head, peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    // Most requests come from strangers: they are who they are.
    if !trusted(peer) {
        return peer;
    }
    fairlead_wire::forwarded::client_of(head.known_all(Known::XForwardedFor), peer, trusted)
}

/// Adds ours, after [`remove_claims`] where the peer isn't trusted.
pub(crate) fn add(head: &mut Head, mode: Forwarded, hop: &Hop<'_>, scratch: &mut Vec<u8>) {
    if matches!(mode, Forwarded::XForwarded | Forwarded::Both) {
        add_x_forwarded(head, hop, scratch);
    }
    if matches!(mode, Forwarded::Forwarded | Forwarded::Both) {
        add_forwarded(head, hop, scratch);
    }
}

fn add_x_forwarded(head: &mut Head, hop: &Hop<'_>, scratch: &mut Vec<u8>) {
    scratch.clear();
    if hop.trusted {
        for value in head.known_all(Known::XForwardedFor) {
            scratch.extend_from_slice(value);
            scratch.extend_from_slice(b", ");
        }
    }
    scratch.extend_from_slice(hop.peer.unwrap_or(b"unknown"));
    replace(head, Known::XForwardedFor, b"X-Forwarded-For", hop, scratch);
    keep_or_add(head, Known::XForwardedProto, b"X-Forwarded-Proto", hop, hop.scheme());

    scratch.clear();
    scratch.extend_from_slice(head.authority());
    keep_or_add(head, Known::XForwardedHost, b"X-Forwarded-Host", hop, scratch);
    let name = port(scratch).len();
    scratch.drain(..scratch.len() - name);
    let usual: &[u8] = if hop.tls { b"443" } else { b"80" };
    let asked = if scratch.is_empty() { usual } else { scratch };
    keep_or_add(head, Known::XForwardedPort, b"X-Forwarded-Port", hop, asked);
}

/// The port that the client asked for, as text; empty where it left it to the scheme. (What the socket is bound to
/// may be another one, behind a redirection of the packet filter.)
fn port(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|&byte| byte == b':' || byte == b']') {
        Some(at) if authority[at] == b':' => &authority[at + 1..],
        _ => b"",
    }
}

fn replace(head: &mut Head, known: Known, name: &[u8], hop: &Hop<'_>, value: &[u8]) {
    if hop.trusted {
        head.remove_known(known);
    }
    head.append(name, value);
}

fn keep_or_add(head: &mut Head, known: Known, name: &[u8], hop: &Hop<'_>, value: &[u8]) {
    // A stranger's has just been removed.
    let kept = hop.trusted && head.known(known).is_some();
    if !kept && !value.is_empty() {
        head.append(name, value);
    }
}

/// One more element behind those of trusted hops: `for=192.0.2.7;host="example.com:8080";proto=http`.
fn add_forwarded(head: &mut Head, hop: &Hop<'_>, scratch: &mut Vec<u8>) {
    scratch.clear();
    match hop.peer {
        // RFC 7239 6: an IPv6 address is bracketed and, having colons, quoted.
        Some(peer) if hop.ipv6 => {
            scratch.extend_from_slice(b"for=\"[");
            scratch.extend_from_slice(peer);
            scratch.extend_from_slice(b"]\"");
        }
        peer => {
            scratch.extend_from_slice(b"for=");
            scratch.extend_from_slice(peer.unwrap_or(b"unknown"));
        }
    }
    let host = head.authority();
    if !host.is_empty() {
        // A Host that passed the parser has no quote and no backslash in it.
        scratch.extend_from_slice(b";host=\"");
        scratch.extend_from_slice(host);
        scratch.push(b'"');
    }
    scratch.extend_from_slice(b";proto=");
    scratch.extend_from_slice(hop.scheme());
    head.append(b"Forwarded", scratch);
}

/// An address as text, made once a connection.
#[derive(Clone, Copy)]
pub(crate) struct AddressText {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl AddressText {
    /// `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`
    const LONGEST: usize = 45;

    pub(crate) fn new(address: IpAddr) -> Self {
        let mut bytes = [0; Self::LONGEST];
        let mut room = &mut bytes[..];
        write!(room, "{address}").expect("the longest address has 45 characters");
        let length = Self::LONGEST - room.len();
        Self { bytes, length: length as u8 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use fairlead_plan::spec::Forwarded;
    use fairlead_wire::{Head, Version};

    use super::{AddressText, Hop, add, client, remove_claims};

    fn head(fields: &[(&str, &str)]) -> Head {
        let mut head = Head::new();
        head.start_request(b"GET", b"/", Version::Http11);
        for (name, value) in fields {
            head.append(name.as_bytes(), value.as_bytes());
        }
        head
    }

    fn fields(head: &Head) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        head.iter().map(|(name, value)| (text(name).to_lowercase(), text(value))).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    const STRANGER: Hop<'_> = Hop { peer: Some(b"198.51.100.7"), ipv6: false, trusted: false, tls: false };
    const PROXY: Hop<'_> = Hop { trusted: true, ..STRANGER };

    #[test]
    fn what_a_stranger_claims_is_removed_with_its_look_alikes() {
        let mut head = head(&[
            ("X-Forwarded-For", "10.0.0.1"),
            ("x_forwarded_for", "10.0.0.2"),
            ("X-Forwarded_Proto", "https"),
            ("Forwarded", "for=10.0.0.3"),
            ("X-Forwarded-Host", "evil"),
            ("X-Forwarded-Port", "1"),
            ("X_Request-ID", "1"),
            ("X-Forwarded-Server", "kept"),
        ]);
        remove_claims(&mut head, Some(b"X-Request-ID"));
        assert_eq!(fields(&head), pairs(&[("x-forwarded-server", "kept")]));
    }

    #[test]
    fn a_stranger_is_named_as_the_client() {
        let mut head = head(&[("Host", "a.example:8080")]);
        add(&mut head, Forwarded::XForwarded, &STRANGER, &mut Vec::new());
        assert_eq!(
            fields(&head),
            pairs(&[
                ("host", "a.example:8080"),
                ("x-forwarded-for", "198.51.100.7"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "a.example:8080"),
                ("x-forwarded-port", "8080"),
            ])
        );
    }

    #[test]
    fn a_trusted_peer_is_believed_and_added_behind() {
        let mut head = head(&[
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Forwarded-For", "10.0.0.5"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "shop.example"),
            ("X-Forwarded-Port", "443"),
        ]);
        add(&mut head, Forwarded::XForwarded, &PROXY, &mut Vec::new());
        assert_eq!(
            fields(&head),
            pairs(&[
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "shop.example"),
                ("x-forwarded-port", "443"),
                ("x-forwarded-for", "203.0.113.9, 10.0.0.5, 198.51.100.7"),
            ])
        );
    }

    #[test]
    fn the_port_is_the_one_the_client_asked_for() {
        for (authority, expected) in
            [("a.example", "80"), ("a.example:81", "81"), ("[::1]", "80"), ("[::1]:82", "82"), ("a:", "80")]
        {
            let mut head = head(&[("Host", authority)]);
            add(&mut head, Forwarded::XForwarded, &STRANGER, &mut Vec::new());
            assert_eq!(head.named(b"x-forwarded-port"), Some(expected.as_bytes()), "{authority}");
        }
    }

    #[test]
    fn forwarded_quotes_what_is_no_token() {
        let mut head = head(&[("Host", "[2001:db8::1]:80")]);
        let hop = Hop { peer: Some(b"2001:db8::2"), ipv6: true, ..STRANGER };
        add(&mut head, Forwarded::Forwarded, &hop, &mut Vec::new());
        let expected = "for=\"[2001:db8::2]\";host=\"[2001:db8::1]:80\";proto=http";
        assert_eq!(fields(&head)[1], ("forwarded".to_owned(), expected.to_owned()));
    }

    #[test]
    fn without_forwarding_nothing_is_added() {
        let mut head = head(&[]);
        add(&mut head, Forwarded::None, &STRANGER, &mut Vec::new());
        assert!(fields(&head).is_empty());
    }

    #[test]
    fn the_walk_ends_at_the_first_address_that_is_not_trusted() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let head = head(&[("X-Forwarded-For", "192.0.2.1, 203.0.113.9"), ("X-Forwarded-For", "10.0.0.5")]);
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        assert_eq!(client(&head, ip("10.0.0.6"), trusted), ip("203.0.113.9"));
        assert_eq!(client(&head, ip("198.51.100.1"), trusted), ip("198.51.100.1"));
    }

    #[test]
    fn the_longest_address_has_room() {
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(AddressText::new(longest.parse().expect("an address")).as_bytes(), longest.as_bytes());
    }
}
