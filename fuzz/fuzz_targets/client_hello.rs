//! A ClientHello: its verdict doesn't depend on what comes after, nor on the records it is spread over.
#![no_main]

use fairlead_wire::Refusal;
use fairlead_wire::client_hello::{MAX_BYTES, Read, read};
use libfuzzer_sys::fuzz_target;

/// Name, protocols, whether another message is within.
type Said = (Option<String>, Vec<Vec<u8>>, bool);

fuzz_target!(|input: &[u8]| {
    let [mode, cut, bytes @ ..] = input else { return };
    if mode % 2 == 0 {
        let cut = usize::from(*cut).min(bytes.len());
        let (whole, earlier) = (seen(bytes), seen(&bytes[..cut]));
        assert!(earlier == Ok(None) || earlier == whole);
        assert!(bytes.len() < MAX_BYTES || whole != Ok(None));
        return;
    }
    // A body under a header that fits it, in one record and in two.
    let length = (bytes.len() as u32).to_be_bytes();
    let message = [&[1], &length[1..], bytes].concat();
    if bytes.len() < 8192 {
        let (first, second) = message.split_at(usize::from(*cut).clamp(1, message.len()));
        let (one, two) = (record(&message), [record(first), record(second)].concat());
        assert_eq!(seen(&one), seen(&two));
    }
});

/// `None`: more has to come.
fn seen(bytes: &[u8]) -> Result<Option<Option<Said>>, Refusal> {
    let mut scratch = Vec::new();
    Ok(match read(bytes, &mut scratch)? {
        Read::More => None,
        Read::NotTls => Some(None),
        Read::Hello(hello) => {
            let name = hello.server_name.map(|name| name.as_str().to_owned());
            Some(Some((name, hello.alpn.iter().map(<[u8]>::to_vec).collect(), hello.encrypted)))
        }
    })
}

fn record(fragment: &[u8]) -> Vec<u8> {
    if fragment.is_empty() {
        return Vec::new();
    }
    [&[22, 3, 1], &(fragment.len() as u16).to_be_bytes()[..], fragment].concat()
}
