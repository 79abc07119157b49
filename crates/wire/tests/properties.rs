//! What holds for every message, not only for those somebody thought of.

mod drive;

use drive::{LIMITS, Message, Side, fields, read};
use fairlead_wire::http1::{Body, Framing, encode};
use fairlead_wire::path::{EncodedSlashes, normalise};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes that a parser has to tell apart, and a few that it needn't.
fn telling_bytes() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => prop::sample::select(b"\r\n \t:;,/0\x00\x7f\xff".to_vec()),
        2 => prop::sample::select(b"Hh1aF%.?*\"x-".to_vec()),
        1 => any::<u8>(),
    ]
}

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}"
}

/// Names that the framing doesn't hang on.
fn field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let value =
        vec(prop_oneof![8 => 0x21..=0x7eu8, 1 => 0x80..=0xffu8, 1 => Just(b' '), 1 => Just(b'\t')], 0..40);
    ("X-[!#$%&'*+.^_`|~0-9A-Za-z-]{0,20}", value)
}

fn whitespace() -> impl Strategy<Value = String> {
    "[ \t]{0,3}"
}

/// A good request as some client might write it, and where its head ends.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let target = prop_oneof![
        "/[a-z0-9/._~%-]{0,30}",
        "/[a-z]{0,9}\\?[!-!$-;=?-~]{0,30}",
        "http://h[.]x(:80)?(/[a-z]{0,9})?([?][a-z]{0,9})?"
    ];
    let fields = vec((field(), whitespace(), whitespace()), 0..12);
    (token(), target, fields, body(), any::<bool>()).prop_map(|(method, target, fields, body, crlf)| {
        let method = if method == "CONNECT" { "GET".to_owned() } else { method };
        let mut bytes = if crlf { b"\r\n".to_vec() } else { Vec::new() };
        bytes.extend(format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n").bytes());
        for ((name, value), before, after) in fields {
            bytes.extend(format!("{name}:{before}").bytes());
            bytes.extend(value);
            bytes.extend(format!("{after}\r\n").bytes());
        }
        bytes.extend(body);
        bytes
    })
}

/// Framing fields, the end of the head, and the body they announce.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let payload = vec(any::<u8>(), 0..60);
    prop_oneof![
        Just(b"\r\n".to_vec()),
        payload.prop_map(|payload| {
            let mut bytes = format!("Content-Length: {}\r\n\r\n", payload.len()).into_bytes();
            bytes.extend(payload);
            bytes
        }),
        chunked().prop_map(|(bytes, _)| [b"Transfer-Encoding: chunked\r\n\r\n".to_vec(), bytes].concat()),
    ]
}

/// A chunked body and its payload.
fn chunked() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let chunk = (vec(any::<u8>(), 1..40), "(;[a-z]{1,5}(=[a-z]{1,5})?){0,2}", "0{0,3}");
    let trailers = vec(("T[a-z]{0,8}", "[a-z]{0,8}"), 0..3);
    (vec(chunk, 0..6), trailers).prop_map(|(chunks, trailers)| {
        let (mut bytes, mut payload) = (Vec::new(), Vec::new());
        for (data, extension, zeros) in chunks {
            bytes.extend(format!("{zeros}{:x}{extension}\r\n", data.len()).bytes());
            bytes.extend(&data);
            bytes.extend(b"\r\n");
            payload.extend(data);
        }
        bytes.extend(b"0\r\n");
        for (name, value) in trailers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        bytes.extend(b"\r\n");
        (bytes, payload)
    })
}

