//! A list of HTTP/2 fields: what is accepted of it is one message in HTTP/1.1 with the same meaning, and no second one.
#![no_main]

use fairlead_fuzz::{LIMITS, meaning};
use fairlead_wire::Head;
use fairlead_wire::http1::{Framing, Limits, Scan, encode, parse};
use fairlead_wire::http2::request::Terms;
use fairlead_wire::http2::{Extent, answer, request, trailers};
use libfuzzer_sys::fuzz_target;

/// What was accepted is a little longer in HTTP/1.1, for a stray field's line end.
const ROOMY: Limits = Limits { max_bytes: 4096, max_fields: 64 };

fuzz_target!(|input: &[u8]| {
    let [mode, rest @ ..] = input else { return };
    let ends = mode & 4 != 0;
    let mut list: Vec<(&[u8], &[u8])> = match mode % 4 {
        0 => vec![(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")],
        1 => vec![(b":status", b"200")],
        _ => Vec::new(),
    };
    list.extend(pairs(rest));
    let mut head = Head::new();
    let mut written = Vec::new();
    match mode % 4 {
        0 | 2 => {
            let terms = Terms { limits: &LIMITS, extended_connect: mode & 8 != 0 };
            let Ok(request) = request::read(list, ends, terms, &mut head) else { return };
            encode::request(&head, framing(request.extent), &mut written);
            let mut again = Head::new();
            let parsed = parse::request(&written, &mut Scan::default(), &ROOMY, &mut again);
            let parsed = parsed.expect("good").expect("whole");
            assert_eq!(
                (parsed.len, parsed.upgrade, parsed.expect_continue),
                (written.len(), request.upgrade, request.expect_continue)
            );
            assert_eq!(plain(&head), plain(&again));
        }
        1 => {
            let Ok(extent) = answer::read(list, ends, b"GET", &LIMITS, &mut head) else { return };
            encode::response(&head, framing(extent), &mut written);
            let mut again = Head::new();
            let parsed = parse::response(&written, &mut Scan::default(), &ROOMY, b"GET", &mut again);
            assert_eq!(parsed.expect("good").expect("whole").len, written.len());
            assert_eq!(plain(&head), plain(&again));
        }
        _ => {
            if trailers::read(list, &LIMITS, &mut head).is_ok() {
                encode::last_chunk(Some(&head), &mut written);
                let lines = written.windows(2).filter(|pair| *pair == b"\r\n").count();
                assert_eq!(lines, head.iter().count() + 2);
            }
        }
    }
});

/// Names and values, each behind a byte with its length.
fn pairs(mut rest: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut text = move || {
        let (&length, after) = rest.split_first()?;
        let (text, after) = after.split_at(usize::from(length % 64).min(after.len()));
        rest = after;
        Some(text)
    };
    std::iter::from_fn(|| Some((text()?, text()?))).collect()
}

fn framing(extent: Extent) -> Framing {
    match extent {
        Extent::None => Framing::AsIs,
        Extent::Length(length) => Framing::Length(length),
        Extent::Stream => Framing::Chunked,
    }
}

/// Everything that it tells but its framing.
fn plain(head: &Head) -> Vec<Vec<u8>> {
    let mut head = head.clone();
    head.remove(b"content-length");
    head.remove(b"transfer-encoding");
    meaning(&head)
}
