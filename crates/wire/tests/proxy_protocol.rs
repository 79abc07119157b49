//! PROXY headers: those of the corpus, and what holds for all of them.

mod entries;

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use fairlead_wire::Refusal;
use fairlead_wire::proxy_protocol::{
    Addresses, Checksum, Header, MAX_HEADER, Proxied, Read, Ssl, Tlv, Transport, read, write_local_v2,
    write_v1, write_v2,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const HEADERS: &str = include_str!("../../../tests/conformance/proxy_protocol/headers.json");
const MALFORMED: &str = include_str!("../../../tests/conformance/proxy_protocol/malformed.json");

#[test]
fn good_headers_say_what_they_say() {
    for (name, bytes, entry) in entries::of(HEADERS) {
        let (seen, _) = header(&bytes).unwrap_or_else(|verdict| panic!("{name}: {verdict}"));
        assert_eq!(said(&seen), entry["said"], "{name}");
    }
}

#[test]
fn a_header_ends_where_it_ends_and_not_before() {
    for (name, bytes, _) in entries::of(HEADERS) {
        let (_, length) = header(&bytes).unwrap_or_else(|verdict| panic!("{name}: {verdict}"));
        for cut in 0..length {
            assert_eq!(read(&bytes[..cut]), Ok(Read::More), "{name}: {cut} bytes");
        }
        for cut in length..bytes.len() {
            assert_eq!(read(&bytes[..cut]), read(&bytes), "{name}: {cut} bytes");
        }
    }
}

#[test]
fn malformed_headers_are_refused_however_they_are_cut() {
    let entries = entries::of(MALFORMED);
    assert!(entries.len() >= 100);
    for (name, bytes, entry) in entries {
        let refusal = read(&bytes).expect_err(&name);
        assert_eq!(refusal.reason, entry["reason"], "{name}");
        let verdicts: Vec<_> = (0..bytes.len()).map(|cut| read(&bytes[..cut])).collect();
        let first = verdicts.iter().position(Result::is_err).unwrap_or(bytes.len());
        assert!(verdicts[..first].iter().all(|verdict| *verdict == Ok(Read::More)), "{name}");
        assert!(verdicts[first..].iter().all(|verdict| *verdict == Err(refusal)), "{name}");
    }
}

#[test]
fn what_begins_otherwise_has_no_header() {
    let starts: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\n",
        b"PUT ",
        b"PROXX ",
        b"proxy TCP4",
        b"\r\nGET",
        b"\r\n\r\n\0\r\nQUIX",
        b"\x16\x03\x01",
        b"PROXY\r\n",
    ];
    for start in starts {
        assert_eq!(read(start), Ok(Read::Absent), "{start:?}");
    }
    assert_eq!(read(b""), Ok(Read::More));
}

#[test]
fn our_own_connections_are_told_as_such() {
    let mut bytes = Vec::new();
    write_local_v2(&mut bytes);
    assert_eq!(read(&bytes), Ok(Read::Header(Header::Local, 16)));
}

#[test]
fn both_ends_are_of_one_family() {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let (v4, mapped, v6) =
        (address("192.0.2.1:1"), address("[::ffff:192.0.2.1]:1"), address("[2001:db8::1]:1"));
    for (source, destination, expected) in [
        (v4, v4, "192.0.2.1:1"),
        (mapped, v4, "192.0.2.1:1"),
        (v4, v6, "[::ffff:192.0.2.1]:1"),
        (v6, v4, "[2001:db8::1]:1"),
    ] {
        assert_eq!(Addresses::between(source, destination).source(), Some(address(expected)));
    }
}

#[test]
fn what_no_header_has_room_for_is_left_out() {
    let (long, mut bytes) = (vec![b'x'; 3000], Vec::new());
    let tlvs = [Tlv::Other { kind: 0xe0, value: &long }, Tlv::Other { kind: 0xe1, value: &long }];
    write_v2(Transport::Stream, &Addresses::Unknown, &tlvs, Checksum::Added, &mut bytes);
    assert!(bytes.len() <= MAX_HEADER);
    let (Header::Proxy(Proxied { tlvs: read, .. }), _) = header(&bytes).unwrap() else { panic!("local") };
    assert_eq!(read.iter().collect::<Vec<_>>(), tlvs[..1]);
}

