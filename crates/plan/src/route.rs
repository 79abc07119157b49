//! A route: what a matching request may do and where it goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::HedgePolicy;

use crate::digest::Digest;
use crate::error::{Errors, Place};
use crate::hedge;
use crate::listener::encoded_slashes;
use crate::retry::Retry;
use crate::router::Rule;
use crate::spec;

/// What becomes of the requests that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Stable over reloads and unique in the listener: its name, or `~` and a digest of its match.
    pub id: Arc<str>,
    /// Index of its pool in [`Plan::pools`](crate::Plan::pools).
    pub pool: usize,
    /// The field that carries the request id; `None` switches it off.
    pub request_id: Option<Arc<[u8]>>,
    /// Which forwarding fields backends get.
    pub forwarded: spec::Forwarded,
    /// Bytes of a request's body: the route's own limit, else the listener's.
    pub max_body: Option<u64>,
    /// Whether its requests are logged.
    pub access_log: bool,
    /// How long a request may take.
    pub timeouts: RouteTimeouts,
    /// Which of its requests are tried again.
    pub retry: Retry,
    /// When a second try is made beside the first.
    pub hedge: Option<HedgePolicy>,
}

/// How long a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// Everything, tunnels exempt.
    pub request: Option<Duration>,
    /// From the request's last byte to the answer's head.
    pub response: Duration,
    /// The longest gap within an answer.
    pub stream_idle: Duration,
}

impl Route {
    /// The routes of a listener with what they match, in file order.
    pub(crate) fn build_all(
        listener: &spec::Listener,
        at: Place<'_>,
        pools: &HashMap<&str, usize>,
        errors: &mut Errors,
    ) -> Option<Vec<(Rule, Arc<Self>)>> {
        let at = at.key("routes");
        let slashes = encoded_slashes(listener.http.encoded_slashes);
        let mut names = Names::default();
        let mut routes = Vec::with_capacity(listener.routes.len());
        let mut complete = true;
        for (index, spec) in listener.routes.iter().enumerate() {
            let at = at.index(index);
            let id = names.id(spec, at, errors);
            let rule = Rule::build(spec, at, slashes, errors);
            let pool = pools.get(spec.pool.as_str()).copied();
            if pool.is_none() {
                errors.add(at.key("pool"), format_args!("there is no pool {:?}", spec.pool));
            }
            if let Some(name) = spec.request.id.as_deref().filter(|name| !is_token(name)) {
                let request = at.key("request");
                errors.add(request.key("id"), format_args!("{name:?} is no name of a header"));
            }
            if let Some(retry) = &spec.retry {
                Retry::check(retry, at.key("retry"), errors);
            }
            if let Some(hedge) = spec.hedge {
                hedge::check(hedge, at.key("hedge"), errors);
            }
            match (id, rule, pool) {
                (Some(id), Some(rule), Some(pool)) => {
                    let field = spec.request.id.as_deref().map(|name| names.field(name));
                    routes.push((rule, Arc::new(Self::build(spec, listener, field, id, pool))));
                }
                _ => complete = false,
            }
        }
        complete.then_some(routes)
    }

    fn build(
        spec: &spec::Route,
        listener: &spec::Listener,
        request_id: Option<Arc<[u8]>>,
        id: Arc<str>,
        pool: usize,
    ) -> Self {
        Self {
            id,
            pool,
            request_id,
            forwarded: spec.request.forwarded,
            max_body: spec.max_body_bytes.or(listener.http.max_body_bytes),
            access_log: spec.access_log,
            timeouts: RouteTimeouts {
                request: spec.timeouts.request_ms.map(Duration::from_millis),
                response: Duration::from_millis(spec.timeouts.response_ms),
                stream_idle: Duration::from_millis(spec.timeouts.stream_idle_ms),
            },
            retry: Retry::build(spec.retry.as_ref()),
            hedge: spec.hedge.map(hedge::build),
        }
    }
}

/// A field's name is a token (RFC 9110 5.6.2).
pub(crate) fn is_token(name: &str) -> bool {
    let extra = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra(byte))
}

/// Ids given so far in a listener.
#[derive(Default)]
struct Names<'a> {
    named: HashSet<&'a str>,
    unnamed: HashMap<u64, usize>,
    fields: HashMap<&'a str, Arc<[u8]>>,
}

impl<'a> Names<'a> {
    fn id(&mut self, spec: &'a spec::Route, at: Place<'_>, errors: &mut Errors) -> Option<Arc<str>> {
        let Some(name) = &spec.name else { return Some(self.unnamed(spec)) };
        let new = self.named.insert(name);
        if !new {
            errors.add(at.key("name"), format_args!("another route of this listener is named {name:?}"));
        }
        new.then(|| name.as_str().into())
    }

    /// One copy for all routes that name the same field: ten thousand of them then share its cache line.
    fn field(&mut self, name: &'a str) -> Arc<[u8]> {
        Arc::clone(self.fields.entry(name).or_insert_with(|| name.as_bytes().into()))
    }

    /// Of unnamed routes with one match the first in file order is meant by the digest alone; the others can't win at
    /// the same priority and are counted.
    fn unnamed(&mut self, spec: &spec::Route) -> Arc<str> {
        let digest = match_digest(&spec.r#match);
        let nth = self.unnamed.entry(digest).or_default();
        *nth += 1;
        if *nth == 1 { format!("~{digest:016x}").into() } else { format!("~{digest:016x}.{nth}").into() }
    }
}

fn match_digest(spec: &spec::Match) -> u64 {
    let hosts =
        spec.hosts.iter().fold(Digest::new(), |digest, host| digest.part(b"host").part(host.as_bytes()));
    let paths = spec.paths.iter().fold(hosts, |digest, path| match path {
        spec::PathMatch::Pattern(text) => digest.part(b"path").part(text.as_bytes()),
        spec::PathMatch::Regex(text) => digest.part(b"regex").part(text.as_bytes()),
    });
    paths.value()
}
