//! Trailers (RFC 9113 8.1): fields like others, without pseudo-header fields, and only some passed on.

use super::fields::{self, Fields};
use crate::head::Head;
use crate::http1::{Framing, Limits};
use crate::refusal::Refusal;
use crate::trailer::is_forbidden;

/// Reads trailers from their fields. Those that aren't passed on are dropped, in every version alike.
///
/// A refusal has status 400; for what a backend sent, see [`Refusal::of_backend`].
pub fn read<'a>(
    list: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    limits: &Limits,
    trailers: &mut Head,
) -> Result<(), Refusal> {
    let mut fields = Fields::new(trailers, limits);
    for (name, value) in list {
        fields.charge(name, value).map_err(|_| too_many())?;
        if name.first() == Some(&b':') {
            return Err(Refusal::malformed("pseudo-header field in trailers", "RFC 9113 8.1"));
        }
        match fields.check(name, value) {
            Ok(_) if is_forbidden(name) => {}
            Ok(_) => fields.head.append(name, value),
            Err(refusal) if refusal.status == 431 => return Err(too_many()),
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(())
}

fn too_many() -> Refusal {
    Refusal::malformed("trailers too large", "RFC 9110 6.5")
}

/// Gives `field` the trailers in the order they are sent.
pub fn write(trailers: &Head, scratch: &mut Vec<u8>, mut field: impl FnMut(&[u8], &[u8])) {
    fields::write(trailers, Framing::AsIs, scratch, &mut field);
}
