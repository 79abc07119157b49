//! Each `ClientHello`: those of real clients and of the corpus, and what holds for all of them.

mod entries;

use fairlead_wire::Refusal;
use fairlead_wire::client_hello::{MAX_BYTES, Read, read};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const HELLOS: &str = include_str!("../../../tests/conformance/client_hello/hellos.json");
const MALFORMED: &str = include_str!("../../../tests/conformance/client_hello/malformed.json");

/// What was read, without the bytes it was read from.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    More,
    NotTls,
    Hello(Value),
}

fn seen(bytes: &[u8]) -> Result<Seen, Refusal> {
    // Left from another connection: it must not matter.
    let mut scratch = b"left over".to_vec();
    Ok(match read(bytes, &mut scratch)? {
        Read::More => Seen::More,
        Read::NotTls => Seen::NotTls,
        Read::Hello(hello) => {
            let name = hello.server_name.as_ref().map(|name| name.as_str().to_owned());
            let alpn: Vec<_> = hello.alpn.iter().map(String::from_utf8_lossy).collect();
            Seen::Hello(json!({"server_name": name, "alpn": alpn, "encrypted": hello.encrypted}))
        }
    })
}

#[test]
fn hellos_are_read_when_they_are_complete_and_not_before() {
    for (name, bytes, entry) in entries::of(HELLOS) {
        let said = ["server_name", "alpn", "encrypted"].map(|key| (key.to_owned(), entry[key].clone()));
        let said = Seen::Hello(Value::Object(said.into_iter().collect()));
        assert_eq!(seen(&bytes).as_ref(), Ok(&said), "{name}");
        for cut in 0..bytes.len() {
            assert_eq!(seen(&bytes[..cut]), Ok(Seen::More), "{name}: {cut} bytes");
        }
        assert_eq!(
            seen(&[&bytes[..], b"\x17\x03\x03"].concat()),
            Ok(said),
            "{name}: with early data behind it"
        );
    }
}

#[test]
fn malformed_hellos_are_refused_however_they_are_cut() {
    for (name, bytes, entry) in entries::of(MALFORMED) {
        let refusal = seen(&bytes).expect_err(&name);
        assert_eq!(refusal.reason, entry["reason"], "{name}");
        let verdicts: Vec<_> = (0..bytes.len()).map(|cut| seen(&bytes[..cut])).collect();
        let first = verdicts.iter().position(Result::is_err).unwrap_or(bytes.len());
        assert!(verdicts[..first].iter().all(|verdict| *verdict == Ok(Seen::More)), "{name}");
        assert!(verdicts[first..].iter().all(|verdict| *verdict == Err(refusal)), "{name}");
    }
}

#[test]
fn other_protocols_are_told_apart_by_their_first_byte() {
    let starts: [&[u8]; 5] =
        [b"GET /", b"SSH-2.0", b"\x80\x2e\x01\x03\x01", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"\x15\x03"];
    for start in starts {
        assert_eq!(seen(start), Ok(Seen::NotTls), "{start:?}");
    }
}

/// A message cut into records of these sizes.
fn in_records(message: &[u8], mut sizes: impl Iterator<Item = usize>) -> Vec<u8> {
    let (mut rest, mut bytes) = (message, Vec::new());
    while !rest.is_empty() {
        let (fragment, behind) = rest.split_at(sizes.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        bytes.extend([22, 3, 1]);
        bytes.extend((fragment.len() as u16).to_be_bytes());
        bytes.extend(fragment);
        rest = behind;
    }
    bytes
}

proptest! {
    #[test]
    fn records_may_be_cut_anywhere(
        entry in any::<prop::sample::Index>(), sizes in vec(1..400_usize, 0..60), cut in any::<prop::sample::Index>()
    ) {
        // The first are those of real clients, each in one record.
        let entries = entries::of(HELLOS);
        let (_, bytes, _) = &entries[entry.index(15)];
        let cut_up = in_records(&bytes[5..], sizes.into_iter());
        prop_assert_eq!(seen(&cut_up), seen(bytes));
        let part = cut.index(cut_up.len());
        prop_assert_eq!(seen(&cut_up[..part]), Ok(Seen::More));
    }

    #[test]
    fn a_verdict_stands_whatever_comes_after(
        entry in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        cut in any::<prop::sample::Index>()
    ) {
        let entries = entries::of(HELLOS);
        let (_, mut bytes, _) = entries[entry.index(entries.len())].clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let earlier = seen(&bytes[..cut.index(bytes.len() + 1)]);
        if earlier != Ok(Seen::More) {
            prop_assert_eq!(seen(&bytes), earlier);
        }
    }

    #[test]
    fn enough_bytes_get_a_verdict(sizes in vec(1..2000_usize, 80), length in 0..20_000_usize) {
        let body = vec![0; length];
        let message = [&[1, 0, (length >> 8) as u8, length as u8], &body[..]].concat();
        let bytes = in_records(&message, sizes.into_iter().cycle());
        prop_assert_ne!(seen(&bytes[..bytes.len().min(MAX_BYTES)]), Ok(Seen::More));
    }
}
