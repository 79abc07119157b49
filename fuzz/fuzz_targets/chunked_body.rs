//! A chunked body: cut anywhere it gives the same payload and the same verdict, and no payload that isn't there.
#![no_main]

use fairlead_fuzz::{LIMITS, meaning, message_of};
use fairlead_wire::Refusal;
use fairlead_wire::http1::{Body, Decoder, encode};
use libfuzzer_sys::fuzz_target;

/// Payload, length taken, whether complete, trailers.
type Decoded = (Vec<u8>, usize, bool, Option<Vec<Vec<u8>>>);

fuzz_target!(|input: &[u8]| {
    let Some((cut, bytes)) = message_of(input, b"5\r\nhello\r\n0\r\n") else { return };
    let whole = decode(&[&bytes]);
    assert_eq!(whole, decode(&[&bytes[..cut], &bytes[cut..]]));
    let Ok((payload, _, true, _)) = whole else { return };

    let mut written = Vec::new();
    if !payload.is_empty() {
        encode::chunk_size(payload.len(), &mut written);
        written.extend_from_slice(&payload);
        written.extend_from_slice(b"\r\n");
    }
    encode::last_chunk(None, &mut written);
    assert_eq!(decode(&[&written]), Ok((payload, written.len(), true, None)));
});

fn decode(pieces: &[&[u8]]) -> Result<Decoded, Refusal> {
    let mut decoder = Decoder::new(Body::Chunked, LIMITS);
    let (mut payload, mut taken, mut done) = (Vec::new(), 0, false);
    for piece in pieces {
        let mut rest = *piece;
        while !done && !rest.is_empty() {
            let step = decoder.decode(rest)?;
            assert!(step.consumed > 0 && step.data.end <= step.consumed);
            payload.extend_from_slice(&rest[step.data]);
            taken += step.consumed;
            rest = &rest[step.consumed..];
            done = step.done;
        }
    }
    assert_eq!(decoder.finish().is_ok(), done);
    Ok((payload, taken, done, decoder.trailers().map(meaning)))
}
