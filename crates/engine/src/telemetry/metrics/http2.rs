//! What only listeners have that speak HTTP/2.

use std::sync::Arc;

use super::{Kind, Page};
use crate::telemetry::counters::{Counter, ListenerCounters};
use crate::telemetry::registry::Series;
use crate::telemetry::stats::sum;

/// A family's name, its help, and its figure.
type Family = (&'static str, &'static str, fn(&ListenerCounters) -> &Counter);

const FAMILIES: [Family; 3] = [
    (
        "fairlead_http2_connections_total",
        "Client connections that spoke HTTP/2, of those that were accepted.",
        |counters| &counters.http2_connections,
    ),
    ("fairlead_http2_requests_total", "Requests that came by HTTP/2.", |counters| &counters.http2_requests),
    (
        "fairlead_http2_floods_total",
        "Connections that were closed because their client sent more than requests and bodies explain.",
        |counters| &counters.http2_floods,
    ),
];

pub(super) fn render(all: &[(Arc<str>, Arc<Series<ListenerCounters>>)], page: &mut Page) {
    for (family, help, of) in FAMILIES {
        page.family(family, Kind::Counter, help);
        for (name, series) in all {
            if sum(series, |counters| counters.http2_connections.value()) > 0 {
                page.sample(family, &[("listener", name)], sum(series, |counters| of(counters).value()));
            }
        }
    }
}
