//! Where connections come from: sockets that belong to the process, accepted from by every worker, within limits.

mod accept;
mod announced;
mod arrival;
mod bind;
mod guard;
mod limits;
mod shed;

pub(crate) use accept::Acceptor;
pub(crate) use announced::Told;
pub(crate) use arrival::Arrival;
pub(crate) use bind::{BindError, Bound, Listening, Private, Sockets, Wanted};
pub(crate) use guard::{ConnectionGuard, Connections, Open};
pub(crate) use limits::{ListenerLive, ProcessLimit};
pub(crate) use shed::Shedding;
