//! Requests, and the connections of HTTP/1 that they come by.
//!
//! In the order a request meets them: [`connection`] waits for its first byte, [`session`] has what it needs,
//! [`requests`] takes one after the other, [`head`] receives it, [`admission`] finds its route and prepares it for the
//! backend, `proxy::exchange` gets its answer. Where that fails, [`failure`] says why and [`answer`] tells the client;
//! [`linger`] closes without taking the answer away.

mod admission;
pub(crate) mod answer;
pub(crate) mod connection;
pub(crate) mod downstream;
pub(crate) mod failure;
mod head;
pub(crate) mod linger;
mod requests;
mod session;

pub(crate) use connection::serve;
pub(crate) use session::{Session, SessionPool};

#[cfg(test)]
pub(crate) mod tests;
