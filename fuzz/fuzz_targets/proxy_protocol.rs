//! A PROXY header: its verdict doesn't depend on what comes after, and what it says is written as it was read.
#![no_main]

use fairlead_wire::proxy_protocol::{Checksum, Header, MAX_HEADER, Read, read, write_v1, write_v2};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [mode, cut, bytes @ ..] = input else { return };
    let start: &[u8] = match mode % 3 {
        0 => b"",
        1 => b"PROXY TCP",
        _ => b"\r\n\r\n\0\r\nQUIT\n\x21",
    };
    let bytes = [start, bytes].concat();
    let whole = read(&bytes);
    let earlier = read(&bytes[..usize::from(*cut).min(bytes.len())]);
    assert!(earlier == Ok(Read::More) || earlier == whole);
    assert!(bytes.len() <= MAX_HEADER || whole != Ok(Read::More));
    let Ok(Read::Header(Header::Proxy(said), length)) = whole else { return };
    assert!(length <= bytes.len());

    let mut written = Vec::new();
    let tlvs: Vec<_> = said.tlvs.iter().collect();
    write_v2(said.transport, &said.addresses, &tlvs, Checksum::Added, &mut written);
    let Ok(Read::Header(Header::Proxy(again), _)) = read(&written) else { panic!("written and not read") };
    assert_eq!((again.addresses, again.transport), (said.addresses, said.transport));
    // A checksum more may push the last value out of a header that is nearly full.
    assert!(tlvs.starts_with(&again.tlvs.iter().collect::<Vec<_>>()));

    written.clear();
    write_v1(&said.addresses, &mut written);
    let Ok(Read::Header(Header::Proxy(again), _)) = read(&written) else { panic!("written and not read") };
    assert_eq!(again.addresses.source(), said.addresses.source());
});
