//! What is spoken at a listener, and what a proxy says before anything is.

use serde::{Deserialize, Serialize};

/// What clients of a listener speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Requests, each of which takes its route.
    Http,
    /// Anything: a connection takes its route as a whole.
    Tcp {
        /// By the name in its ClientHello; else the first route is everybody's.
        sni: bool,
    },
}

/// Whether a trusted proxy says who the client is, in a PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptProxy {
    /// It doesn't: such a header is the client's own bytes.
    None,
    /// It may.
    Optional,
    /// It does, and whoever doesn't is no proxy.
    Required,
}

/// The version of PROXY in which a backend is told who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendProxy {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}
