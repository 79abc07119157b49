//! What is known of a request, or of a session, when it is over.

use std::net::IpAddr;
use std::time::Duration;

use fairlead_plan as plan;

use crate::published::{LocalListener, LocalRoute};

/// Whose fault it is that a request did not get its backend's whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Nobody's: it did.
    None,
    Client,
    Upstream,
    Fairlead,
    Network,
}

impl Blame {
    /// As the access log writes it; nothing for nobody.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Client => Some("client"),
            Self::Upstream => Some("upstream"),
            Self::Fairlead => Some("fairlead"),
            Self::Network => Some("network"),
        }
    }
}

/// A request that is over. Text is as received: the log escapes it.
pub(crate) struct Record<'a> {
    pub(crate) listener: &'a LocalListener,
    pub(crate) route: Option<&'a LocalRoute>,
    /// The one that answered, or was tried last.
    pub(crate) backend: Option<&'a plan::Backend>,
    /// `None` came by a Unix socket and nobody trusted said more.
    pub(crate) client: Option<IpAddr>,
    pub(crate) method: &'a [u8],
    /// Path and query.
    pub(crate) path: &'a [u8],
    /// `HTTP/1.0` or `HTTP/1.1`; `TCP` or `UDP` of a session.
    pub(crate) protocol: &'static str,
    /// Of a session the name in its ClientHello.
    pub(crate) host: &'a [u8],
    /// 0: no answer was begun.
    pub(crate) status: u16,
    /// Of bodies.
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    /// From its first byte to its answer's last.
    pub(crate) duration: Duration,
    /// From the first byte of the request to the first of the answer.
    pub(crate) ttfb: Option<Duration>,
    pub(crate) upstream_connect: Option<Duration>,
    /// How many backends it was sent to.
    pub(crate) tries: u32,
    pub(crate) request_id: &'a [u8],
    /// Empty: nothing to say.
    pub(crate) reason: &'static str,
    pub(crate) blame: Blame,
    pub(crate) user_agent: &'a [u8],
    pub(crate) referer: &'a [u8],
    /// An answer was begun and could not be ended.
    pub(crate) incomplete: bool,
}
