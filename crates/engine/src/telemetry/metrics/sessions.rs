//! What only listeners have that serve connections or datagrams as a whole, and their backends.

use std::fmt::Display;
use std::sync::Arc;

use super::{Kind, Page, histogram};
use crate::telemetry::counters::{BackendCounters, ListenerCounters};
use crate::telemetry::histogram::Distribution;
use crate::telemetry::registry::{Key, Series};
use crate::telemetry::stats::{self, sessions, spliced, sum};

type Listeners = [(Arc<str>, Arc<Series<ListenerCounters>>)];

pub(super) fn render(all: &Listeners, page: &mut Page) {
    let had = |series: &Series<ListenerCounters>| series.iter().any(|each| each.had_sessions().is_some());
    let streams: Vec<_> = all.iter().filter(|(_, series)| had(series)).collect();
    page.family(
        "fairlead_sessions_total",
        Kind::Counter,
        "TCP and UDP sessions that are over, by why they ended.",
    );
    for (name, series) in &streams {
        for (ended, count) in sessions(series) {
            let labels: [(&str, &dyn Display); 2] = [("listener", name), ("ended", &ended)];
            page.sample("fairlead_sessions_total", &labels, count);
        }
    }
    let help = "Bytes of TCP sessions that the kernel moved by itself.";
    page.family("fairlead_spliced_bytes_total", Kind::Counter, help);
    for (name, series) in &streams {
        page.sample("fairlead_spliced_bytes_total", &[("listener", name)], spliced(series));
    }
    let help = "Until a backend took a TCP session.";
    page.family("fairlead_session_connect_seconds", Kind::Histogram, help);
    for (name, series) in &streams {
        let mut distribution = Distribution::default();
        let sessions = series.iter().filter_map(ListenerCounters::had_sessions);
        sessions.for_each(|sessions| sessions.connect.add_to(&mut distribution));
        histogram(page, "fairlead_session_connect_seconds", name, &distribution);
    }
    datagrams(all, page);
}

fn datagrams(all: &Listeners, page: &mut Page) {
    let all: Vec<_> =
        all.iter().filter_map(|(name, series)| Some((name, stats::datagrams(series)?))).collect();
    let name = "fairlead_datagrams_total";
    page.family(name, Kind::Counter, "Datagrams received from and sent to clients.");
    for (listener, datagrams) in &all {
        for (direction, count) in [("received", datagrams.received), ("sent", datagrams.sent)] {
            let labels: [(&str, &dyn Display); 2] = [("listener", listener), ("direction", &direction)];
            page.sample(name, &labels, count);
        }
    }
    let name = "fairlead_datagrams_dropped_total";
    page.family(name, Kind::Counter, "Datagrams that went no further, by why.");
    for (listener, datagrams) in &all {
        for (reason, count) in &datagrams.dropped {
            let labels: [(&str, &dyn Display); 2] = [("listener", listener), ("reason", reason)];
            page.sample(name, &labels, count);
        }
    }
    let name = "fairlead_sessions_moved_total";
    page.family(name, Kind::Counter, "UDP sessions that went on with another backend.");
    for (listener, datagrams) in &all {
        page.sample(name, &[("listener", listener)], datagrams.moved);
    }
}

/// Datagrams of backends that had any.
pub(super) fn backends(all: &[(Key, Arc<Series<BackendCounters>>)], page: &mut Page) {
    let name = "fairlead_backend_datagrams_total";
    page.family(name, Kind::Counter, "Datagrams received from and sent to backends.");
    for ((pool, backend), series) in all {
        let received = sum(series, |counters| counters.datagrams_in.value());
        let sent = sum(series, |counters| counters.datagrams_out.value());
        if received + sent == 0 {
            continue;
        }
        for (direction, count) in [("received", received), ("sent", sent)] {
            let labels: [(&str, &dyn Display); 3] =
                [("pool", pool), ("backend", backend), ("direction", &direction)];
            page.sample(name, &labels, count);
        }
    }
}
