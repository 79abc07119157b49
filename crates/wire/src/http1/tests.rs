//! What the corpus can't say in a line of text: limits, drips, pieces, and what is written.

use super::{Body, Decoder, Framing, Limits, Refusal, Scan, encode, parse};
use crate::head::Head;

const LIMITS: Limits = Limits { max_bytes: 200, max_fields: 4 };

fn request(text: &[u8]) -> Result<Option<parse::Request>, Refusal> {
    parse::request(text, &mut Scan::default(), &LIMITS, &mut Head::new())
}

fn status(text: &[u8]) -> u16 {
    request(text).expect_err("a refusal").status
}

#[test]
fn a_request_line_beyond_the_limit_is_414_and_a_head_beyond_it_431() {
    let target = "a".repeat(200);
    assert_eq!(status(format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()), 414);
    assert_eq!(status(format!("GET /{target}").as_bytes()), 414);
    assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {target}\r\n\r\n").as_bytes()), 431);
    assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {target}").as_bytes()), 431);
}

#[test]
fn a_head_of_exactly_the_limit_is_read() {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(200 - 32));
    assert_eq!(head.len(), 200);
    assert!(matches!(request(head.as_bytes()), Ok(Some(read)) if read.len == 200));
}

#[test]
fn a_field_too_many_is_431() {
    assert!(matches!(request(b"GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\nC:\r\n\r\n"), Ok(Some(_))));
    assert_eq!(status(b"GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\nC:\r\nD:\r\n"), 431);
}

#[test]
fn faults_are_told_before_the_head_is_whole() {
    assert_eq!(status(b"\x16"), 400);
    assert_eq!(status(b"GET / HTTP/3.0\r\n"), 505);
    assert_eq!(status(b"CONNECT a:1 HTTP/1.1\r\n"), 405);
    assert_eq!(status(b"GET / HTTP/1.1\r\nA : b\r\n"), 400);
    assert!(matches!(request(b"GET / HTTP/1.1\r\nHost: a\r\n"), Ok(None)));
    assert!(matches!(request(b""), Ok(None)));
}

#[test]
fn a_refused_request_leaves_what_was_read_for_the_log() {
    let mut head = Head::new();
    let text = b"GET /x HTTP/1.1\r\nUser-Agent: y\r\nHost : a\r\n\r\n";
    assert!(parse::request(text, &mut Scan::default(), &LIMITS, &mut head).is_err());
    assert_eq!((head.method(), head.target()), (&b"GET"[..], &b"/x"[..]));
    assert_eq!(head.named(b"user-agent"), Some(&b"y"[..]));
}

#[test]
fn a_scan_reads_one_head_after_another() {
    let mut scan = Scan::default();
    let mut head = Head::new();
    let bytes = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    let first = parse::request(bytes, &mut scan, &LIMITS, &mut head).expect("good").expect("whole");
    assert_eq!(head.path(), b"/1");
    parse::request(&bytes[first.len..], &mut scan, &LIMITS, &mut head).expect("good").expect("whole");
    assert_eq!((head.path(), head.authority()), (&b"/2"[..], &b"b"[..]));
}

#[test]
fn reading_and_writing_again_allocates_nothing_more() {
    let mut scan = Scan::default();
    let mut head = Head::new();
    let mut out = Vec::new();
    let mut capacities = Vec::new();
    for _ in 0..3 {
        let bytes = b"GET http://a/ HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";
        parse::request(bytes, &mut scan, &LIMITS, &mut head).expect("good").expect("whole");
        head.remove_hop_by_hop();
        head.append(b"Via", b"1.1 a");
        out.clear();
        encode::request(&head, Framing::AsIs, &mut out);
        capacities.push((head.capacity(), out.capacity()));
    }
    assert_eq!(capacities[0], capacities[2]);
}

