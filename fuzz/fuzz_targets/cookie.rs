//! A cookie is taken out whole: what is left has none of its name, and the values of all others as they were.
#![no_main]

use fairlead_wire::cookie::{set, value, without};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|field: &[u8]| {
    let mut left = Vec::new();
    let had = without(field, b"S", &mut left);
    assert_eq!(had, value(field, b"S").is_some());
    if had {
        assert!(left.len() < field.len() && value(&left, b"S").is_none());
        for other in [&b"a"[..], b"SS", b"s"] {
            assert_eq!(value(&left, other), value(field, other));
        }
    } else {
        assert!(left.is_empty());
    }
    assert!(set(field, b"S").is_none_or(|value| !value.contains(&b';')));
});
