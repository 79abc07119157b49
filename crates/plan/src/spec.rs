//! The description of a Plan, as the control process sends it: JSON, every key present, unknown keys refused, no defaults.
//!
//! Units are in the names: `_ms` milliseconds, `_bytes` bytes. A limit that is absent is `null`, never 0.
//! Defaults, units and spelling are the configuration's business; what stands here is final.

mod affinity;
mod algorithm;
mod breaker;
mod check;
mod health;
mod hedge;
mod max_in_flight;
mod queue;
mod retry;
mod stream;
mod tls;

use serde::{Deserialize, Deserializer, Serialize};

pub use affinity::{
    Affinity, AffinityCookie, AffinityKey, AffinityLearn, AffinityTable, OnFailure, SameSite, SecureCookie,
};
pub use algorithm::{Algorithm, Average, HashTable, KeyPart, LeastTime, Score};
pub use breaker::CircuitBreaker;
pub use check::{BodyTest, HeaderTest, HealthCheck, HttpProbe, Probe, ProbeMethod};
pub use health::PassiveHealth;
pub use hedge::{Hedge, HedgeAfter};
pub use max_in_flight::{Adaptive, Bounds, MaxInFlight};
pub use queue::Queue;
pub use retry::{Retry, RetryMethods};
pub use stream::{AcceptProxy, Protocol, SendProxy, UdpOptions};
pub use tls::{Tls, TlsVersion, UpstreamTls};

/// Reads a key that must be written even when its value is `null`.
pub fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
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
    /// Where we are: backends of the same zone come first.
    #[serde(deserialize_with = "nullable")]
    pub zone: Option<String>,
    /// `null` logs nothing.
    #[serde(deserialize_with = "nullable")]
    pub access_log: Option<AccessLog>,
    /// In file order; names are unique.
    pub listeners: Vec<Listener>,
    /// In file order; names are unique.
    pub pools: Vec<Pool>,
}

/// Where requests are logged, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// A file; `null` is standard output.
    #[serde(deserialize_with = "nullable")]
    pub path: Option<String>,
    /// What a line looks like.
    pub format: LogFormat,
    /// Share of requests that are logged, 0 to 1.
    pub sample: f64,
}

/// What a line of the access log looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One object a line.
    Json,
    /// The "combined" format of the Apache HTTP server.
    Combined,
    /// Text with `{field}` references; `{{` and `}}` are literal braces.
    Template(String),
}

/// A listener: where it binds, what it demands of clients, its routes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The listener's stable id.
    pub name: String,
    /// What its clients speak.
    pub protocol: Protocol,
    /// At least one; the texts are unique over all listeners of a Spec that are UDP, and over all that aren't.
    pub binds: Vec<Bind>,
    /// How its sockets are made.
    pub socket: SocketOptions,
    /// How TLS is terminated; `null`: it isn't.
    #[serde(deserialize_with = "nullable")]
    pub tls: Option<Tls>,
    /// What requests may look like.
    pub http: HttpOptions,
    /// Networks (CIDR or single addresses) whose word about the client is believed.
    pub trusted: Vec<String>,
    /// Whether those say so in a PROXY header.
    pub accept_proxy: AcceptProxy,
    /// Open connections over all workers.
    #[serde(deserialize_with = "nullable")]
    pub max_connections: Option<u64>,
    /// Open connections of one client address over all workers.
    #[serde(deserialize_with = "nullable")]
    pub max_connections_per_client: Option<u64>,
    /// How long clients may take.
    pub timeouts: ListenerTimeouts,
    /// In file order. A listener with `pool:` has one route that matches everything, one with `sni:` a route a name.
    pub routes: Vec<Route>,
}

