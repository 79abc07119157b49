//! A connection's requests, one protocol a file set: HTTP/1.1 so far.
//!
//! In the order a request meets them: [`connection`] waits for its first byte, [`session`] has what it needs,
//! [`requests`] takes one after the other, [`head`] receives it, [`admission`] finds its route and prepares it for the
//! backend, `proxy::exchange` gets its answer. Where that fails, [`failure`] says why and [`answer`] tells the client;
//! [`linger`] closes without taking the answer away.

mod admission;
pub(crate) mod answer;
pub(crate) mod connection;
pub(crate) mod failure;
mod head;
mod linger;
mod requests;
mod session;

pub(crate) use connection::serve;
pub(crate) use session::SessionPool;

#[cfg(test)]
pub(crate) mod tests;