#[test]
fn whitespace_around_values_is_not_passed_on() {
    let mut head = Head::new();
    let text = b"GET / HTTP/1.1\r\nHost:a\r\nX:  y \r\nZ: z\r\n\r\n";
    parse::request(text, &mut Scan::default(), &LIMITS, &mut head).expect("good").expect("whole");
    let mut out = Vec::new();
    encode::request(&head, Framing::AsIs, &mut out);
    assert_eq!(out, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nZ: z\r\n\r\n");
}

#[test]
fn framing_fields_are_written_anew() {
    let mut head = Head::new();
    let text = b"HTTP/1.0 200 OK\r\nContent-Length: 05\r\nA: b\r\n\r\n";
    parse::response(text, &mut Scan::default(), &LIMITS, b"GET", &mut head).expect("good").expect("whole");
    for (framing, end) in [
        (Framing::AsIs, "Content-Length: 05\r\nA: b\r\n\r\n"),
        (Framing::Length(u64::MAX), "A: b\r\nContent-Length: 18446744073709551615\r\n\r\n"),
        (Framing::Length(0), "A: b\r\nContent-Length: 0\r\n\r\n"),
        (Framing::Chunked, "A: b\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (Framing::Close, "A: b\r\n\r\n"),
    ] {
        let mut out = Vec::new();
        encode::response(&head, framing, &mut out);
        assert_eq!(out, format!("HTTP/1.1 200 OK\r\n{end}").as_bytes());
    }
}

#[test]
fn chunk_sizes_are_hexadecimal_without_padding() {
    for (size, text) in
        [(0, "0\r\n"), (9, "9\r\n"), (16, "10\r\n"), (65535, "ffff\r\n"), (65536, "10000\r\n")]
    {
        let mut out = Vec::new();
        encode::chunk_size(size, &mut out);
        assert_eq!(out, text.as_bytes());
    }
}

#[test]
fn a_last_chunk_carries_the_trailers() {
    let mut trailers = Head::new();
    trailers.append(b"Digest", b"x");
    let mut out = Vec::new();
    encode::last_chunk(Some(&trailers), &mut out);
    encode::last_chunk(None, &mut out);
    assert_eq!(out, b"0\r\nDigest: x\r\n\r\n0\r\n\r\n");
}

#[test]
fn bytes_moved_elsewhere_count_towards_a_length() {
    let mut decoder = Decoder::new(Body::Length(1000), LIMITS);
    let step = decoder.decode(b"hello").expect("good");
    assert_eq!((step.consumed, step.data, step.done), (5, 0..5, false));
    decoder.skip(990);
    assert_eq!(decoder.remaining(), Some(5));
    assert!(decoder.finish().is_err());
    let step = decoder.decode(b"hello, and more").expect("good");
    assert_eq!((step.consumed, step.done, decoder.is_done()), (5, true, true));
    assert!(decoder.finish().is_ok());
}

#[test]
fn a_body_until_the_end_is_complete_at_any_end() {
    let mut decoder = Decoder::new(Body::Close, LIMITS);
    assert!(decoder.finish().is_ok());
    assert!(!decoder.decode(b"x").expect("good").done);
    assert!(decoder.finish().is_ok() && decoder.remaining().is_none());
}

#[test]
fn an_empty_body_is_done_at_once() {
    for body in [Body::None, Body::Length(0)] {
        let step = Decoder::new(body, LIMITS).decode(b"next").expect("good");
        assert_eq!((step.consumed, step.done), (0, true));
    }
}

#[test]
fn extensions_of_tiny_chunks_run_out_while_those_of_large_ones_do_not() {
    let tiny = format!("1;{}\r\nx\r\n", "e".repeat(1000));
    let mut decoder = Decoder::new(Body::Chunked, LIMITS);
    let refused = (0..20).find_map(|_| decode_all(&mut decoder, tiny.as_bytes()).err());
    assert_eq!(refused.map(|refusal| refusal.clause), Some("RFC 9112 7.1.1"));
    let large = format!("400;{}\r\n{}\r\n", "e".repeat(1000), "x".repeat(1024));
    let mut decoder = Decoder::new(Body::Chunked, LIMITS);
    assert!((0..100).all(|_| decode_all(&mut decoder, large.as_bytes()).is_ok()));
}

#[test]
fn trailers_are_bounded_by_the_limits_of_a_head() {
    for trailers in ["a:\r\nb:\r\nc:\r\nd:\r\ne:\r\n".to_owned(), format!("a: {}", "x".repeat(200))] {
        let mut decoder = Decoder::new(Body::Chunked, LIMITS);
        let outcome = decode_all(&mut decoder, format!("0\r\n{trailers}").as_bytes());
        assert_eq!(outcome.map_err(|refusal| refusal.status), Err(400));
    }
}

#[test]
fn trailers_are_there_when_the_body_is_complete_and_not_before() {
    let mut decoder = Decoder::new(Body::Chunked, LIMITS);
    decode_all(&mut decoder, b"1\r\nx\r\n0\r\nA: b\r\n").expect("good");
    assert!(decoder.trailers().is_none());
    decode_all(&mut decoder, b"\r\n").expect("good");
    assert_eq!(decoder.trailers().and_then(|trailers| trailers.named(b"a")), Some(&b"b"[..]));
}

fn decode_all(decoder: &mut Decoder, mut input: &[u8]) -> Result<(), Refusal> {
    loop {
        let step = decoder.decode(input)?;
        input = &input[step.consumed..];
        if step.done || step.consumed == 0 {
            return Ok(());
        }
    }
}
