//! What is spoken at a listener, and what a proxy says before anything is.

use serde::{Deserialize, Serialize};

use super::nullable;

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
    /// Datagrams: those of a client that come soon enough after each other are a session, which has one backend.
    Udp(UdpOptions),
}

/// What a client's datagrams may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UdpOptions {
    /// The longest gap in a session, both ways; at least 1.
    pub session_timeout_ms: u64,
    /// Sessions over all workers; at least 1.
    pub max_sessions: u64,
    /// A session is over when each of its client's datagrams has had so many replies; `null`: by its gap alone.
    #[serde(deserialize_with = "nullable")]
    pub responses: Option<u32>,
}

impl Protocol {
    /// Whether it is spoken over UDP, whose ports are others than those of TCP.
    #[must_use]
    pub const fn is_udp(self) -> bool {
        matches!(self, Self::Udp(_))
    }
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
