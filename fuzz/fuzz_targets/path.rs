//! A path: normalising twice changes nothing, and nothing normal climbs, doubles a slash or hides a character.
#![no_main]

use fairlead_wire::path::{EncodedSlashes, normalise};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &[u8]| {
    for slashes in [EncodedSlashes::Keep, EncodedSlashes::Refuse, EncodedSlashes::Decode] {
        let mut once = Vec::new();
        if normalise(path, slashes, &mut once).is_err() || once == b"*" {
            continue;
        }
        let mut twice = Vec::new();
        normalise(&once, slashes, &mut twice).expect("a normal path is good");
        assert_eq!(once, twice);
        assert!(once.starts_with(b"/") && once.len() <= path.len());
        let mut segments: Vec<&[u8]> = once[1..].split(|&byte| byte == b'/').collect();
        assert!(segments.iter().all(|segment| *segment != b"." && *segment != b".."));
        segments.pop();
        assert!(segments.iter().all(|segment| !segment.is_empty()));
        assert!(!once.iter().any(|byte| matches!(byte, 0..=0x20 | b'\\' | 0x7f)));
    }
});
