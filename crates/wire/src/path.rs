//! The form of a path that routes are matched on (RFC 3986 6.2.2), so that no spelling of a path reaches what
//! another spelling of it can't. For matching only: backends get the path as it was received.

use crate::refusal::Refusal;

/// What `%2F` means in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EncodedSlashes {
    /// A character like any other, not a separator.
    #[default]
    Keep,
    /// A reason to refuse the request.
    Refuse,
    /// A separator.
    Decode,
}

const CLAUSE: &str = "RFC 3986 3.3";

/// Writes the normal form of `raw_path` (without query) to `out`, which is emptied first: unreserved characters
/// decoded, other escapes in upper case, `//` merged, dot segments removed, and never climbing above the root.
/// `*`, the path of an asterisk-form target, stays as it is.
///
/// Refused with 400: NUL, encoded or not, raw backslashes and control characters, `%` without two digits.
pub fn normalise(raw_path: &[u8], slashes: EncodedSlashes, out: &mut Vec<u8>) -> Result<(), Refusal> {
    out.clear();
    if raw_path == b"*" {
        out.push(b'*');
        return Ok(());
    }
    let Some((b'/', mut rest)) = raw_path.split_first() else {
        return Err(Refusal::malformed("path doesn't begin with a slash", CLAUSE));
    };
    out.push(b'/');
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'/' => end_segment(out),
            b'%' => rest = escape(after, slashes, out)?,
            b'\\' => return Err(Refusal::malformed("backslash in the path", CLAUSE)),
            0..=0x20 | 0x7f => return Err(Refusal::malformed("control character in the path", CLAUSE)),
            _ => out.push(byte),
        }
    }
    remove_dots(out);
    Ok(())
}

/// Deals with what follows a `%`; gives what follows the escape.
fn escape<'a>(after: &'a [u8], slashes: EncodedSlashes, out: &mut Vec<u8>) -> Result<&'a [u8], Refusal> {
    let [high, low, rest @ ..] = after else { return Err(malformed_escape()) };
    let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(malformed_escape()) };
    match (high << 4 | low, slashes) {
        (0, _) => return Err(Refusal::malformed("NUL in the path", CLAUSE)),
        (b'/', EncodedSlashes::Refuse) => {
            return Err(Refusal::malformed("encoded slash in the path", CLAUSE));
        }
        (b'/', EncodedSlashes::Decode) => end_segment(out),
        // RFC 3986 2.3: only the unreserved mean the same encoded and not.
        (byte, _) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(byte),
        _ => {
            let digits = b"0123456789ABCDEF";
            out.extend_from_slice(&[b'%', digits[usize::from(high)], digits[usize::from(low)]]);
        }
    }
    Ok(rest)
}

/// Ends the last segment with a slash, unless it is empty or a dot segment.
fn end_segment(out: &mut Vec<u8>) {
    remove_dots(out);
    if out.last() != Some(&b'/') {
        out.push(b'/');
    }
}

/// Undoes a last segment of dots (RFC 3986 5.2.4). `out` begins with a slash.
fn remove_dots(out: &mut Vec<u8>) {
    if out.ends_with(b"/.") {
        out.pop();
    } else if out.ends_with(b"/..") {
        out.truncate(out.len() - 3);
        let parent = memchr::memrchr(b'/', out).unwrap_or(0);
        out.truncate(parent);
        out.push(b'/');
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn malformed_escape() -> Refusal {
    Refusal::malformed("malformed escape in the path", "RFC 3986 2.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> String {
        normal_with(path, EncodedSlashes::Keep).expect("a path that isn't refused")
    }

    fn normal_with(path: &str, slashes: EncodedSlashes) -> Result<String, Refusal> {
        let mut out = b"left over".to_vec();
        normalise(path.as_bytes(), slashes, &mut out)?;
        Ok(String::from_utf8(out).expect("ASCII"))
    }

    #[test]
    fn unreserved_characters_are_decoded_and_others_written_in_upper_case() {
        assert_eq!(normal("/%61%7e%2D%5f/%3f%c3%a9%25%32%46"), "/a~-_/%3F%C3%A9%252F");
    }

    #[test]
    fn dot_segments_are_removed_in_every_spelling() {
        assert_eq!(normal("/a/./b/../c"), "/a/c");
        assert_eq!(normal("/a/%2e%2E/b"), "/b");
        assert_eq!(normal("/a/b/.."), "/a/");
        assert_eq!(normal("/a/."), "/a/");
        assert_eq!(normal("/.."), "/");
        assert_eq!(normal("/../../a"), "/a");
        assert_eq!(normal("/..a/b../.c"), "/..a/b../.c");
        assert_eq!(normal("/.../."), "/.../");
    }

    #[test]
    fn slashes_are_merged_before_dots_climb() {
        assert_eq!(normal("//a///b//"), "/a/b/");
        assert_eq!(normal("/a/b//../c"), "/a/c");
        assert_eq!(normal("//"), "/");
    }

    #[test]
    fn encoded_slashes_are_kept_refused_or_decoded() {
        assert_eq!(normal("/a%2fb"), "/a%2Fb");
        assert!(normal_with("/a%2Fb", EncodedSlashes::Refuse).is_err());
        assert_eq!(normal_with("/a%2f..%2F/b", EncodedSlashes::Decode), Ok("/b".into()));
        assert_eq!(normal("/a/..%2fb"), "/a/..%2Fb");
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for path in ["", "a", "/a\\b", "/%00", "/\0", "/a\n", "/a b", "/%", "/%4", "/%zz", "/\x7f", "**"] {
            assert_eq!(
                normal_with(path, EncodedSlashes::Keep).map_err(|refusal| refusal.status),
                Err(400),
                "{path}"
            );
        }
    }

    #[test]
    fn the_asterisk_stays() {
        assert_eq!(normal("*"), "*");
    }
}
