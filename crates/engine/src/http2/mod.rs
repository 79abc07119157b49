//! HTTP/2 (RFC 9113) from clients: each stream is one request, and goes the way that requests of HTTP/1.1 go.
//!
//! In the order a request meets them: [`recognise`] tells from a connection's first bytes that it speaks HTTP/2,
//! [`connection`] drives it and starts a task for each stream, [`call`] is what such a stream is to the rest of the engine.
//! Below them, [`transport`] is the connection's bytes as the h2 crate reads and writes them, [`link`] what is collected of
//! them until a turn of the loop is over, [`outbox`] who sends it then, and [`credit`] what a client may ask of us besides
//! requests.

mod call;
mod connection;
mod credit;
mod link;
mod outbox;
mod recognise;
mod transport;

#[cfg(test)]
mod tests;

pub(crate) use call::Call;
pub(crate) use connection::serve;
pub(crate) use outbox::Outbox;
pub(crate) use recognise::recognise;
