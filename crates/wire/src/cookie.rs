//! Cookies in fields (RFC 6265): what a client sends, and what an answer sets. Names are case-sensitive, quotes are part
//! of a value, and nothing is decoded.

/// The value of a cookie in a `Cookie` field (RFC 6265 4.2.1). One that is written without `=` has an empty value.
#[must_use]
pub fn value<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pairs(field).find_map(|pair| value_of(pair.trim_ascii(), name))
}

/// Writes what is left of a `Cookie` field without every cookie of this name, the others byte for byte. `false`, and
/// nothing written, if it has none.
pub fn without(field: &[u8], name: &[u8], left: &mut Vec<u8>) -> bool {
    let is_it = |pair: &[u8]| value_of(pair.trim_ascii(), name).is_some();
    if !pairs(field).any(is_it) {
        return false;
    }
    for pair in pairs(field).filter(|pair| !is_it(pair)) {
        if left.is_empty() {
            left.extend_from_slice(pair.trim_ascii_start());
        } else {
            left.push(b';');
            left.extend_from_slice(pair);
        }
    }
    true
}

/// The value that a `Set-Cookie` field gives the cookie of this name (RFC 6265 5.2), if it is about that.
#[must_use]
pub fn set<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let pair = pairs(field).next()?;
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    (pair[..equals].trim_ascii() == name).then(|| pair[equals + 1..].trim_ascii())
}

fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|&byte| byte == b';')
}

/// The value of a pair `name=value`, which parameters of a query are too. One without `=` has an empty value.
#[must_use]
pub fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match pair.strip_prefix(name)? {
        [] => Some(&[]),
        [b'=', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(field: &str) -> Option<String> {
        let mut left = Vec::new();
        without(field.as_bytes(), b"S", &mut left)
            .then(|| String::from_utf8(left).expect("what was text is text"))
    }

    #[test]
    fn values_are_found_by_whole_names() {
        let field = b"a=1; session=\"x y\";b; sess=2";
        assert_eq!(value(field, b"session"), Some(&b"\"x y\""[..]));
        assert_eq!(value(field, b"sess"), Some(&b"2"[..]));
        assert_eq!(value(field, b"b"), Some(&b""[..]));
        assert_eq!(value(field, b"ession"), None);
        assert_eq!(value(field, b"A"), None);
    }

    #[test]
    fn a_cookie_is_taken_out_and_the_others_stay_as_they_were() {
        assert_eq!(left("S=x; a=1;  b=\"2\"").as_deref(), Some("a=1;  b=\"2\""));
        assert_eq!(left("a=1; S=x;b=2").as_deref(), Some("a=1;b=2"));
        assert_eq!(left("a=1; S=x").as_deref(), Some("a=1"));
        assert_eq!(left("S=x; a==1=; S=y").as_deref(), Some("a==1="));
        assert_eq!(left("S=x").as_deref(), Some(""));
        assert_eq!(left("S").as_deref(), Some(""));
        assert_eq!(left("a=S; SS=1; s=2"), None);
        assert_eq!(left(""), None);
    }

    #[test]
    fn what_an_answer_sets_is_read_up_to_its_attributes() {
        assert_eq!(set(b"ID=abc; Path=/; HttpOnly", b"ID"), Some(&b"abc"[..]));
        assert_eq!(set(b" ID = abc ;Path=/", b"ID"), Some(&b"abc"[..]));
        assert_eq!(set(b"ID=", b"ID"), Some(&b""[..]));
        assert_eq!(set(b"OTHER=1; ID=abc", b"ID"), None);
        assert_eq!(set(b"ID", b"ID"), None);
    }
}
