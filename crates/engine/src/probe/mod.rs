//! Checks of backends: a question on a connection of its own, and what came of it.
//!
//! In reading order:
//!
//! - this file: one check of one backend, from connecting to a result.
//! - `http`: the question, where it is a request.
//! - `secure`: the same over TLS.
//! - `doer`: asks when it is time to.
//! - `record`: what came of it, for whoever wants to see.

mod doer;
mod http;
mod record;
mod secure;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fairlead_plan::spec::BackendAddress;
use fairlead_plan::{HealthCheck, Mismatch, Probe};
use fairlead_wire::Refusal;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::clock;
use crate::engine::Shared;
use crate::io::Stream;
use crate::telemetry::Key;
use crate::upstream::{DialFailure, classify, open};

pub(crate) use doer::keep_checking;
pub(crate) use record::Checks;
pub(crate) use secure::Secured;
use secure::Spoken;

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) good: bool,
    /// In words for an operator.
    pub(crate) reason: Cow<'static, str>,
    pub(crate) took: Duration,
}

/// What a check found that was made elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// The pool's name.
    pub pool: Arc<str>,
    /// The backend's id.
    pub backend: Arc<str>,
    /// Whether it is well.
    pub good: bool,
    /// In words for an operator.
    pub reason: String,
    /// How long the check took, in milliseconds.
    pub duration_ms: u64,
}

/// What a check found where it found nothing against the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Success {
    #[error("connected")]
    Connected,
    #[error("TLS handshake")]
    Agreed,
    #[error("status {0}")]
    Status(u16),
}

/// Why a check found nothing good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Dial(DialFailure),
    #[error("no connection within {0:?}")]
    NoConnection(Duration),
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
    #[error("answer not complete within {0:?}")]
    Unfinished(Duration),
    #[error("connection closed without an answer")]
    Closed,
    #[error("connection reset")]
    Reset,
    #[error("{0}")]
    Tls(String),
    #[error("{0}")]
    Other(io::ErrorKind),
    #[error("invalid answer: {0}")]
    Malformed(Refusal),
    #[error("head of the answer is above 64 KiB")]
    TooLarge,
    #[error("more than 10 interim answers (1xx) and no final one")]
    Interim,
    #[error("{0}")]
    Mismatch(Mismatch),
}

/// How far a check has come.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Connecting,
    /// Something is sent, or about to be.
    Asking,
    /// The head is here and good.
    Reading,
}

impl Failure {
    /// We were short of something: that says nothing about the backend.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Dial(DialFailure::Resource(_)))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Reset,
            other => Self::Other(other),
        }
    }
}

/// Checks a backend once. Takes no longer than the check may take.
pub(crate) async fn probe(
    check: &HealthCheck,
    backend: &BackendAddress,
    tls: Option<&Secured>,
) -> Result<Success, Failure> {
    let stage = Cell::new(Stage::Connecting);
    let address = check.address(backend);
    match tokio::time::timeout(check.timeout, ask(check, &address, tls, &stage)).await {
        Ok(result) => result,
        Err(_) => Err(match stage.get() {
            Stage::Connecting => Failure::NoConnection(check.timeout),
            Stage::Asking => Failure::NoAnswer(check.timeout),
            Stage::Reading => Failure::Unfinished(check.timeout),
        }),
    }
}

async fn ask(
    check: &HealthCheck,
    address: &BackendAddress,
    tls: Option<&Secured>,
    stage: &Cell<Stage>,
) -> Result<Success, Failure> {
    let stream = open(address, None).await.map_err(|error| Failure::Dial(classify(&error, address)))?;
    if is_own_reflection(&stream, address) {
        return Err(Failure::Dial(DialFailure::Refused));
    }
    // Nothing that was sent matters when it is closed, and a port in TIME_WAIT for each check would add up.
    stream.reset_on_close();
    stage.set(Stage::Asking);
    // A tcp check asks whether somebody listens, whatever is spoken there.
    let tls = tls.filter(|_| !matches!(check.probe, Probe::Tcp));
    let stream = match tls {
        Some(tls) => tls.shake(stream, &check.preface).await?,
        None => stream,
    };
    match stream {
        Stream::Tcp(stream) => converse(check, &check.preface, address, stream, stage).await,
        Stream::Unix(stream) => converse(check, &check.preface, address, stream, stage).await,
        Stream::Tls(stream) => converse(check, &[], address, Spoken::new(*stream), stage).await,
    }
}

async fn converse(
    check: &HealthCheck,
    preface: &[u8],
    address: &BackendAddress,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    stage: &Cell<Stage>,
) -> Result<Success, Failure> {
    match &check.probe {
        Probe::Http(probe) => http::ask(probe, preface, address, &mut stream, stage).await,
        Probe::Tcp | Probe::Exec => {
            stream.write_all(preface).await?;
            Ok(Success::Connected)
        }
        // Its certificate was looked at when it was shown.
        Probe::Tls => {
            stage.set(Stage::Reading);
            Ok(Success::Agreed)
        }
    }
}

/// Where nobody listens on a local port, the system may take this very port to connect from, and TCP lets a socket
/// connect to itself (RFC 9293 3.5): then it is refused all the same.
fn is_own_reflection(stream: &Stream, address: &BackendAddress) -> bool {
    match (stream, address) {
        (Stream::Tcp(stream), BackendAddress::Ip(address)) => {
            stream.local_addr().is_ok_and(|own| own == *address)
        }
        _ => false,
    }
}

impl Shared {
    /// Who is served, or how backends are checked, has changed.
    pub(crate) fn follow_checks(&self) {
        self.checks.changed.notify_one();
    }

    /// Takes what the control process found. One for a pool that isn't checked so is of another configuration.
    pub(crate) fn told(&self, result: CheckResult) -> bool {
        let CheckResult { pool, backend, good, reason, duration_ms } = result;
        let is_wanted = {
            let state = self.state();
            let mut pools = state.plan.iter().flat_map(|plan| &plan.pools);
            let check = pools.find(|known| known.name == pool).and_then(|pool| pool.check.as_ref());
            check.is_some_and(|check| matches!(check.probe, Probe::Exec))
        };
        let took = Duration::from_millis(duration_ms);
        is_wanted && self.found(&(pool, backend), None, Finding { good, reason: reason.into(), took })
    }

    /// Takes what came of a check, wherever it was made, perhaps at a known one of its addresses. `true`: more results are
    /// wanted soon.
    pub(crate) fn found(&self, backend: &Key, incarnation: Option<u32>, finding: Finding) -> bool {
        let (pool, id) = backend;
        let noted = self.checked((pool, id), incarnation, (finding.good, &finding.reason));
        let Some(wants_more) = noted else { return false };
        self.checks.note(backend, finding, clock::wall());
        wants_more
    }
}
