//! What holds for every list of fields: the two versions of HTTP never disagree about a message.

use fairlead_wire::Head;
use fairlead_wire::http1::{Body, Framing, Limits, Scan, encode, parse};
use fairlead_wire::http2::request::Terms;
use fairlead_wire::http2::{Extent, answer, request, trailers};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: Limits = Limits { max_bytes: 64 * 1024, max_fields: 128 };

/// Fields that are acted on, and what they may well have.
const NAMES: &[&str] =
    &["host", "cookie", "content-length", "te", "expect", "connection", "upgrade", "trailer"];
const VALUES: &[&str] = &["a.example", "a=1", "0", "3", "trailers", "100-continue", "close"];

type Pair = (Vec<u8>, Vec<u8>);

/// Bytes that readers have to tell apart, and a few that they needn't.
fn telling_bytes() -> impl Strategy<Value = u8> {
    prop_oneof![
        3 => prop::sample::select(b"\r\n \t:;,/0\x00\x7f\xff".to_vec()),
        6 => prop::sample::select(b"ahx1.?*-".to_vec()),
        1 => any::<u8>(),
    ]
}

fn field() -> impl Strategy<Value = Pair> {
    let name = prop_oneof![
        4 => "[a-z][a-z0-9_-]{0,12}".prop_map(String::into_bytes),
        2 => prop::sample::select(NAMES).prop_map(|name| name.as_bytes().to_vec()),
        1 => vec(telling_bytes(), 0..6),
    ];
    let value = prop_oneof![
        4 => "[!-~]([ -~]{0,12}[!-~])?".prop_map(String::into_bytes),
        2 => prop::sample::select(VALUES).prop_map(|value| value.as_bytes().to_vec()),
        1 => vec(telling_bytes(), 0..8),
    ];
    (name, value)
}

fn list() -> impl Strategy<Value = Vec<Pair>> {
    let method = prop_oneof![
        4 => prop::sample::select(&["GET", "POST", "HEAD", "OPTIONS", "CONNECT"][..])
            .prop_map(|method| method.as_bytes().to_vec()),
        1 => vec(telling_bytes(), 0..5),
    ];
    let path = prop_oneof![
        6 => "/[a-z0-9/._~%-]{0,20}([?][!-~]{0,10})?".prop_map(String::into_bytes),
        1 => vec(telling_bytes(), 0..8),
    ];
    let authority = prop_oneof![6 => Just(b"a.example".to_vec()), 1 => vec(telling_bytes(), 0..6)];
    let protocol = prop::option::weighted(0.1, Just((b":protocol".to_vec(), b"websocket".to_vec())));
    (method, path, authority, protocol, vec(field(), 0..6)).prop_map(
        |(method, path, authority, protocol, fields)| {
            let mut list = vec![
                (b":method".to_vec(), method),
                (b":scheme".to_vec(), b"http".to_vec()),
                (b":authority".to_vec(), authority),
                (b":path".to_vec(), path),
            ];
            list.extend(protocol);
            list.extend(fields);
            list
        },
    )
}

fn pairs(list: &[Pair]) -> impl Iterator<Item = (&[u8], &[u8])> {
    list.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
}

/// What a head says, however its names are written.
fn meaning(head: &Head) -> Vec<Vec<u8>> {
    let mut fields: Vec<_> =
        head.iter().map(|(name, value)| [&name.to_ascii_lowercase(), &b"\0"[..], value].concat()).collect();
    fields.sort();
    let status = head.status().to_string().into_bytes();
    fields.into_iter().chain([head.method().to_vec(), head.path_and_query().to_vec(), status]).collect()
}

fn framing(extent: Extent) -> Framing {
    match extent {
        Extent::None => Framing::AsIs,
        Extent::Length(length) => Framing::Length(length),
        Extent::Stream => Framing::Chunked,
    }
}

/// `framed`: how a body of this extent is delimited in HTTP/1.1, where no field says anything else.
fn same(extent: Extent, body: Body) -> bool {
    match extent {
        Extent::None => matches!(body, Body::None | Body::Length(0)),
        Extent::Length(length) => body == Body::Length(length),
        Extent::Stream => body == Body::Chunked,
    }
}

