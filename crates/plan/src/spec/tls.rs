//! TLS, as it is spoken with clients and with backends.

use serde::{Deserialize, Serialize};

use super::nullable;

/// How a listener terminates TLS. Certificates are named here and come apart from the description: they have keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// By the name that the client asks for; the first is for all others. At least one.
    pub certificates: Vec<String>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// How TLS is spoken with a pool's backends. Authorities and the certificate come apart from the description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTls {
    /// The name that their certificates have to hold for, and that is asked for; `null`: each backend's own host.
    #[serde(deserialize_with = "nullable")]
    pub server_name: Option<String>,
    /// By the certificate of this name they know us; `null`: they don't.
    #[serde(deserialize_with = "nullable")]
    pub certificate: Option<String>,
    /// Whether their certificates are looked at.
    pub verify: bool,
    /// Authorities of the pool's own vouch for them, else the system's.
    pub own_authorities: bool,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Protocols that are offered (RFC 7301), the best first; none: nothing is said of them.
    pub alpn: Vec<String>,
}
