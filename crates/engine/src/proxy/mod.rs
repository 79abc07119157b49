//! One request to its answer, and the bytes of both on their way.

pub(crate) mod pump;
pub(crate) mod splice;
pub(crate) mod tunnel;
