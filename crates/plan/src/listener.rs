//! A listener: where it binds, what it demands of its clients, and the routes behind it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fairlead_wire::Refusal;
use fairlead_wire::http1::Limits;
use fairlead_wire::path::{EncodedSlashes, normalise};

use crate::error::{Errors, Place};
use crate::networks::Networks;
use crate::route::Route;
use crate::router::{Router, Step};
use crate::spec;

/// One listener, over all its sockets.
#[derive(Debug)]
pub struct Listener {
    /// Its stable id.
    pub name: Arc<str>,
    /// What its clients speak.
    pub protocol: spec::Protocol,
    /// Where it listens; a socket's stable id is its text.
    pub binds: Vec<spec::Bind>,
    /// How its sockets are made.
    pub socket: SocketOptions,
    /// How TLS is terminated; `None`: it isn't.
    pub tls: Option<spec::Tls>,
    /// What requests may look like and how they are treated.
    pub http: HttpOptions,
    /// Whose word about the client is believed.
    pub trusted: Networks,
    /// Whether those say it in a PROXY header.
    pub accept_proxy: spec::AcceptProxy,
    /// Open connections, or sessions of UDP, over all workers; `None` leaves it to the file descriptors.
    pub max_connections: Option<u64>,
    /// Open connections of one client address over all workers.
    pub max_connections_per_client: Option<u64>,
    /// How long its clients may take.
    pub timeouts: ListenerTimeouts,
    /// Finds a request's route.
    pub router: Router,
    /// What [`Router::route`] gives an index of; in file order.
    pub routes: Vec<Arc<Route>>,
}

/// How sockets are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketOptions {
    /// Connections that wait to be accepted.
    pub backlog: u32,
    /// A client that was here before may send its first bytes with its SYN (RFC 7413).
    pub fast_open: bool,
    /// Idle time before TCP keep-alive probes; `None` sends none.
    pub keepalive: Option<Duration>,
    /// File mode of Unix sockets; `None` leaves it to the umask.
    pub mode: Option<u32>,
    /// Backends are connected to from the client's address.
    pub transparent: bool,
}

/// What requests may look like and how they are treated.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// What is spoken.
    pub versions: Versions,
    /// Size and number of header fields.
    pub limits: Limits,
    /// Bytes of a request's body, where its route says nothing else.
    pub max_body: Option<u64>,
    /// What `%2F` in a path is.
    pub encoded_slashes: EncodedSlashes,
    /// The pseudonym for `Via`; `None` sends none.
    pub via: Option<Box<[u8]>>,
    /// A client's FIN before its answer counts as gone.
    pub abort_on_close: bool,
}

/// Which versions of HTTP a listener's clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// HTTP/1.1, and 1.0.
    Http1,
    /// HTTP/2, from the first byte on.
    Http2,
    /// Either, as each client begins.
    Both,
}

/// How long clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerTimeouts {
    /// Until a TLS handshake is over.
    pub tls_handshake: Duration,
    /// Until a request's head is complete.
    pub header: Duration,
    /// The longest gap in a request's body.
    pub body: Duration,
    /// The longest gap while an answer waits to be taken.
    pub write: Duration,
    /// Between requests.
    pub idle: Duration,
}

/// Why a request takes its route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The path that routes are compared with.
    pub path: Vec<u8>,
    /// Index of the route in [`Listener::routes`]; `None`: no route.
    pub route: Option<usize>,
    /// What each route said.
    pub steps: Vec<Step>,
}

impl Listener {
    /// Whether a client understands an answer of HTTP before anything else was said.
    #[must_use]
    pub fn speaks_clear_http(&self) -> bool {
        self.protocol == spec::Protocol::Http && self.tls.is_none()
    }

    /// What would become of a request for this host and target, path and query as received.
    pub fn explain(&self, host: &[u8], target: &[u8]) -> Result<Explanation, Refusal> {
        let raw = target.split(|&byte| byte == b'?').next().unwrap_or_default();
        let mut path = Vec::with_capacity(raw.len());
        normalise(raw, self.http.encoded_slashes, &mut path)?;
        let (route, steps) = (self.router.route(host, &path), self.router.trace(host, &path));
        Ok(Explanation { path, route, steps })
    }

