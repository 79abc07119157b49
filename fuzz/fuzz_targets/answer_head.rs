//! An answer's head: cut anywhere it is the same, and what is accepted is written with the same meaning.
#![no_main]

use fairlead_fuzz::{LIMITS, in_pieces, meaning, message_of};
use fairlead_wire::http1::{Framing, encode, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((cut, bytes)) = message_of(input, b"HTTP/1.1 200 OK\r\n") else { return };
    let method: &[u8] = if cut % 2 == 0 { b"GET" } else { b"HEAD" };
    let read = |bytes: &[u8], cut| {
        in_pieces(bytes, cut, |buf, scan, head| parse::response(buf, scan, &LIMITS, method, head))
    };
    let whole = read(&bytes, None);
    let pieces = read(&bytes, Some(cut));
    let (Ok(Some((answer, head))), Ok(Some((again, pieced)))) = (&whole, &pieces) else {
        assert!(whole.as_ref().err().is_none_or(|refusal| refusal.status == 502));
        assert_eq!(whole.map(|read| read.is_some()), pieces.map(|read| read.is_some()));
        return;
    };
    assert_eq!((answer, meaning(head)), (again, meaning(pieced)));

    let mut written = Vec::new();
    encode::response(head, Framing::AsIs, &mut written);
    if written.len() > LIMITS.max_bytes {
        return;
    }
    let (rewritten, reread) = read(&written, None).expect("good").expect("whole");
    assert_eq!((rewritten.len, rewritten.body), (written.len(), answer.body));
    assert_eq!(meaning(head), meaning(&reread));
});