fn without_framing(head: &Head) -> Head {
    let mut head = head.clone();
    head.remove(b"content-length");
    head.remove(b"transfer-encoding");
    head
}

proptest! {
    #[test]
    fn an_accepted_request_is_one_request_in_http1(list in list(), ends in any::<bool>()) {
        let mut head = Head::new();
        let terms = Terms { limits: &LIMITS, extended_connect: true };
        if let Ok(request) = request::read(pairs(&list), ends, terms, &mut head) {
            let mut out = Vec::new();
            encode::request(&head, framing(request.extent), &mut out);
            let mut again = Head::new();
            let parsed = parse::request(&out, &mut Scan::default(), &LIMITS, &mut again)
                .expect("what Fairlead writes is good")
                .expect("and whole");
            prop_assert_eq!(parsed.len, out.len());
            prop_assert!(same(request.extent, parsed.body), "{:?} became {:?}", request.extent, parsed.body);
            prop_assert_eq!(parsed.upgrade, request.upgrade);
            prop_assert_eq!(parsed.expect_continue, request.expect_continue);
            prop_assert_eq!(meaning(&without_framing(&head)), meaning(&without_framing(&again)));
        }
    }

    #[test]
    fn an_accepted_request_is_written_and_read_as_the_same(list in list(), ends in any::<bool>()) {
        let mut head = Head::new();
        let terms = Terms { limits: &LIMITS, extended_connect: false };
        if let Ok(first) = request::read(pairs(&list), ends, terms, &mut head) {
            let mut written: Vec<Pair> = Vec::new();
            let write = |name: &[u8], value: &[u8]| written.push((name.to_vec(), value.to_vec()));
            request::write(&head, b"http", framing(first.extent), &mut Vec::new(), write);
            let mut again = Head::new();
            let second = request::read(pairs(&written), ends, terms, &mut again).expect("what Fairlead writes is good");
            prop_assert_eq!(first, second);
            head.remove(b"te");
            prop_assert_eq!(meaning(&head), meaning(&again));
        }
    }

    #[test]
    fn an_accepted_answer_is_one_answer_in_http1(
        status in prop_oneof![Just("200"), Just("204"), Just("304"), Just("103"), Just("101"), Just("2x0")],
        fields in vec(field(), 0..6),
        ends in any::<bool>(),
        method in prop_oneof![Just("GET"), Just("HEAD")],
    ) {
        let list = [vec![(b":status".to_vec(), status.as_bytes().to_vec())], fields].concat();
        let mut head = Head::new();
        if let Ok(extent) = answer::read(pairs(&list), ends, method.as_bytes(), &LIMITS, &mut head) {
            let mut out = Vec::new();
            encode::response(&head, framing(extent), &mut out);
            let mut again = Head::new();
            let parsed = parse::response(&out, &mut Scan::default(), &LIMITS, method.as_bytes(), &mut again)
                .expect("what Fairlead writes is good")
                .expect("and whole");
            prop_assert_eq!(parsed.len, out.len());
            // Without a length HTTP/1.1 ends it with the connection, which says so by its close.
            let until_close = parsed.body == Body::Close && extent == Extent::None;
            prop_assert!(until_close || same(extent, parsed.body), "{extent:?} became {:?}", parsed.body);
            prop_assert_eq!(meaning(&without_framing(&head)), meaning(&without_framing(&again)));
        }
    }

    #[test]
    fn accepted_trailers_are_fields_in_http1(fields in vec(field(), 0..6)) {
        let mut head = Head::new();
        if trailers::read(pairs(&fields), &LIMITS, &mut head).is_ok() {
            let mut out = b"HTTP/1.1 200 OK\r\n".to_vec();
            let mut last = Vec::new();
            encode::last_chunk(Some(&head), &mut last);
            out.extend_from_slice(&last[3..]);
            let mut again = Head::new();
            let parsed = parse::response(&out, &mut Scan::default(), &LIMITS, b"HEAD", &mut again)
                .expect("what Fairlead writes is good")
                .expect("and whole");
            prop_assert_eq!(parsed.len, out.len());
            prop_assert_eq!(head.iter().count(), again.iter().count());
        }
    }
}
