//! HTTP/2 (RFC 9113 8): heads and trailers to and from lists of fields, as a decoder of HPACK gives them and an encoder
//! takes them. Frames and streams aren't known here.
//!
//! A head that was read is the one HTTP/1.1 would have had: `:authority` stands in `Host`, crumbs of cookies are one
//! field again, and an extended CONNECT (RFC 8441) is the upgrade it stands for. So whatever acts on heads needs to know
//! nothing of the version, and nothing can be smuggled from one version into the other: what only one of them can say is
//! refused in both directions.
//!
//! - [`request`], [`answer`], [`trailers`]: reading and writing each
//! - [`Extent`]: how long a body is, [`Count`]: whether it is

pub mod answer;
pub mod request;
pub mod trailers;

mod extent;
mod fields;

pub use extent::{Count, Extent};
pub use request::Request;
