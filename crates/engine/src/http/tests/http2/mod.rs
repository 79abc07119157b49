//! HTTP/2 from clients, to backends of HTTP/1.1.

mod abuse;
mod bodies;
mod client;
mod connections;
mod requests;

use super::{Proxy, listener};

/// A proxy whose listener speaks both versions.
fn start() -> Proxy {
    with(|_| {})
}

/// The same, with `change` made to its description.
fn with(change: impl FnOnce(&mut serde_json::Value)) -> Proxy {
    Proxy::with(1, |spec| {
        listener(spec)["http"]["versions"] = vec!["http1", "http2"].into();
        change(spec);
    })
}