fn header(bytes: &[u8]) -> Result<(Header<'_>, usize), String> {
    match read(bytes) {
        Ok(Read::Header(header, length)) => Ok((header, length)),
        other => Err(format!("{other:?}")),
    }
}

fn said(header: &Header<'_>) -> Value {
    let Header::Proxy(Proxied { transport, addresses, tlvs }) = header else { return json!("local") };
    let (source, destination) = match addresses {
        Addresses::Unix { source, destination } => (Some(text(source)), Some(text(destination))),
        _ => (addresses.source().map(|it| it.to_string()), addresses.destination().map(|it| it.to_string())),
    };
    let transport = format!("{transport:?}").to_lowercase();
    let tlvs: Vec<_> = tlvs.iter().map(|tlv| pair(&tlv)).collect();
    json!({"transport": transport, "source": source, "destination": destination, "tlvs": tlvs})
}

fn pair(tlv: &Tlv<'_>) -> [String; 2] {
    let named = |name: &str, value: &[u8]| [name.to_owned(), text(value)];
    match *tlv {
        Tlv::Alpn(value) => named("alpn", value),
        Tlv::Authority(value) => named("authority", value),
        Tlv::UniqueId(value) => named("unique_id", value),
        Tlv::Netns(value) => named("netns", value),
        Tlv::Other { kind, value } => named(&kind.to_string(), value),
        Tlv::Ssl(ssl) => {
            let texts = [ssl.version, ssl.common_name, ssl.cipher, ssl.signature, ssl.key];
            let numbers = [ssl.client.to_string(), ssl.verify.to_string()];
            let texts = texts.into_iter().flatten().map(text);
            ["ssl".to_owned(), numbers.into_iter().chain(texts).collect::<Vec<_>>().join(" ")]
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// What a header may hold, owned.
#[derive(Debug, Clone)]
enum Ends {
    Unknown,
    Inet(SocketAddrV4, SocketAddrV4),
    Inet6(SocketAddrV6, SocketAddrV6),
    Unix(Vec<u8>, Vec<u8>),
}

impl Ends {
    fn addresses(&self) -> Addresses<'_> {
        match self {
            Self::Unknown => Addresses::Unknown,
            Self::Inet(source, destination) => Addresses::Inet { source: *source, destination: *destination },
            Self::Inet6(source, destination) => {
                Addresses::Inet6 { source: *source, destination: *destination }
            }
            Self::Unix(source, destination) => Addresses::Unix { source, destination },
        }
    }
}

fn ends() -> impl Strategy<Value = Ends> {
    let v4 = || any::<(u32, u16)>().prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port));
    let v6 = || any::<(u128, u16)>().prop_map(|(ip, port)| SocketAddrV6::new(ip.into(), port, 0, 0));
    let path = || "(/[a-z]{1,100})?".prop_map(String::into_bytes);
    prop_oneof![
        Just(Ends::Unknown),
        (v4(), v4()).prop_map(|(a, b)| Ends::Inet(a, b)),
        (v6(), v6()).prop_map(|(a, b)| Ends::Inet6(a, b)),
        (path(), path()).prop_map(|(a, b)| Ends::Unix(a, b)),
    ]
}

/// Values for the types in their order; `None` leaves one out.
type Values =
    (Option<Vec<u8>>, Option<String>, Option<Vec<u8>>, Option<(u8, u32, Option<String>)>, Vec<Vec<u8>>);

fn values() -> impl Strategy<Value = Values> {
    (
        prop::option::of(vec(any::<u8>(), 1..20)),
        prop::option::of("[a-zäöü.]{1,60}"),
        prop::option::of(vec(any::<u8>(), 1..=128)),
        prop::option::of((any::<u8>(), any::<u32>(), prop::option::of("[A-Za-z0-9.]{1,30}"))),
        vec(vec(any::<u8>(), 0..40), 0..4),
    )
}

