//! TCP listeners: a connection goes to a backend as a whole, and nothing in it is read but what is asked for.
//!
//! In the order of a session: [`session`] has it from its start to its end, [`sni`] reads the name in its ClientHello where
//! that chooses its pool, [`open`] picks a backend and connects to it, `proxy::tunnel` relays, [`end`] says why it is over
//! and [`account`] reports that.

mod account;
mod end;
mod open;
mod session;
mod sni;

pub(crate) use account::judge;
pub(crate) use session::serve;