    /// `pools` finds a pool's index in the Plan by its name.
    pub(crate) fn build(
        spec: &spec::Listener,
        pools: &HashMap<&str, usize>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let listeners = Place::root("listeners");
        let at = listeners.key(&spec.name);
        check_binds(spec, at, errors);
        check_limits(spec, at, errors);
        check_protocol(spec, at, errors);
        check_versions(spec, at, errors);
        check_tls(spec, at, errors);
        let trusted = trusted(spec, at, errors);
        let http = http_options(&spec.http);
        let routes = Route::build_all(spec, at, pools, errors);
        let (rules, routes): (Vec<_>, Vec<_>) = routes?.into_iter().unzip();
        Some(Self {
            name: spec.name.as_str().into(),
            protocol: spec.protocol,
            binds: spec.binds.clone(),
            socket: SocketOptions {
                backlog: spec.socket.backlog,
                fast_open: spec.socket.fast_open,
                keepalive: spec.socket.keepalive_ms.map(Duration::from_millis),
                mode: spec.socket.mode,
                transparent: spec.socket.transparent,
            },
            tls: spec.tls.clone(),
            http,
            trusted: trusted?,
            accept_proxy: spec.accept_proxy,
            max_connections: match spec.protocol {
                spec::Protocol::Udp(udp) => Some(udp.max_sessions),
                _ => spec.max_connections,
            },
            max_connections_per_client: spec.max_connections_per_client,
            timeouts: ListenerTimeouts {
                tls_handshake: Duration::from_millis(spec.timeouts.tls_handshake_ms),
                header: Duration::from_millis(spec.timeouts.header_ms),
                body: Duration::from_millis(spec.timeouts.body_ms),
                write: Duration::from_millis(spec.timeouts.write_ms),
                idle: Duration::from_millis(spec.timeouts.idle_ms),
            },
            router: Router::build(rules),
            routes,
        })
    }
}

fn http_options(spec: &spec::HttpOptions) -> HttpOptions {
    HttpOptions {
        versions: versions(&spec.versions),
        limits: Limits { max_bytes: spec.max_header_bytes as usize, max_fields: spec.max_headers as usize },
        max_body: spec.max_body_bytes,
        encoded_slashes: encoded_slashes(spec.encoded_slashes),
        via: spec.via.as_ref().map(|pseudonym| pseudonym.as_bytes().into()),
        abort_on_close: spec.abort_on_close,
    }
}

fn versions(spec: &[spec::HttpVersion]) -> Versions {
    match (spec.contains(&spec::HttpVersion::Http1), spec.contains(&spec::HttpVersion::Http2)) {
        (_, false) => Versions::Http1,
        (false, true) => Versions::Http2,
        (true, true) => Versions::Both,
    }
}

pub(crate) fn encoded_slashes(spec: spec::EncodedSlashes) -> EncodedSlashes {
    match spec {
        spec::EncodedSlashes::Keep => EncodedSlashes::Keep,
        spec::EncodedSlashes::Refuse => EncodedSlashes::Refuse,
        spec::EncodedSlashes::Decode => EncodedSlashes::Decode,
    }
}

fn trusted(spec: &spec::Listener, at: Place<'_>, errors: &mut Errors) -> Option<Networks> {
    let at = at.key("trusted");
    // One by one first, so that each bad one is named.
    for (index, text) in spec.trusted.iter().enumerate() {
        errors.take(at.index(index), Networks::parse([text.as_str()]));
    }
    Networks::parse(spec.trusted.iter().map(String::as_str)).ok()
}

fn check_binds(spec: &spec::Listener, at: Place<'_>, errors: &mut Errors) {
    let at = at.key("bind");
    if spec.binds.is_empty() {
        errors.add(at, "a listener needs an address to bind");
    }
    for (index, bind) in spec.binds.iter().enumerate() {
        if matches!(&bind.address, spec::BindAddress::Unix { path } if path.is_empty()) {
            errors.add(at.item(index, spec.binds.len()), "a Unix socket needs a path");
        }
    }
}

/// Places in a head are kept in 32 bits.
const MAX_HEAD: u64 = u32::MAX as u64;

