//! Requests, answers and trailers of HTTP/2: what each list of fields is, and what it is in HTTP/1.1.

use fairlead_wire::http1::{Framing, Limits};
use fairlead_wire::http2::request::Terms;
use fairlead_wire::http2::{Count, Extent, Request, answer, request, trailers};
use fairlead_wire::{Head, Refusal};

const LIMITS: Limits = Limits { max_bytes: 64 * 1024, max_fields: 128 };

type List<'a> = &'a [(&'a str, &'a str)];

const GET: List<'_> =
    &[(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/x?y")];

fn bytes<'a>(list: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    list.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

fn read_with(list: List<'_>, ends: bool, limits: &Limits) -> Result<(Request, Head), Refusal> {
    let mut head = Head::new();
    let request = request::read(bytes(list), ends, Terms { limits, extended_connect: true }, &mut head)?;
    Ok((request, head))
}

fn read(list: List<'_>, ends: bool) -> Result<(Request, Head), Refusal> {
    read_with(list, ends, &LIMITS)
}

/// A request of [`GET`] and these fields behind it.
fn with(fields: List<'_>, ends: bool) -> Result<(Request, Head), Refusal> {
    read(&[GET, fields].concat(), ends)
}

fn lines(head: &Head) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    head.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
}

fn written(write: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]))) -> Vec<String> {
    let mut list = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    write(&mut |name, value| list.push(format!("{}: {}", text(name), text(value))));
    list
}

#[test]
fn a_request_is_the_head_that_http1_would_have_had() {
    let (request, head) = with(&[("accept", "*/*"), ("x-a", "")], true).expect("a good request");
    assert_eq!(request, Request { extent: Extent::None, expect_continue: false, upgrade: false });
    assert_eq!((head.method(), head.target(), head.path()), (&b"GET"[..], &b"/x?y"[..], &b"/x"[..]));
    assert_eq!((head.query(), head.authority()), (Some(&b"y"[..]), &b"a.example"[..]));
    assert_eq!(lines(&head), ["Host: a.example", "accept: */*", "x-a: "]);
}

#[test]
fn how_long_a_body_is_says_its_length_or_the_end_of_the_stream() {
    let extent = |fields: List<'_>, ends| with(fields, ends).map(|(request, _)| request.extent);
    assert_eq!(extent(&[], false), Ok(Extent::Stream));
    assert_eq!(extent(&[("content-length", "5")], false), Ok(Extent::Length(5)));
    assert_eq!(extent(&[("content-length", "0")], false), Ok(Extent::Length(0)));
    assert_eq!(extent(&[("content-length", "0")], true), Ok(Extent::None));
    assert_eq!(
        extent(&[("content-length", "5")], true).map_err(|refusal| refusal.reason),
        Err("less data than Content-Length says")
    );
}

