//! One request to its answer, and the bytes of both on their way.
//!
//! [`exchange`] is the line of a request and names the others in their order.

mod account;
mod affinity;
pub(crate) mod announce;
mod awaiting;
pub(crate) mod breaking;
pub(crate) mod connect;
pub(crate) mod exchange;
mod hedge;
pub(crate) mod key;
pub(crate) mod pump;
mod relay;
pub(crate) mod replay;
mod retry;
mod secure;
mod sending;
pub(crate) mod slot;
pub(crate) mod splice;
pub(crate) mod tunnel;
pub(crate) mod upgrade;
pub(crate) mod waiting;
