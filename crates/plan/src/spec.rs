//! The description of a Plan, as the control process sends it: JSON, every key present, unknown keys refused, no defaults.
//!
//! Units are in the names: `_ms` milliseconds, `_bytes` bytes. A limit that is absent is `null`, never 0.
//! Defaults, units and spelling are the configuration's business; what stands here is final.

use serde::{Deserialize, Deserializer, Serialize};

/// A key that must be written even when its value is `null`.
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Counts the accepted configurations of one control process' life; shown in `/status`.
    pub version: u64,
    /// Above this resident size of the engine process new work is shed.
    #[serde(deserialize_with = "nullable")]
    pub max_memory_bytes: Option<u64>,
    /// How long removed listeners and a stopping engine wait for open requests.
    pub drain_timeout_ms: u64,
    #[serde(deserialize_with = "nullable")]
    pub access_log: Option<AccessLog>,
    pub listeners: Vec<Listener>,
    pub pools: Vec<Pool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// A file; `null` is standard output.
    #[serde(deserialize_with = "nullable")]
    pub path: Option<String>,
    pub format: LogFormat,
    /// Share of requests that are logged, 0 to 1.
    pub sample: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Json,
    Combined,
    /// Text with `{field}` references; `{{` and `}}` are literal braces.
    Template(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    pub name: String,
    /// At least one; the texts are unique over all listeners of a Spec.
    pub binds: Vec<Bind>,
    pub socket: SocketOptions,
    pub http: HttpOptions,
    /// Networks (CIDR or single addresses) whose word about the client is believed.
    pub trusted: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub max_connections: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub max_connections_per_client: Option<u64>,
    pub timeouts: ListenerTimeouts,
    /// In file order. A listener with `pool:` has one route that matches everything.
    pub routes: Vec<Route>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// As written in the configuration: the socket's stable id.
    pub text: String,
    pub address: BindAddress,
    /// For port 0: the port taken in an earlier life of this bind, to be taken again.
    #[serde(deserialize_with = "nullable")]
    pub port_hint: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BindAddress {
    /// IPv4 and IPv6 on this port (`:443`): one dual-stack socket; IPv4 only where the machine has no IPv6.
    Any { port: u16 },
    /// One address: `0.0.0.0:443`, `[::1]:443` (an IPv6 address is bound with IPV6_V6ONLY).
    Ip { address: std::net::SocketAddr },
    Unix { path: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketOptions {
    pub backlog: u32,
    /// TCP keep-alive idle time; `null` switches it off.
    #[serde(deserialize_with = "nullable")]
    pub keepalive_ms: Option<u64>,
    /// File mode of Unix sockets, e.g. 0o660.
    #[serde(deserialize_with = "nullable")]
    pub mode: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    pub max_header_bytes: u64,
    pub max_headers: u64,
    #[serde(deserialize_with = "nullable")]
    pub max_body_bytes: Option<u64>,
    pub encoded_slashes: EncodedSlashes,
    /// The pseudonym for `Via`; `null` sends none.
    #[serde(deserialize_with = "nullable")]
    pub via: Option<String>,
    /// A client's FIN before its answer counts as gone.
    pub abort_on_close: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlashes {
    Keep,
    Refuse,
    Decode,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTimeouts {
    pub header_ms: u64,
    pub body_ms: u64,
    pub write_ms: u64,
    pub idle_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `null`: the id is made from the match.
    #[serde(deserialize_with = "nullable")]
    pub name: Option<String>,
    pub r#match: Match,
    /// Higher wins before anything else is compared.
    pub priority: i64,
    /// A pool's name.
    pub pool: String,
    pub request: RequestOptions,
    /// `null`: the listener's.
    #[serde(deserialize_with = "nullable")]
    pub max_body_bytes: Option<u64>,
    pub access_log: bool,
    pub timeouts: RouteTimeouts,
}

/// All that is given must hold; an empty list is "not given".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Exact names or `*.` wildcards, any of them. Lower case, without port.
    pub hosts: Vec<String>,
    /// Any of them.
    pub paths: Vec<PathMatch>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// `/x` exact, `/x/*` itself and all below, `*` inside exactly one segment.
    Pattern(String),
    /// Rust's syntax, unanchored.
    Regex(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestOptions {
    /// Header that carries the request id; `null` switches it off.
    #[serde(deserialize_with = "nullable")]
    pub id: Option<String>,
    pub forwarded: Forwarded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forwarded {
    XForwarded,
    Forwarded,
    Both,
    None,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteTimeouts {
    #[serde(deserialize_with = "nullable")]
    pub request_ms: Option<u64>,
    pub response_ms: u64,
    pub stream_idle_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    pub name: String,
    pub algorithm: Algorithm,
    /// Literal addresses only; what is resolved or discovered comes by `members`.
    pub backends: Vec<Backend>,
    /// More backends come by `members`: until they do, the pool may be empty.
    pub resolved: bool,
    pub drain_ms: u64,
    pub idle_connections: IdleConnections,
    pub timeouts: PoolTimeouts,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    RoundRobin,
    /// Plain and weighted alike: (active + 1) / weight.
    LeastConnections,
    /// The better of two, by least connections.
    Random,
    /// The first in order with a free slot.
    First,
}

/// A member of a pool. `id` is pool-wide unique: `name`, else the address as written, else `name:port@ip`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    pub id: String,
    pub address: BackendAddress,
    /// 0 to 65535; 0 takes no new work.
    pub weight: u32,
    /// Requests at once over all workers.
    #[serde(deserialize_with = "nullable")]
    pub max_in_flight: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendAddress {
    Ip(std::net::SocketAddr),
    Unix(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleConnections {
    /// Kept at the most for each backend, over all workers.
    pub max: u64,
    pub timeout_ms: u64,
    /// Requests on one connection; `null` is unlimited.
    #[serde(deserialize_with = "nullable")]
    pub max_uses: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolTimeouts {
    pub connect_ms: u64,
    pub tunnel_ms: u64,
}

/// The whole membership of a pool with `resolved`, literal backends included. Replaces the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    pub pool: String,
    /// Grows with each list of a pool; an older one than the last taken is ignored.
    pub generation: u64,
    pub backends: Vec<Backend>,
}