fn check_protocol(spec: &spec::Listener, at: Place<'_>, errors: &mut Errors) {
    if spec.socket.transparent && !matches!(spec.protocol, spec::Protocol::Tcp { .. }) {
        let message = "is for tcp: a connection to a backend serves the requests of many clients";
        let socket = at.key("socket");
        errors.add(socket.key("transparent"), message);
    }
    match spec.protocol {
        spec::Protocol::Http => {}
        spec::Protocol::Tcp { sni } => check_tcp(spec, sni, at, errors),
        spec::Protocol::Udp(udp) => check_udp(spec, udp, at, errors),
    }
}

/// Of a connection nothing is known that could choose between routes, but the name in its ClientHello.
fn check_tcp(spec: &spec::Listener, sni: bool, at: Place<'_>, errors: &mut Errors) {
    let by_host = spec.routes.iter().any(|route| !route.r#match.hosts.is_empty());
    let by_path = spec.routes.iter().any(|route| !route.r#match.paths.is_empty());
    if by_path || (by_host && !sni) || (!sni && spec.routes.len() != 1) {
        errors.add(
            at.key("routes"),
            "a tcp listener reads no requests to route: one pool, or one for each name",
        );
    }
    if spec.accept_proxy == spec::AcceptProxy::Optional {
        let message = "optional is for http: what a tcp client sends first could be taken for a header";
        errors.add(at.key("accept_proxy"), message);
    }
}

fn check_tls(spec: &spec::Listener, at: Place<'_>, errors: &mut Errors) {
    let Some(tls) = &spec.tls else { return };
    if matches!(spec.protocol, spec::Protocol::Tcp { sni: true }) {
        errors.add(at.key("tls"), "terminates TLS, which sni passes through: only one of them may be");
    }
    if matches!(spec.protocol, spec::Protocol::Udp(_)) {
        errors.add(at.key("tls"), "is for http and tcp: of DTLS nothing is spoken");
    }
    if tls.certificates.is_empty() {
        let at = at.key("tls");
        errors.add(at.key("certificates"), "a listener that terminates TLS needs a certificate");
    }
}

/// Datagrams have neither a name nor anything before them that says whose they are.
fn check_udp(spec: &spec::Listener, udp: spec::UdpOptions, at: Place<'_>, errors: &mut Errors) {
    let by_match =
        spec.routes.iter().any(|route| !route.r#match.hosts.is_empty() || !route.r#match.paths.is_empty());
    if by_match || spec.routes.len() != 1 {
        errors.add(at.key("routes"), "a udp listener reads no requests to route: one pool");
    }
    if spec.accept_proxy != spec::AcceptProxy::None {
        errors.add(at.key("accept_proxy"), "is for http and tcp: nothing comes before a datagram");
    }
    let binds = at.key("bind");
    for (index, bind) in spec.binds.iter().enumerate() {
        if matches!(bind.address, spec::BindAddress::Unix { .. }) {
            errors.add(binds.item(index, spec.binds.len()), "a udp listener needs an IP address and a port");
        }
    }
    let at = at.key("udp");
    let limits = [
        ("session_timeout", Some(udp.session_timeout_ms)),
        ("max_sessions", Some(udp.max_sessions)),
        ("responses", udp.responses.map(u64::from)),
    ];
    for (key, limit) in limits {
        if limit == Some(0) {
            errors.add(at.key(key), "must be at least 1");
        }
    }
}

fn check_versions(spec: &spec::Listener, at: Place<'_>, errors: &mut Errors) {
    if spec.http.versions.is_empty() {
        errors.add(at.key("http").key("versions"), "a listener speaks at least one version");
    }
}

/// A limit that is absent is `null`; one of 0 would refuse every request.
fn check_limits(spec: &spec::Listener, at: Place<'_>, errors: &mut Errors) {
    let http = at.key("http");
    let limits = [
        (at.key("max_connections"), spec.max_connections),
        (at.key("max_connections_per_client"), spec.max_connections_per_client),
        (http.key("max_header_size"), Some(spec.http.max_header_bytes)),
        (http.key("max_headers"), Some(spec.http.max_headers)),
    ];
    for (at, limit) in limits {
        if limit == Some(0) {
            errors.add(at, "must be at least 1: 0 would refuse everything");
        }
    }
    if spec.http.max_header_bytes > MAX_HEAD {
        errors.add(http.key("max_header_size"), "must be below 4 GiB");
    }
}