#[test]
fn requests_that_break_a_rule_are_refused() {
    let upper = "X".repeat(3);
    let cases: &[(&str, Vec<(&str, &str)>)] = &[
        ("no :method", vec![(":scheme", "http"), (":authority", "a"), (":path", "/")]),
        ("no :scheme", vec![(":method", "GET"), (":authority", "a"), (":path", "/")]),
        ("no :path", vec![(":method", "GET"), (":scheme", "http"), (":authority", "a")]),
        ("no host", vec![(":method", "GET"), (":scheme", "http"), (":path", "/")]),
        ("no host", vec![(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "")]),
        ("pseudo-header field sent twice", [&[(":path", "/")], GET].concat()),
        ("pseudo-header field after others", [GET, &[("accept", "a"), (":path", "/")]].concat()),
        ("unknown pseudo-header field", [GET, &[(":status", "200")]].concat()),
        ("unknown pseudo-header field", [GET, &[(":", "a")]].concat()),
        ("unknown pseudo-header field", [GET, &[(":Method", "GET")]].concat()),
        ("field name in upper case", [GET, &[(&upper, "1")]].concat()),
        ("empty field name", [GET, &[("", "1")]].concat()),
        ("invalid character in a field name", [GET, &[("a b", "1")]].concat()),
        ("invalid character in a field name", [GET, &[("a:b", "1")]].concat()),
        ("invalid character in a field name", [GET, &[("a\r\nb", "1")]].concat()),
        ("invalid character in a field name", [GET, &[("\u{e9}", "1")]].concat()),
        ("control character in a field value", [GET, &[("a", "1\r\nhost: b")]].concat()),
        ("control character in a field value", [GET, &[("a", "1\0")]].concat()),
        ("control character in a field value", [&GET[..3], &[(":path", "/\nx")]].concat()),
        ("whitespace around a field value", [GET, &[("a", " 1")]].concat()),
        ("whitespace around a field value", [GET, &[("a", "1\t")]].concat()),
        ("whitespace around a field value", [&GET[..3], &[(":path", "/ ")]].concat()),
        ("field that concerns a connection", [GET, &[("connection", "close")]].concat()),
        ("field that concerns a connection", [GET, &[("keep-alive", "1")]].concat()),
        ("field that concerns a connection", [GET, &[("proxy-connection", "a")]].concat()),
        ("field that concerns a connection", [GET, &[("transfer-encoding", "chunked")]].concat()),
        ("field that concerns a connection", [GET, &[("upgrade", "websocket")]].concat()),
        ("TE other than trailers", [GET, &[("te", "trailers, gzip")]].concat()),
        ("malformed Content-Length", [GET, &[("content-length", "+1")]].concat()),
        ("malformed Content-Length", [GET, &[("content-length", "1, 1")]].concat()),
        ("more than one Content-Length", [GET, &[("content-length", "1"), ("content-length", "1")]].concat()),
        ("host differs from :authority", [GET, &[("host", "b.example")]].concat()),
        ("host differs from :authority", [GET, &[("host", "a.example:81")]].concat()),
        ("host differs from :authority", [GET, &[("host", "")]].concat()),
        ("more than one Host", [GET, &[("host", "a.example"), ("host", "a.example")]].concat()),
        ("invalid host", [&GET[..2], &[(":authority", "u@a"), (":path", "/")]].concat()),
        ("empty :authority", [&GET[..2], &[(":authority", ""), (":path", "/")]].concat()),
        ("empty :path", [&GET[..3], &[(":path", "")]].concat()),
        ("asterisk-form without OPTIONS", [&GET[..3], &[(":path", "*")]].concat()),
        (":path doesn't begin with a slash", [&GET[..3], &[(":path", "http://b/")]].concat()),
        (":path doesn't begin with a slash", [&GET[..3], &[(":path", "?a")]].concat()),
        ("invalid character in the target", [&GET[..3], &[(":path", "/a#b")]].concat()),
        ("invalid character in the target", [&GET[..3], &[(":path", "/a b")]].concat()),
        ("invalid character in the target", [&GET[..3], &[(":path", "/a\\b")]].concat()),
        ("method isn't a token", [&[(":method", "G T")], &GET[1..]].concat()),
        ("method isn't a token", [&[(":method", "")], &GET[1..]].concat()),
        ("scheme is neither http nor https", [&GET[..1], &[(":scheme", "ftp")], &GET[2..]].concat()),
        ("CONNECT isn't for a host alone", [&[(":method", "CONNECT")], &GET[1..]].concat()),
        ("CONNECT isn't for a host alone", vec![(":method", "CONNECT")]),
        (":protocol without CONNECT", [GET, &[(":protocol", "websocket")]].concat()),
    ];
    for (reason, list) in cases {
        let refused = read(list, true).expect_err(reason);
        assert_eq!((refused.reason, refused.status), (*reason, 400), "{list:?}");
        assert!(refused.clause.starts_with("RFC "), "{list:?}");
    }
}

#[test]
fn what_is_well_formed_and_not_wanted_says_what_http1_says() {
    let refused = |list: List<'_>| read(list, true).map_err(|refusal| refusal.status).map(drop);
    assert_eq!(refused(&[(":method", "CONNECT"), (":authority", "a:443")]), Err(405));
    assert_eq!(refused(&[GET, &[("expect", "more")]].concat()), Err(417));
    let few = Limits { max_bytes: 300, max_fields: 2 };
    let limited = |list: List<'_>| read_with(list, true, &few).map_err(|refusal| refusal.status).map(drop);
    assert_eq!(limited(&[GET, &[("a", "1"), ("b", "2")]].concat()), Ok(()));
    assert_eq!(limited(&[GET, &[("a", "1"), ("b", "2"), ("c", "3")]].concat()), Err(431));
    assert_eq!(limited(&[GET, &[("a", &"1".repeat(300))]].concat()), Err(431));
}

#[test]
fn a_host_that_says_the_same_as_the_authority_is_one() {
    let (_, head) = with(&[("host", "A.example:80"), ("x", "1")], true).expect("the same host");
    assert_eq!(lines(&head), ["Host: a.example", "x: 1"]);
    let no_authority = [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "b")];
    let (_, head) = read(&no_authority, true).expect("a host is enough");
    assert_eq!(head.authority(), b"b");
}

