use super::{Head, Version};
use crate::http1::{Framing, Limits, Scan, encode, parse};
use crate::name::Known;

fn request(fields: &str) -> Head {
    let mut head = Head::new();
    let text = format!("GET /a?b HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n");
    let limits = Limits { max_bytes: 4096, max_fields: 32 };
    parse::request(text.as_bytes(), &mut Scan::default(), &limits, &mut head)
        .expect("a good request")
        .expect("a whole request");
    head
}

fn lines(head: &Head) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    head.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
}

fn written(head: &Head) -> String {
    let mut out = Vec::new();
    encode::request(head, Framing::AsIs, &mut out);
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn a_head_knows_its_parts() {
    let head = request("X-A: 1\r\nx-a: 2\r\n");
    assert_eq!(head.method(), b"GET");
    assert_eq!(head.path_and_query(), b"/a?b");
    assert_eq!(head.path(), b"/a");
    assert_eq!(head.query(), Some(&b"b"[..]));
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.authority(), b"a.example");
    assert_eq!(head.named(b"X-a"), Some(&b"1"[..]));
    assert_eq!(head.named(b"X-b"), None);
    assert_eq!(head.named_all(b"X-a").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(head.known(Known::Host), Some(&b"a.example"[..]));
    assert_eq!(head.known(Known::Via), None);
}

#[test]
fn setting_a_field_keeps_the_place_of_its_first() {
    let mut head = request("A: 1\r\nB: 2\r\na: 3\r\n");
    head.set(b"A", b"new");
    head.set(b"C", b"4");
    assert_eq!(lines(&head), ["Host: a.example", "A: new", "B: 2", "C: 4"]);
    assert_eq!(written(&head), "GET /a?b HTTP/1.1\r\nHost: a.example\r\nA: new\r\nB: 2\r\nC: 4\r\n\r\n");
}

#[test]
fn removed_fields_are_neither_read_nor_written() {
    let mut head = request("A: 1\r\nB: 2\r\nVia: x\r\nX_Y: 3\r\n");
    head.remove(b"a");
    head.remove_known(Known::Via);
    head.remove_matching(|name| name.contains(&b'_'));
    assert_eq!(lines(&head), ["Host: a.example", "B: 2"]);
    assert_eq!(head.known(Known::Via), None);
    assert_eq!(head.named(b"A"), None);
    assert_eq!(written(&head), "GET /a?b HTTP/1.1\r\nHost: a.example\r\nB: 2\r\n\r\n");
}

#[test]
fn a_removed_field_can_be_added_again() {
    let mut head = request("Upgrade: websocket\r\nConnection: upgrade\r\n");
    head.remove_hop_by_hop();
    assert_eq!(head.known(Known::Upgrade), None);
    head.append(b"Upgrade", b"websocket");
    head.set(b"Connection", b"upgrade");
    assert_eq!(lines(&head), ["Host: a.example", "Upgrade: websocket", "Connection: upgrade"]);
    assert_eq!(head.known(Known::Upgrade), Some(&b"websocket"[..]));
}

#[test]
fn what_connection_names_goes_with_it_in_any_case_and_on_any_line() {
    let mut head =
        request("Connection: x-A , close\r\nX-a: 1\r\nconnection: X-B\r\nX-B: 2\r\nX-C: 3\r\nX-A: 4\r\n");
    head.remove_hop_by_hop();
    assert_eq!(lines(&head), ["Host: a.example", "X-C: 3"]);
}

#[test]
fn connection_takes_no_host_and_no_length_away() {
    let mut head = request("Connection: host, content-length\r\nContent-Length: 0\r\n");
    head.remove_hop_by_hop();
    assert_eq!(lines(&head), ["Host: a.example", "Content-Length: 0"]);
}

#[test]
fn a_rewritten_target_has_a_path_and_a_query_of_its_own() {
    let mut head = request("");
    head.set_path_and_query(b"/new/path?c?d");
    assert_eq!(head.path(), b"/new/path");
    assert_eq!(head.query(), Some(&b"c?d"[..]));
    assert_eq!(head.target(), b"/a?b");
    head.set_path_and_query(b"/plain");
    assert_eq!(head.query(), None);
    assert!(written(&head).starts_with("GET /plain HTTP/1.1\r\n"));
}

#[test]
fn heads_are_built_from_nothing() {
    let mut head = Head::new();
    head.start_request(b"POST", b"/x?y", Version::Http11);
    head.append(b"Host", b"b.example");
    let mut out = Vec::new();
    encode::request(&head, Framing::Length(3), &mut out);
    assert_eq!(out, b"POST /x?y HTTP/1.1\r\nHost: b.example\r\nContent-Length: 3\r\n\r\n");
    head.start_response(503, b"Service Unavailable", Version::Http11);
    head.append(b"Retry-After", b"1");
    out.clear();
    encode::response(&head, Framing::Chunked, &mut out);
    assert_eq!(
        out,
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
}

#[test]
fn a_head_used_again_keeps_its_buffers_and_nothing_else() {
    let mut head = request("A: 1\r\nConnection: close\r\n");
    let capacity = head.capacity();
    head.clear();
    assert_eq!(head.capacity(), capacity);
    assert_eq!((head.iter().count(), head.method(), head.status()), (0, &b""[..], 0));
    assert_eq!((head.path_and_query(), head.query(), head.known(Known::Connection)), (&b""[..], None, None));
}

#[test]
fn editing_a_field_changes_each_of_its_name_by_itself() {
    let mut head = request("A: 1\r\nB: 2\r\na: 3\r\nA: 4\r\n");
    let mut scratch = Vec::new();
    head.edit(b"a", &mut scratch, |value, new| match value {
        b"1" => {
            new.extend_from_slice(b"one");
            true
        }
        b"3" => true,
        _ => false,
    });
    assert_eq!(lines(&head), ["Host: a.example", "A: one", "B: 2", "A: 4"]);
    assert_eq!(written(&head), "GET /a?b HTTP/1.1\r\nHost: a.example\r\nA: one\r\nB: 2\r\nA: 4\r\n\r\n");
}
