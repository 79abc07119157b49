//! What the head targets share: reading a head in pieces, and what of it must survive.

#![forbid(unsafe_code)]

use fairlead_wire::Head;
use fairlead_wire::http1::{Limits, Scan};

/// Small, so that inputs reach them.
pub const LIMITS: Limits = Limits { max_bytes: 2048, max_fields: 32 };

/// Reads `bytes` as they arrive: whole, or up to `cut` first. `None`: not a whole head.
pub fn in_pieces<T, E>(
    bytes: &[u8],
    cut: Option<usize>,
    mut parse: impl FnMut(&[u8], &mut Scan, &mut Head) -> Result<Option<T>, E>,
) -> Result<Option<(T, Head)>, E> {
    let (mut scan, mut head) = (Scan::default(), Head::new());
    for arrived in cut.into_iter().chain([bytes.len()]) {
        if let Some(read) = parse(&bytes[..arrived], &mut scan, &mut head)? {
            return Ok(Some((read, head)));
        }
    }
    Ok(None)
}

/// A message and where to cut it, as the input's first two bytes ask for: the bytes as they are, or as fields
/// after a good `start` and before the head's end, which random bytes take long to find by themselves.
pub fn message_of(input: &[u8], start: &[u8]) -> Option<(usize, Vec<u8>)> {
    let [mode, cut, bytes @ ..] = input else { return None };
    let message = if mode % 2 == 0 { bytes.to_vec() } else { [start, bytes, b"\r\n\r\n"].concat() };
    Some((usize::from(*cut) % (message.len() + 1), message))
}

/// Everything that a head tells its readers.
pub fn meaning(head: &Head) -> Vec<Vec<u8>> {
    let start = [head.method(), head.path_and_query(), head.path(), head.authority(), head.reason()];
    let status = head.status().to_be_bytes();
    let fields = head.iter().flat_map(|(name, value)| [name, value]);
    start.into_iter().chain([&status[..]]).chain(fields).map(<[u8]>::to_vec).collect()
}