#[test]
fn an_asterisk_is_for_options() {
    let list = [
        (":method", "OPTIONS"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", "*"),
        ("max-forwards", "0"),
    ];
    let (_, head) = read(&list, true).expect("a good request");
    assert_eq!((head.path(), head.authority()), (&b"*"[..], &b"a"[..]));
}

#[test]
fn crumbs_of_cookies_are_one_field_and_count_as_one() {
    let crumbs = [("cookie", "a=1"), ("x", "1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")];
    let (_, head) = with(&crumbs, true).expect("a good request");
    assert_eq!(lines(&head), ["Host: a.example", "cookie: a=1; b=2; c=3; d=4", "x: 1"]);
    let limits = Limits { max_fields: 2, ..LIMITS };
    assert!(read_with(&[GET, &crumbs].concat(), true, &limits).is_ok());
}

#[test]
fn who_expects_a_100_waits_with_a_body_only() {
    let expects = |ends| with(&[("expect", "100-continue")], ends).expect("a good request").0.expect_continue;
    assert!(expects(false));
    assert!(!expects(true));
}

#[test]
fn an_extended_connect_is_the_upgrade_it_stands_for() {
    let list = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", "/chat"),
        ("sec-websocket-version", "13"),
    ];
    let (request, head) = read(&list, false).expect("a good request");
    assert_eq!(request, Request { extent: Extent::None, expect_continue: false, upgrade: true });
    assert_eq!(head.method(), b"GET");
    assert_eq!(
        lines(&head),
        ["Host: a", "Connection: upgrade", "Upgrade: websocket", "sec-websocket-version: 13"]
    );
    let refused = |list: List<'_>| read(list, false).map_err(|refusal| refusal.reason).map(drop);
    assert_eq!(refused(&[&list[..3], &list[4..]].concat()), Err("CONNECT without :authority"));
    assert_eq!(refused(&[&list[..], &[("content-length", "1")]].concat()), Err("Content-Length of a tunnel"));
    let mut head = Head::new();
    let unasked = Terms { limits: &LIMITS, extended_connect: false };
    let refused = request::read(bytes(&list), false, unasked, &mut head).expect_err("nobody offered it");
    assert_eq!(refused.reason, "unknown pseudo-header field");
}

#[test]
fn a_refused_request_leaves_what_the_log_needs() {
    let mut head = Head::new();
    let list = [GET, &[("a", "1"), ("upgrade", "h2c")]].concat();
    let terms = Terms { limits: &LIMITS, extended_connect: false };
    request::read(bytes(&list), true, terms, &mut head).expect_err("an upgrade");
    assert_eq!(
        (head.method(), head.path_and_query(), head.authority()),
        (&b"GET"[..], &b"/x?y"[..], &b"a.example"[..])
    );
}

#[test]
fn a_request_is_written_with_its_pseudo_header_fields_first() {
    let mut head = Head::new();
    head.start_request(b"POST", b"/x?y", fairlead_wire::Version::Http11);
    for (name, value) in [
        ("Accept", "*/*"),
        ("Host", "a.example"),
        ("Connection", "close"),
        ("TE", "gzip"),
        ("Transfer-Encoding", "chunked"),
        ("X-A", "1"),
    ] {
        head.append(name.as_bytes(), value.as_bytes());
    }
    let with = |framing| written(|field| request::write(&head, b"https", framing, &mut Vec::new(), field));
    let pseudo = [":method: POST", ":scheme: https", ":authority: a.example", ":path: /x?y"];
    assert_eq!(with(Framing::Chunked), [&pseudo[..], &["accept: */*", "x-a: 1"]].concat());
    assert_eq!(
        with(Framing::Length(7)),
        [&pseudo[..], &["accept: */*", "x-a: 1", "content-length: 7"]].concat()
    );
}

fn read_answer(list: List<'_>, ends: bool, method: &str) -> Result<(Extent, Head), Refusal> {
    let mut head = Head::new();
    let extent = answer::read(bytes(list), ends, method.as_bytes(), &LIMITS, &mut head)?;
    Ok((extent, head))
}

#[test]
fn an_answer_is_the_head_that_http1_would_have_had() {
    let (extent, head) = read_answer(
        &[(":status", "200"), ("content-length", "3"), ("set-cookie", "a=1"), ("set-cookie", "b=2")],
        false,
        "GET",
    )
    .expect("a good answer");
    assert_eq!((extent, head.status(), head.reason()), (Extent::Length(3), 200, &b""[..]));
    assert_eq!(lines(&head), ["content-length: 3", "set-cookie: a=1", "set-cookie: b=2"]);
}

