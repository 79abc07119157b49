//! One request to its answer, and the bytes of both on their way.
//!
//! [`exchange`] is the line of a request and names the others in their order.

mod account;
mod affinity;
mod awaiting;
mod breaking;
mod connect;
pub(crate) mod exchange;
mod hedge;
mod key;
pub(crate) mod pump;
mod relay;
pub(crate) mod replay;
mod retry;
mod sending;
mod slot;
pub(crate) mod splice;
pub(crate) mod tunnel;
pub(crate) mod upgrade;
mod waiting;
