//! A check of a pool's backends: when it is made, what is asked, and what makes an answer a good one.

mod expect;
mod http;

use std::net::SocketAddr;
use std::time::Duration;

use fairlead_balance::health::Thresholds;
use fairlead_wire::proxy_protocol::{Addresses, write_local_v2, write_v1};

use crate::digest::Digest;
use crate::error::{Errors, Place};
use crate::spec;

pub use expect::{Expectation, Mismatch};
pub use http::HttpProbe;

/// How long a backend must not have gone down for its flapping to be forgotten, in intervals.
const CALM_INTERVALS: u32 = 10;

/// A check of each backend of a pool.
#[derive(Debug)]
pub struct HealthCheck {
    /// Of what is asked and what is expected: with another one it is another check, whose first result decides at once.
    pub digest: u64,
    /// From one check of a backend to its next.
    pub interval: Duration,
    /// The same while a state is changing.
    pub fast_interval: Duration,
    /// What a whole check may take.
    pub timeout: Duration,
    /// Whether a backend counts as up before its first result.
    pub initially_up: bool,
    /// In place of the backend's.
    pub port: Option<u16>,
    /// What is sent before everything else: where a backend is told in a PROXY header who its clients are, one that
    /// says that this is none. On a port of its own a check meets something else.
    pub preface: Box<[u8]>,
    /// What is done.
    pub probe: Probe,
}

/// What a check does.
#[derive(Debug)]
pub enum Probe {
    /// A request, and what its answer has to be.
    Http(HttpProbe),
    /// A connection.
    Tcp,
    /// A handshake.
    Tls,
    /// Nothing here: the control process runs a program, and tells what came of it.
    Exec,
}

impl HealthCheck {
    /// Notes what is wrong with it at its place.
    pub(crate) fn build(
        spec: &spec::HealthCheck,
        send_proxy: Option<spec::SendProxy>,
        at: Place<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        for (key, value) in [
            ("interval", spec.interval_ms),
            ("fast_interval", spec.fast_interval_ms),
            ("timeout", spec.timeout_ms),
            ("healthy_threshold", spec.healthy_threshold.into()),
            ("unhealthy_threshold", spec.unhealthy_threshold.into()),
        ] {
            if value == 0 {
                errors.add(at.key(key), "must be more than 0");
            }
        }
        if spec.port == Some(0) {
            errors.add(at.key("port"), "a check needs a port other than 0");
        }
        let probe = match &spec.probe {
            spec::Probe::Http(http) => Probe::Http(HttpProbe::build(http, at, errors)?),
            spec::Probe::Tcp {} => Probe::Tcp,
            spec::Probe::Tls {} => Probe::Tls,
            spec::Probe::Exec { command } => {
                if command.first().is_none_or(String::is_empty) {
                    errors.add(at.key("command"), "a program is needed");
                }
                Probe::Exec
            }
        };
        let preface = preface(send_proxy.filter(|_| spec.port.is_none()));
        Some(Self {
            // It lives as long as this process: what is printed for programmers is digest enough.
            digest: Digest::new()
                .part(format!("{:?}", (&spec.probe, spec.port)).as_bytes())
                .part(&preface)
                .value(),
            interval: Duration::from_millis(spec.interval_ms),
            fast_interval: Duration::from_millis(spec.fast_interval_ms),
            timeout: Duration::from_millis(spec.timeout_ms),
            initially_up: spec.initially_up,
            port: spec.port,
            preface,
            probe,
        })
    }

    /// Where a backend at `address` is asked.
    #[must_use]
    pub fn address(&self, address: &spec::BackendAddress) -> spec::BackendAddress {
        match (address, self.port) {
            (spec::BackendAddress::Ip(address), Some(port)) => {
                spec::BackendAddress::Ip(SocketAddr::new(address.ip(), port))
            }
            _ => address.clone(),
        }
    }
}

/// The header of a connection that is nobody's but ours (PROXY protocol 2.1: `UNKNOWN`, 2.2: `LOCAL`).
fn preface(version: Option<spec::SendProxy>) -> Box<[u8]> {
    let mut header = Vec::new();
    match version {
        None => {}
        Some(spec::SendProxy::V1) => write_v1(&Addresses::Unknown, &mut header),
        Some(spec::SendProxy::V2) => write_local_v2(&mut header),
    }
    header.into()
}

/// A check on a port can't be made where there are none.
pub(crate) fn check_backends(pool: &spec::Pool, at: Place<'_>, errors: &mut Errors) {
    if pool.health_check.as_ref().is_none_or(|check| check.port.is_none()) {
        return;
    }
    let is_unix = |backend: &&spec::Backend| matches!(backend.address, spec::BackendAddress::Unix(_));
    if let Some(backend) = pool.backends.iter().find(is_unix) {
        let message = format_args!("backend {:?} is a Unix socket, which has no port", backend.id);
        errors.add(at.key("health_check").key("port"), message);
    }
}

/// By what the results of a pool's check are judged.
pub(crate) fn thresholds(spec: Option<&spec::HealthCheck>) -> Thresholds {
    // Without a check there is nothing to count.
    let (healthy, unhealthy, interval_ms) = spec
        .map_or((1, 1, 0), |check| (check.healthy_threshold, check.unhealthy_threshold, check.interval_ms));
    Thresholds { healthy, unhealthy, calm: CALM_INTERVALS * Duration::from_millis(interval_ms) }
}
