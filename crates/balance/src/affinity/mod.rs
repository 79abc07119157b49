//! Clients that go where they went before.
//!
//! In reading order:
//!
//! - `course`: what becomes of a request whose client is known, by what its backend says.
//! - `tags`: from the value of a cookie to the member that it names.
//! - `table`: which backend a client went to, in bounded room; `names`: how entries name backends.
//! - `memory`: both together, and what others are to be told of it.

mod course;
mod memory;
mod names;
mod table;
mod tags;

pub use course::{Course, OnFailure};
pub use memory::{Memory, Told};
pub use names::MOST_BACKENDS;
pub use table::{Entry, Settled, Table};
pub use tags::{Tag, Tags};