/// One address that a listener binds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// As written in the configuration: the socket's stable id.
    pub text: String,
    /// What the text means.
    pub address: BindAddress,
    /// For port 0: the port taken in an earlier life of this bind, to be taken again.
    #[serde(deserialize_with = "nullable")]
    pub port_hint: Option<u16>,
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BindAddress {
    /// IPv4 and IPv6 on this port (`:443`): one dual-stack socket; IPv4 only where the machine has no IPv6.
    Any {
        /// 0 takes a free one.
        port: u16,
    },
    /// One address: `0.0.0.0:443`, `[::1]:443` (an IPv6 address is bound with `IPV6_V6ONLY`).
    Ip {
        /// Port 0 takes a free one.
        address: std::net::SocketAddr,
    },
    /// A Unix socket's file.
    Unix {
        /// As it is opened.
        path: String,
    },
}

/// How sockets are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketOptions {
    /// Connections that wait to be accepted.
    pub backlog: u32,
    /// A client that was here before may send its first bytes with its SYN (RFC 7413).
    pub fast_open: bool,
    /// TCP keep-alive idle time; `null` switches it off.
    #[serde(deserialize_with = "nullable")]
    pub keepalive_ms: Option<u64>,
    /// File mode of Unix sockets, e.g. 0o660.
    #[serde(deserialize_with = "nullable")]
    pub mode: Option<u32>,
    /// Backends are connected to from the client's address.
    pub transparent: bool,
}

/// What requests may look like and how they are treated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    /// What is spoken.
    pub versions: Vec<HttpVersion>,
    /// Of the whole head, start line included.
    pub max_header_bytes: u64,
    /// Header fields of a request.
    pub max_headers: u64,
    /// Bytes of a request's body.
    #[serde(deserialize_with = "nullable")]
    pub max_body_bytes: Option<u64>,
    /// What `%2F` in a path is.
    pub encoded_slashes: EncodedSlashes,
    /// The pseudonym for `Via`; `null` sends none.
    #[serde(deserialize_with = "nullable")]
    pub via: Option<String>,
    /// A client's FIN before its answer counts as gone.
    pub abort_on_close: bool,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpVersion {
    /// HTTP/1.1, and 1.0.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What `%2F` in a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlashes {
    /// A character like any other, no separator.
    Keep,
    /// A reason to answer 400.
    Refuse,
    /// A separator.
    Decode,
}

/// How long clients may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTimeouts {
    /// Until a TLS handshake is over.
    pub tls_handshake_ms: u64,
    /// Until a request's head is complete.
    pub header_ms: u64,
    /// The longest gap in a request's body.
    pub body_ms: u64,
    /// The longest gap while an answer waits to be taken.
    pub write_ms: u64,
    /// Between requests.
    pub idle_ms: u64,
}

/// What matching requests may do and where they go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `null`: the id is made from the match.
    #[serde(deserialize_with = "nullable")]
    pub name: Option<String>,
    /// Which requests.
    pub r#match: Match,
    /// Higher wins before anything else is compared.
    pub priority: i64,
    /// A pool's name.
    pub pool: String,
    /// What is done to requests.
    pub request: RequestOptions,
    /// `null`: the listener's.
    #[serde(deserialize_with = "nullable")]
    pub max_body_bytes: Option<u64>,
    /// Whether its requests are logged.
    pub access_log: bool,
    /// How long requests may take.
    pub timeouts: RouteTimeouts,
    /// `null`: after connect failures, and once after a reset of a safe request.
    #[serde(deserialize_with = "nullable")]
    pub retry: Option<Retry>,
    /// `null`: no request has two tries at a time.
    #[serde(deserialize_with = "nullable")]
    pub hedge: Option<Hedge>,
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

/// A condition on the normalised path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// `/x` exact, `/x/*` itself and all below, `*` inside exactly one segment.
    Pattern(String),
    /// Rust's syntax, unanchored.
    Regex(String),
}

/// What is done to requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestOptions {
    /// Header that carries the request id; `null` switches it off.
    #[serde(deserialize_with = "nullable")]
    pub id: Option<String>,
    /// Which forwarding fields backends get.
    pub forwarded: Forwarded,
}

/// Which fields tell backends who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forwarded {
    /// `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// Both kinds.
    Both,
    /// None of them.
    None,
}