fn tlvs((alpn, authority, id, ssl, others): &Values) -> Vec<Tlv<'_>> {
    let ssl = ssl.as_ref().map(|(client, verify, name)| {
        let common_name = name.as_ref().map(String::as_bytes);
        Tlv::Ssl(Ssl { client: *client, verify: *verify, common_name, ..Ssl::default() })
    });
    let known = [
        alpn.as_ref().map(|value| Tlv::Alpn(value)),
        authority.as_ref().map(|value| Tlv::Authority(value.as_bytes())),
        id.as_ref().map(|value| Tlv::UniqueId(value)),
        ssl,
    ];
    known.into_iter().flatten().chain(others.iter().map(|value| Tlv::Other { kind: 0xe5, value })).collect()
}

proptest! {
    #[test]
    fn what_was_written_in_version_2_is_read(
        ends in ends(), values in values(), sum in any::<bool>(), datagram in any::<bool>(), rest in vec(any::<u8>(), 0..9)
    ) {
        let transport = match (&ends, datagram) {
            (Ends::Unknown, _) => Transport::Unspecified,
            (_, true) => Transport::Datagram,
            (_, false) => Transport::Stream,
        };
        let checksum = if sum { Checksum::Added } else { Checksum::Left };
        let tlvs = tlvs(&values);
        let mut bytes = Vec::new();
        write_v2(transport, &ends.addresses(), &tlvs, checksum, &mut bytes);
        let length = bytes.len();
        bytes.extend(rest);
        let (Header::Proxy(proxied), taken) = header(&bytes).unwrap() else { panic!("local") };
        prop_assert_eq!(taken, length);
        prop_assert_eq!(proxied.transport, transport);
        prop_assert_eq!(proxied.addresses, ends.addresses());
        prop_assert_eq!(proxied.tlvs.iter().collect::<Vec<_>>(), tlvs);
    }

    #[test]
    fn a_changed_bit_under_a_checksum_is_found(a in any::<u32>(), b in any::<u32>(), bit in any::<prop::sample::Index>()) {
        let ends = Ends::Inet(SocketAddrV4::new(a.into(), 1), SocketAddrV4::new(b.into(), 2));
        let mut bytes = Vec::new();
        write_v2(Transport::Stream, &ends.addresses(), &[], Checksum::Added, &mut bytes);
        // In the addresses or the sum: elsewhere a bit may make it a header without one.
        let bit = bit.index(16 * 8);
        let at = if bit < 12 * 8 { 16 + bit / 8 } else { bytes.len() - 16 + bit / 8 };
        bytes[at] ^= 1 << (bit % 8);
        prop_assert_eq!(read(&bytes).unwrap_err().reason, "checksum doesn't match");
    }

    #[test]
    fn what_was_written_in_version_1_is_read(ends in ends()) {
        let mut bytes = Vec::new();
        write_v1(&ends.addresses(), &mut bytes);
        prop_assert!(bytes.len() <= 107);
        let expected = match ends.addresses() {
            Addresses::Unix { .. } => Addresses::Unknown,
            addresses => addresses,
        };
        let (Header::Proxy(proxied), taken) = header(&bytes).unwrap() else { panic!("local") };
        prop_assert_eq!((proxied.addresses, taken), (expected, bytes.len()));
    }

    #[test]
    fn a_verdict_stands_whatever_comes_after(bytes in start(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len() + 1);
        let earlier = read(&bytes[..cut]);
        if earlier != Ok(Read::More) {
            prop_assert_eq!(read(&bytes), earlier);
        }
        let bounded: Result<Read<'_>, Refusal> = read(&bytes);
        prop_assert!(bytes.len() <= MAX_HEADER || bounded != Ok(Read::More));
    }
}

/// Bytes that begin like a header of either version, or nearly.
fn start() -> impl Strategy<Value = Vec<u8>> {
    let text = vec(prop::sample::select(b"PROXY TCP46UNKNOWN 0123456789abcdef:.\r\n".to_vec()), 0..130);
    let after = vec(any::<u8>(), 0..300);
    prop_oneof![
        text.prop_map(|text| [b"PROXY ", text.as_slice()].concat()),
        (any::<(bool, u8, u16)>(), after).prop_map(|((local, family, length), after)| {
            let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
            bytes.extend([0x20 | u8::from(!local), if family > 60 { 0x11 } else { family }]);
            bytes.extend((length % 400).to_be_bytes());
            bytes.extend(after);
            bytes
        }),
    ]
}