/// Where a message of `length` bytes is cut.
fn cuts(length: usize) -> impl Strategy<Value = Vec<usize>> {
    vec(0..=length, 0..8).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

fn with_cuts(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    bytes.prop_flat_map(|bytes| {
        let length = bytes.len();
        (Just(bytes), cuts(length))
    })
}

fn framing(body: Body) -> Framing {
    match body {
        Body::None => Framing::AsIs,
        Body::Length(length) => Framing::Length(length),
        Body::Chunked => Framing::Chunked,
        Body::Close => Framing::Close,
    }
}

/// The message as Fairlead would write it: one chunk where it was chunked.
fn write(message: &Message, side: Side<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match side {
        Side::Request => encode::request(&message.head, framing(message.body), &mut out),
        Side::Answer(_) => encode::response(&message.head, framing(message.body), &mut out),
    }
    let chunked = message.body == Body::Chunked;
    if chunked && !message.data.is_empty() {
        encode::chunk_size(message.data.len(), &mut out);
    }
    out.extend(&message.data);
    if chunked {
        out.extend(if message.data.is_empty() { &b""[..] } else { b"\r\n" });
        encode::last_chunk(message.trailers.as_ref(), &mut out);
    }
    out
}

/// Everything that a message says, its framing field's place apart.
#[derive(Debug, PartialEq)]
struct Meaning {
    start: Vec<Vec<u8>>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Body,
    data: Vec<u8>,
}

fn meaning(message: &Message) -> Meaning {
    let head = &message.head;
    let start = [head.method(), head.path_and_query(), head.authority(), head.reason()];
    let mut sorted = fields(head);
    for (name, _) in &mut sorted {
        name.make_ascii_lowercase();
    }
    sorted.sort();
    Meaning {
        start: start.iter().map(|text| text.to_vec()).collect(),
        fields: sorted,
        body: message.body,
        data: message.data.clone(),
    }
}

proptest! {
    #[test]
    fn a_request_written_and_read_again_is_the_same(bytes in request()) {
        let message = read(Side::Request, &bytes, &[]).expect("a good request");
        let written = write(&message, Side::Request);
        let again = read(Side::Request, &written, &[]).expect("what Fairlead writes is good");
        prop_assert_eq!(meaning(&message), meaning(&again));
        prop_assert_eq!(again.len, written.len());
        prop_assert_eq!(write(&again, Side::Request), written);
    }

    #[test]
    fn whatever_is_accepted_is_written_without_a_second_meaning(
        bytes in with_start(b"POST / HTTP/1.1\r\nHost: a\r\n", vec(telling_bytes(), 0..40)),
    ) {
        if let Ok(message) = read(Side::Request, &bytes, &[]) {
            let written = write(&message, Side::Request);
            let again = read(Side::Request, &written, &[]).expect("what Fairlead writes is good");
            prop_assert_eq!(meaning(&message), meaning(&again));
            prop_assert_eq!(again.len, written.len());
        }
    }

    #[test]
    fn an_accepted_answer_is_written_without_a_second_meaning(
        bytes in with_start(b"HTTP/1.1 200 ", vec(telling_bytes(), 0..40)),
        fields in vec(field(), 0..5),
        body in body(),
    ) {
        let mut bytes = bytes;
        bytes.extend(b"\r\n");
        for (name, value) in fields {
            bytes.extend([name.as_bytes(), b":", &value, b"\r\n"].concat());
        }
        bytes.extend(body);
        let side = Side::Answer(b"GET");
        if let Ok(message) = read(side, &bytes, &[]) {
            let written = write(&message, side);
            let again = read(side, &written, &[]).expect("what Fairlead writes is good");
            prop_assert_eq!(meaning(&message), meaning(&again));
            prop_assert_eq!(again.len, written.len());
        }
    }

    #[test]
    fn pieces_of_a_good_request_give_the_same_events((bytes, cuts) in with_cuts(request())) {
        let whole = read(Side::Request, &bytes, &[]).expect("a good request").events();
        let pieces = read(Side::Request, &bytes, &cuts).expect("the same good request").events();
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn pieces_of_anything_give_the_same_events((bytes, cuts) in with_cuts(vec(telling_bytes(), 0..60))) {
        for side in [Side::Request, Side::Answer(b"GET"), Side::Answer(b"HEAD")] {
            let whole = read(side, &bytes, &[]).map(|message| message.events());
            let pieces = read(side, &bytes, &cuts).map(|message| message.events());
            prop_assert_eq!(whole, pieces);
        }
    }

    #[test]
    fn pieces_of_a_spoilt_message_give_the_same_events(
        (bytes, cuts) in with_cuts(request()),
        place in any::<prop::sample::Index>(),
        byte in telling_bytes(),
    ) {
        let mut bytes = bytes;
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let whole = read(Side::Request, &bytes, &[]).map(|message| message.events());
        let pieces = read(Side::Request, &bytes, &cuts).map(|message| message.events());
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn chunks_give_their_payload_however_they_are_cut((chunked, at) in (chunked(), 0..200usize)) {
        let (body, payload) = chunked;
        let bytes = [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &body].concat();
        let message = read(Side::Answer(b"GET"), &bytes, &[at.min(bytes.len())]).expect("a good answer");
        prop_assert_eq!(message.data, payload);
        prop_assert_eq!(message.len, bytes.len());
    }

    #[test]
    fn pieces_of_a_chunked_body_give_the_same_events(
        (bytes, cuts) in with_cuts(with_start(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", vec(telling_bytes(), 0..40),
        )),
    ) {
        let whole = read(Side::Answer(b"GET"), &bytes, &[]).map(|message| message.events());
        let pieces = read(Side::Answer(b"GET"), &bytes, &cuts).map(|message| message.events());
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn normalising_twice_changes_nothing(path in "(/|[.]|%2[eEfF]|%25|%41|%C3|[a-z]|~){0,24}") {
        for slashes in [EncodedSlashes::Keep, EncodedSlashes::Refuse, EncodedSlashes::Decode] {
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            if normalise(format!("/{path}").as_bytes(), slashes, &mut once).is_ok() {
                normalise(&once, slashes, &mut twice).expect("a normal path");
                prop_assert_eq!(&once, &twice);
            }
        }
    }

    #[test]
    fn a_normal_path_has_no_dots_no_double_slash_and_no_way_up(path in vec(telling_bytes(), 0..40)) {
        let mut out = Vec::new();
        let raw = [b"/", path.as_slice()].concat();
        if normalise(&raw, EncodedSlashes::Decode, &mut out).is_ok() {
            prop_assert_eq!(out.first(), Some(&b'/'));
            let segments: Vec<&[u8]> = out[1..].split(|&byte| byte == b'/').collect();
            let (_, inner) = segments.split_last().expect("split gives one at least");
            prop_assert!(inner.iter().all(|segment| !segment.is_empty()));
            prop_assert!(segments.iter().all(|segment| *segment != b"." && *segment != b".."));
        }
    }

    #[test]
    fn no_head_outgrows_its_limits(bytes in vec(telling_bytes(), 0..200), most in 1..100usize) {
        let limits = fairlead_wire::http1::Limits { max_bytes: most, ..LIMITS };
        let mut head = fairlead_wire::Head::new();
        let mut scan = fairlead_wire::http1::Scan::default();
        let read = fairlead_wire::http1::parse::request(&bytes, &mut scan, &limits, &mut head);
        match read {
            Ok(Some(request)) => prop_assert!(request.len <= most),
            Ok(None) => prop_assert!(bytes.len() < most),
            Err(_) => {}
        }
    }
}

fn with_start(start: &'static [u8], rest: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    rest.prop_map(move |rest| [start, &rest].concat())
}