/// How long requests may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteTimeouts {
    /// Everything, tunnels exempt.
    #[serde(deserialize_with = "nullable")]
    pub request_ms: Option<u64>,
    /// From the request's last byte to the answer's head.
    pub response_ms: u64,
    /// The longest gap within an answer.
    pub stream_idle_ms: u64,
}

/// Who serves, by which algorithm, and how its connections are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The pool's stable id.
    pub name: String,
    /// How a backend is picked.
    pub algorithm: Algorithm,
    /// Literal addresses only; what is resolved or discovered comes by `members`.
    pub backends: Vec<Backend>,
    /// More backends come by `members`: until they do, the pool may be empty.
    pub resolved: bool,
    /// How long backends that left may finish what they have.
    pub drain_ms: u64,
    /// How idle connections are kept.
    pub idle_connections: IdleConnections,
    /// How long its backends may take.
    pub timeouts: PoolTimeouts,
    /// `null`: backends aren't told who the client is.
    #[serde(deserialize_with = "nullable")]
    pub send_proxy: Option<SendProxy>,
    /// `null`: they are spoken to in the clear.
    #[serde(deserialize_with = "nullable")]
    pub tls: Option<UpstreamTls>,
    /// `null`: a request is refused while all are full.
    #[serde(deserialize_with = "nullable")]
    pub queue: Option<Queue>,
    /// `null`: backends aren't checked.
    #[serde(deserialize_with = "nullable")]
    pub health_check: Option<HealthCheck>,
    /// `null`: a client's requests may go anywhere.
    #[serde(deserialize_with = "nullable")]
    pub affinity: Option<Affinity>,
    /// `null`: traffic isn't judged.
    #[serde(deserialize_with = "nullable")]
    pub passive_health: Option<PassiveHealth>,
    /// Where fewer of the backends are usable than this part, those that fail are sent to as well; 0: never.
    pub panic_threshold_thousandths: u32,
    /// Over what time the share of a backend that joined or recovered grows; 0: at once.
    pub slow_start_ms: u64,
    /// `null`: none.
    #[serde(deserialize_with = "nullable")]
    pub circuit_breaker: Option<CircuitBreaker>,
}

/// A member of a pool. `id` is pool-wide unique: `name`, else the address as written, else `name:port@ip`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Unique in its pool.
    pub id: String,
    /// What hash tables know it by: `name` if given, else the address.
    pub hash_name: String,
    /// Where it is reached.
    pub address: BackendAddress,
    /// The name that its address was found by, if it was.
    #[serde(deserialize_with = "nullable")]
    pub host: Option<String>,
    /// 0 to 65535; 0 takes no new work.
    pub weight: u32,
    /// Requests at once over all workers.
    #[serde(deserialize_with = "nullable")]
    pub max_in_flight: Option<MaxInFlight>,
    /// Where it is.
    #[serde(deserialize_with = "nullable")]
    pub zone: Option<String>,
    /// Helps out only when no other can be used.
    pub backup: bool,
}

/// Where a backend is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendAddress {
    /// Over TCP.
    Ip(std::net::SocketAddr),
    /// A Unix socket's file.
    Unix(String),
}

/// How idle connections to a backend are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleConnections {
    /// Kept at the most for each backend, over all workers.
    pub max: u64,
    /// How long one is kept.
    pub timeout_ms: u64,
    /// Requests on one connection; `null` is unlimited.
    #[serde(deserialize_with = "nullable")]
    pub max_uses: Option<u64>,
}

/// How long a pool's backends may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolTimeouts {
    /// Until a connection stands.
    pub connect_ms: u64,
    /// The longest gap in an upgraded or a TCP session.
    pub tunnel_ms: u64,
}

/// The whole membership of a pool with `resolved`, literal backends included. Replaces the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// The pool's name.
    pub pool: String,
    /// Grows with each list of a pool; an older one than the last taken is ignored.
    pub generation: u64,
    /// All of them.
    pub backends: Vec<Backend>,
}
