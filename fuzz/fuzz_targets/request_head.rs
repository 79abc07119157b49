//! A request's head: cut anywhere it is the same, and what is accepted is written with the same meaning.
#![no_main]

use fairlead_fuzz::{LIMITS, in_pieces, meaning, message_of};
use fairlead_wire::http1::{Framing, encode, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let start = b"GET / HTTP/1.1\r\nHost: a\r\n";
    let Some((cut, bytes)) = message_of(input, start) else { return };
    let read =
        |bytes: &[u8], cut| in_pieces(bytes, cut, |buf, scan, head| parse::request(buf, scan, &LIMITS, head));
    let whole = read(&bytes, None);
    let pieces = read(&bytes, Some(cut));
    let (Ok(Some((request, head))), Ok(Some((again, pieced)))) = (&whole, &pieces) else {
        assert_eq!(whole.map(|read| read.is_some()), pieces.map(|read| read.is_some()));
        return;
    };
    assert_eq!((request, meaning(head)), (again, meaning(pieced)));

    let mut written = Vec::new();
    encode::request(head, Framing::AsIs, &mut written);
    assert!(!bare_line_end(&written));
    // Rewritten, a head can be a little longer than the limit it was read under.
    if written.len() > LIMITS.max_bytes {
        return;
    }
    // HTTP/1.0 needs no Host and may have none to pass on, which 1.1 refuses.
    if head.authority().is_empty() {
        return;
    }
    let (rewritten, reread) = read(&written, None).expect("good").expect("whole");
    assert_eq!((rewritten.len, rewritten.body), (written.len(), request.body));
    assert_eq!(meaning(head), meaning(&reread));
});

/// A line end that isn't CRLF: what would split one message into two for somebody.
fn bare_line_end(text: &[u8]) -> bool {
    let pairs = text.windows(2).filter(|pair| *pair == b"\r\n").count();
    let count = |wanted| text.iter().filter(|&&byte| byte == wanted).count();
    pairs != count(b'\r') || pairs != count(b'\n')
}
