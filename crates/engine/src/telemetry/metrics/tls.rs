//! Handshakes with clients, and how long certificates are good.

use std::fmt::Display;
use std::sync::Arc;

use super::{Kind, Page, sorted, sum};
use crate::engine::Shared;
use crate::telemetry::Key;
use crate::telemetry::counters::{BackendCounters, ListenerCounters};
use crate::telemetry::registry::Series;
use crate::tls;

pub(super) fn listeners(all: &[(Arc<str>, Arc<Series<ListenerCounters>>)], page: &mut Page) {
    let had = |series: &Series<ListenerCounters>| series.iter().any(|each| each.had_tls().is_some());
    let all: Vec<_> = all.iter().filter(|(_, series)| had(series)).collect();
    let name = "fairlead_tls_handshakes_total";
    page.family(name, Kind::Counter, "TLS handshakes with clients that were completed.");
    for (listener, series) in &all {
        for kind in tls::Kind::ALL {
            let count = sum(series, |counters| counters.had_tls().map_or(0, |tls| tls.completions(kind)));
            let resumed = if kind.is_resumed() { "yes" } else { "no" };
            let labels: [(&str, &dyn Display); 3] =
                [("listener", listener), ("version", &kind.version()), ("resumed", &resumed)];
            page.sample(name, &labels, count);
        }
    }
    let name = "fairlead_tls_handshake_failures_total";
    page.family(name, Kind::Counter, "TLS handshakes with clients that failed, by why.");
    for (listener, series) in &all {
        for failed in tls::Failed::ALL {
            let count = sum(series, |counters| counters.had_tls().map_or(0, |tls| tls.failures(failed)));
            let labels: [(&str, &dyn Display); 2] = [("listener", listener), ("reason", &failed.name())];
            page.sample(name, &labels, count);
        }
    }
}

/// By pool and id.
pub(super) fn backends(all: &[(Key, Arc<Series<BackendCounters>>)], page: &mut Page) {
    let had = |series: &Series<BackendCounters>| series.iter().any(|each| each.had_tls().is_some());
    let all: Vec<_> = all.iter().filter(|(_, series)| had(series)).collect();
    let name = "fairlead_backend_tls_handshakes_total";
    page.family(name, Kind::Counter, "TLS handshakes with backends that were completed.");
    for ((pool, backend), series) in &all {
        for kind in tls::Kind::ALL {
            let count = sum(series, |counters| counters.had_tls().map_or(0, |tls| tls.completions(kind)));
            let resumed = if kind.is_resumed() { "yes" } else { "no" };
            let labels: [(&str, &dyn Display); 4] =
                [("pool", pool), ("backend", backend), ("version", &kind.version()), ("resumed", &resumed)];
            page.sample(name, &labels, count);
        }
    }
    let name = "fairlead_backend_tls_handshake_failures_total";
    page.family(name, Kind::Counter, "TLS handshakes with backends that failed, by why.");
    for ((pool, backend), series) in &all {
        for failed in tls::Failed::ALL {
            let count = sum(series, |counters| counters.had_tls().map_or(0, |tls| tls.failures(failed)));
            let labels: [(&str, &dyn Display); 3] =
                [("pool", pool), ("backend", backend), ("reason", &failed.name())];
            page.sample(name, &labels, count);
        }
    }
}

pub(super) fn certificates(shared: &Shared, page: &mut Page) {
    let name = "fairlead_certificate_expiry_seconds";
    page.family(name, Kind::Gauge, "When a certificate expires, in seconds since 1970.");
    let keyring = Arc::clone(&shared.state().keyring);
    for (certificate, credential) in sorted(keyring.certificates.iter().collect()) {
        page.sample(name, &[("certificate", certificate)], credential.validity.not_after);
    }
}
