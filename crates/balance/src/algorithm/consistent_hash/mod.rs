//! Consistent hashing: a member that leaves takes only its own keys with it. One file a table.
//!
//! [`Ring`] moves exactly the keys of the member and nobody else's; loads vary by some 8 %. [`Maglev`] spreads evenly to
//! a part in a hundred and moves a few more. [`Rendezvous`] has the virtues of both and looks at every member in every
//! pick.

mod maglev;
mod rendezvous;
mod ring;

pub(crate) use maglev::Maglev;
pub(crate) use rendezvous::Rendezvous;
pub(crate) use ring::Ring;