#[test]
fn answers_without_a_body_have_none_whatever_they_announce() {
    let extent = |status, ends, method| {
        let read = read_answer(&[(":status", status), ("content-length", "3")], ends, method);
        read.map(|(extent, head)| (extent, head.named(b"content-length").is_some()))
            .map_err(|refusal| refusal.reason)
    };
    assert_eq!(extent("200", true, "HEAD"), Ok((Extent::None, true)));
    assert_eq!(extent("304", true, "GET"), Ok((Extent::None, true)));
    assert_eq!(extent("204", true, "GET"), Ok((Extent::None, false)));
    assert_eq!(extent("103", false, "GET"), Ok((Extent::None, false)));
    assert_eq!(extent("200", true, "GET"), Err("less data than Content-Length says"));
    assert_eq!(extent("103", true, "GET"), Err("stream ends with an interim answer"));
}

#[test]
fn answers_that_break_a_rule_are_refused_with_a_502() {
    let cases: &[(&str, List<'_>)] = &[
        ("no :status", &[]),
        ("no :status", &[("a", "1")]),
        ("pseudo-header field sent twice", &[(":status", "200"), (":status", "200")]),
        ("pseudo-header field after others", &[(":status", "200"), ("a", "1"), (":status", "200")]),
        ("unknown pseudo-header field", &[(":status", "200"), (":path", "/")]),
        ("status isn't three digits from 100 to 599", &[(":status", "99")]),
        ("status isn't three digits from 100 to 599", &[(":status", "600")]),
        ("status isn't three digits from 100 to 599", &[(":status", "+20")]),
        ("101 in HTTP/2", &[(":status", "101")]),
        ("control character in a field value", &[(":status", "200"), ("a", "\r\n")]),
        ("field that concerns a connection", &[(":status", "200"), ("transfer-encoding", "chunked")]),
        (
            "more than one Content-Length",
            &[(":status", "200"), ("content-length", "1"), ("content-length", "2")],
        ),
    ];
    for (reason, list) in cases {
        let refused = read_answer(list, false, "GET").expect_err(reason);
        assert_eq!((refused.reason, refused.status), (*reason, 502), "{list:?}");
    }
}

#[test]
fn an_answer_is_written_without_what_concerns_a_connection() {
    let mut head = Head::new();
    head.start_response(404, b"Not Found", fairlead_wire::Version::Http11);
    for (name, value) in
        [("Content-Length", "9"), ("Connection", "close"), ("Keep-Alive", "timeout=5"), ("Server", "x")]
    {
        head.append(name.as_bytes(), value.as_bytes());
    }
    let with = |framing| written(|field| answer::write(&head, framing, &mut Vec::new(), field));
    assert_eq!(with(Framing::AsIs), [":status: 404", "content-length: 9", "server: x"]);
    assert_eq!(with(Framing::Close), [":status: 404", "server: x"]);
}

#[test]
fn trailers_are_fields_of_which_some_are_passed_on() {
    let mut head = Head::new();
    let list = [("grpc-status", "0"), ("content-length", "3"), ("x-forwarded-for", "a"), ("digest", "b")];
    trailers::read(bytes(&list), &LIMITS, &mut head).expect("good trailers");
    assert_eq!(lines(&head), ["grpc-status: 0", "digest: b"]);
    assert_eq!(
        written(|field| trailers::write(&head, &mut Vec::new(), field)),
        ["grpc-status: 0", "digest: b"]
    );
    for (list, reason) in [
        ([(":path", "/")], "pseudo-header field in trailers"),
        ([("a", "\n")], "control character in a field value"),
        ([("A", "1")], "field name in upper case"),
        ([("connection", "a")], "field that concerns a connection"),
    ] {
        let refused = trailers::read(bytes(&list), &LIMITS, &mut head).expect_err(reason);
        assert_eq!((refused.reason, refused.status), (reason, 400));
    }
    let few = Limits { max_bytes: 40, max_fields: 9 };
    assert!(trailers::read(bytes(&list), &few, &mut head).is_err_and(|refusal| refusal.status == 400));
}

#[test]
fn data_is_counted_against_what_was_announced() {
    let mut count = Count::new(Extent::Length(5));
    assert!(count.data(3).is_ok() && count.end().is_err());
    assert!(count.data(2).is_ok() && count.end().is_ok());
    assert!(count.data(0).is_ok() && count.data(1).is_err());
    let mut none = Count::new(Extent::None);
    assert!(none.end().is_ok() && none.data(1).is_err());
    let mut any = Count::new(Extent::Stream);
    assert!(any.data(usize::MAX).is_ok() && any.data(usize::MAX).is_ok() && any.end().is_ok());
}
