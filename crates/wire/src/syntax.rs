//! Which byte may stand where: one table, one bit a class.

/// `tchar` (RFC 9110 5.6.2): methods and field names.
pub(crate) const TOKEN: u8 = 1 << 0;
/// `VCHAR`, `obs-text`, SP and HTAB: field values, reason phrases, chunk extensions (RFC 9110 5.5).
pub(crate) const VALUE: u8 = 1 << 1;
/// What a path is let in with: see [`TARGET`], without `?` and the backslash that some servers take for a slash.
pub(crate) const PATH: u8 = 1 << 2;
/// What a request target is let in with. RFC 3986 allows fewer; `[ ] ^ { | }` and the grave accent are what
/// browsers send unescaped and no two readers disagree on. No control character, space, quote, angle bracket,
/// `#` or byte above 126.
pub(crate) const TARGET: u8 = 1 << 3;
/// `unreserved` and `sub-delims` (RFC 3986 3.2.2): a registered name, `%` and its digits apart.
pub(crate) const HOST: u8 = 1 << 4;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let byte = code as u8;
        let mut class = 0;
        if byte.is_ascii_alphanumeric() {
            class |= TOKEN | HOST;
        }
        if byte == b'\t' || (byte >= b' ' && byte != 0x7f) {
            class |= VALUE;
        }
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'#') {
            class |= TARGET;
            if !matches!(byte, b'?' | b'\\') {
                class |= PATH;
            }
        }
        table[code] = class;
        code += 1;
    }
    add(add(table, b"!#$%&'*+-.^_`|~", TOKEN), b"-._~!$&'()*+,;=", HOST)
}

const fn add(mut table: [u8; 256], bytes: &[u8], class: u8) -> [u8; 256] {
    let mut index = 0;
    while index < bytes.len() {
        table[bytes[index] as usize] |= class;
        index += 1;
    }
    table
}

/// Whether the byte is of the class.
pub(crate) fn is(class: u8, byte: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// How many bytes from the start on are of the class.
pub(crate) fn run(class: u8, text: &[u8]) -> usize {
    text.iter().position(|&byte| !is(class, byte)).unwrap_or(text.len())
}

/// Whether there are bytes, all of the class.
pub(crate) fn all(class: u8, text: &[u8]) -> bool {
    !text.is_empty() && run(class, text) == text.len()
}

/// Length of the path that a target in origin-form begins with (RFC 9112 3.2.1); `None` if a character of it or of its
/// query may not stand there. That it begins with a slash is the caller's to see.
pub(crate) fn path_length(target: &[u8]) -> Option<usize> {
    let length = run(PATH, target);
    match &target[length..] {
        [] => Some(length),
        query @ [b'?', ..] if all(TARGET, query) => Some(length),
        _ => None,
    }
}

/// Whether every byte may stand in a field value. No early exit and no table: the compiler turns this into
/// vector instructions, and nearly every value is good.
pub(crate) fn is_value(text: &[u8]) -> bool {
    let bad = |byte: u8| u8::from((byte < b' ' && byte != b'\t') || byte == 0x7f);
    text.iter().fold(0, |found, &byte| found | bad(byte)) == 0
}

/// Without the spaces and tabs around it (`OWS`, RFC 9110 5.6.3).
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// A decimal number of digits only: no sign, no space, nothing that 64 bits can't hold.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_exactly_the_characters_of_rfc_9110() {
        let listed = b"!#$%&'*+-.^_`|~";
        for byte in 0..=255u8 {
            assert_eq!(is(TOKEN, byte), byte.is_ascii_alphanumeric() || listed.contains(&byte), "{byte:#x}");
        }
    }

    #[test]
    fn values_hold_no_control_character_but_the_tab() {
        for byte in 0..=255u8 {
            let allowed = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
            assert_eq!(is(VALUE, byte), allowed, "{byte:#x}");
            // At every place of a vector and of what is left after it.
            for place in 0..19 {
                let mut text = *b"a value of 19 bytes";
                text[place] = byte;
                assert_eq!(is_value(&text), allowed, "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn targets_hold_no_space_control_fragment_or_raw_high_byte() {
        for byte in (0..=b' ').chain(0x7f..=0xff).chain([b'#', b'"', b'<', b'>']) {
            assert!(!is(TARGET, byte) && !is(PATH, byte), "{byte:#x}");
        }
        assert!(is(TARGET, b'?') && !is(PATH, b'?') && is(TARGET, b'\\') && !is(PATH, b'\\'));
    }

    #[test]
    fn decimals_are_digits_only_and_never_wrap() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for text in ["18446744073709551616", "", "+1", "-1", "1 ", "0x1", "1_0", "99999999999999999999999"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
    }
}
